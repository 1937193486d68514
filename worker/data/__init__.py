"""Data: loaded by name or from a file, split by a seed, scaled by the training part."""
