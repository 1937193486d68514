"""Caviar: a hyperparameter search service for Keras."""

from caviar.client import Client
from caviar.contract.errors import CaviarError
from caviar.contract.signatures import SignatureRefused, verify_webhook
from caviar.marking import objective

__all__ = ["CaviarError", "Client", "SignatureRefused", "__version__", "objective", "verify_webhook"]

__version__ = "0.1.0"
