"""Caviar: a hyperparameter search service for Keras."""

from caviar.client import Client
from caviar.contract.errors import CaviarError
from caviar.marking import objective

__all__ = ["CaviarError", "Client", "__version__", "objective"]

__version__ = "0.1.0"
