"""What can be wrong with a checkpoint."""


class Unkeepable(Exception):
    """A training has a state that a checkpoint cannot hold; the message says which."""


class CheckpointUnusable(Exception):
    """A training cannot go on from its checkpoint; the message says why."""


class CheckpointMissing(CheckpointUnusable):
    """There is no such file on this machine."""


class CheckpointBroken(CheckpointUnusable):
    """The file is damaged, or of another version."""


class CheckpointForeign(CheckpointUnusable):
    """The file is of another trial, or does not fit the model that it is to be loaded into."""
