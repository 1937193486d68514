"""The command `caviar`."""

from caviar.cli.app import app, main

__all__ = ["app", "main"]
