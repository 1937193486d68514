"""Engines: what puts workers on the machines of a cluster, where this machine alone is not enough."""
