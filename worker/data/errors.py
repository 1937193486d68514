"""What can be wrong with data."""


class DataError(Exception):
    """The data cannot be loaded or used; the message says what was found, what was expected and how to fix it."""
