"""Rules that know neither database nor network."""
