"""Programs: the epochs of a model, traced once and run again for every trial of the same architecture."""
