"""Samplers: each proposes the next configuration of a study."""
