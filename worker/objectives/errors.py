"""What can be wrong with an objective or a configuration."""


class Infeasible(ValueError):
    """This configuration cannot be trained, however often it is tried; the message says why and what would work."""


class LoadError(Exception):
    """An objective cannot be loaded; the message says what was found, what was expected and how to fix it."""
