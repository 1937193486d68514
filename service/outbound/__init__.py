"""Requests that the service itself makes to other services, whose addresses are given by people and not trusted."""
