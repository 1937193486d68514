"""Configurations as Python programs that need Keras and nothing of Caviar. Nothing is run here."""
