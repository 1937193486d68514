"""What every store of files does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"[a-z][a-z0-9.-]{0,199}")


class ArtifactMissing(Exception):
    """There is no file of this name in the store."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store.

    Attributes:
        name: Its name in the store.
        modified_at: When it was written last; None where the store does not know.
    """

    name: str
    modified_at: datetime | None


class Draft(Protocol):
    """A file in the making: nobody sees it before `keep`, and after `discard` nothing of it is left."""

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            StorageFull: There is no room for them.
            Unavailable: The store does not answer.
        """

    def keep(self) -> None:
        """Put the file under its name, so that it survives a loss of power; raises as `write` does."""

    def discard(self) -> None:
        """Let go of what was written; after `keep`, change nothing."""


class ArtifactStore(Protocol):
    """Keeps files under names that the service makes, without folders. Any number of threads may use it."""

    def begin(self, name: str, size_bytes: int | None) -> Draft:
        """Begin a file.

        Args:
            name: Its name: letters, digits, hyphens and dots.
            size_bytes: How large it will be, if that is known.
        Raises:
            StorageFull: There is no room for that much.
            Unavailable: The store does not answer.
        """

    def size_bytes(self, name: str) -> int:
        """Size of a file.

        Raises:
            ArtifactMissing: There is none of this name.
            Unavailable: The store does not answer.
        """

    def read(self, name: str) -> Iterator[bytes]:
        """The content of a file in portions; raises as `size_bytes` does, also while it is read."""

    def remove(self, name: str) -> None:
        """Remove a file, if there is one of this name.

        Raises:
            Unavailable: The store does not answer.
        """

    def files(self, prefix: str) -> Iterator[StoredFile]:
        """The files whose names begin so, drafts that were left behind included; raises as `remove` does."""


def is_name(text: str) -> bool:
    """Whether a store may keep a file under this name: no path can be made of it."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str) -> str:
    """The name itself, unless it could lead out of the store.

    Raises:
        ValueError: It could.
    """
    if not is_name(name):
        raise ValueError(f"received the name {name!r}, expected letters, digits, hyphens and dots, a letter first")
    return name
