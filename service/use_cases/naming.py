"""Names for new studies."""

from __future__ import annotations

import itertools
import re

from service.store import catalogue
from service.store.transaction import Transaction

_MAX_CHARACTERS = 64


def free_name(tx: Transaction, name: str) -> str:
    """A name for a copy of a study that no study has: its own with the next free number, from 2.

    Args:
        name: Of the study. If it is itself a numbered copy of a study that exists, the numbers go on.
    """
    copied = re.fullmatch(r"(.+)-\d+", name)
    stem = copied[1] if copied and catalogue.names_beginning(tx, copied[1], is_whole=True) else name
    taken = catalogue.names_beginning(tx, stem[: _MAX_CHARACTERS // 2])
    for number in itertools.count(2):
        ending = f"-{number}"
        found = stem[: _MAX_CHARACTERS - len(ending)].rstrip("-._") + ending
        if found not in taken:
            return found
    raise AssertionError(name)
