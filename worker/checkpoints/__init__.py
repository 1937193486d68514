"""Checkpoints: all that a training needs to go on later, elsewhere, as if it had never stopped."""
