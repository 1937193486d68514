"""What a page says about the change that led to it: a word of a closed list, checked against the study."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Query


class Done(StrEnum):
    """What has just been done to a study."""

    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"
    CLONED = "cloned"
    EDITED = "edited"
    DELETED = "deleted"
    ARCHIVED = "archived"
    UNARCHIVED = "unarchived"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a page is to say.

    Attributes:
        done: What was done; None for nothing.
        about: Name of the study that it was done to, on pages that show several.
    """

    done: Done | None = None
    about: str | None = None


_current: ContextVar[Notice] = ContextVar("notice", default=Notice())  # noqa: B039  # It is frozen.


async def note(
    done: Annotated[Done | None, Query()] = None, about: Annotated[str | None, Query(max_length=64)] = None
) -> None:
    """Keep what the address says was done, for the page that answers it.

    It must be a coroutine: what a thread sets, the thread of the page would not see.
    """
    _current.set(Notice(done, about))


def current() -> Notice:
    """What the page that is being made is to say."""
    return _current.get()
