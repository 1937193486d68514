"""What can be wrong with an objective or a configuration."""


class Infeasible(ValueError):
    """This configuration cannot be trained, however often it is tried; the message says why and what would work."""


class LoadError(Exception):
    """An objective cannot be loaded; the message says what was found, what was expected and how to fix it."""


class TrialOver(BaseException):
    """Ends a training function that goes on although its trial is over.

    It is no `Exception`, so that a function that catches those of its own steps lets it pass.
    """
