"""The Python client of a Caviar service."""

from caviar.client.client import Client

__all__ = ["Client"]
