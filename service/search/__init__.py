"""Searching: where new configurations come from, and which trials are stopped early."""
