"""Pruners: each decides after an epoch whether a trial goes on."""
