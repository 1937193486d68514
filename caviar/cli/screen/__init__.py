"""What `caviar top` draws on a terminal: what it asks for, and how that fits the space there is."""
