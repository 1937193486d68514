"""Notices between the processes of a service: what the events of a commit were, by Postgres's LISTEN and NOTIFY."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from service.store import prepared

CHANNEL = "caviar"
# Postgres refuses 8,000 bytes and more. Everything here is ASCII.
_MAX_BYTES = 7900
_NOTIFY = "SELECT pg_notify(%s, payload) FROM unnest(CAST(%s AS text[])) AS payload"
_WAKING = "*"
_NEWS = re.compile(r"(\d+):(\d+)-(\d+)")
_GONE = re.compile(r"-(\d+)")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a commit of a process means to the others.

    Attributes:
        origin: Of the process, so that it passes over its own notices.
        news: First and last number of the new events, by study.
        gone: Studies that were deleted.
        is_waking: Whether workers in a long poll are to ask anew although nothing happened in a study.
    """

    origin: str
    news: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    gone: Sequence[int] = ()
    is_waking: bool = False


def send(connection: Connection, notice: Notice) -> None:
    """Tell the other processes once the transaction is committed; nothing where there is nobody to tell."""
    payloads = list(written(notice))
    if payloads:
        prepared.send(connection, _NOTIFY, CHANNEL, payloads)


def written(notice: Notice) -> Iterator[str]:
    """A notice as texts that are short enough to be sent; none if it says nothing."""
    line, length = [notice.origin], len(notice.origin)
    for word in _words(notice):
        if length + 1 + len(word) > _MAX_BYTES:
            yield " ".join(line)
            line, length = [notice.origin], len(notice.origin)
        line.append(word)
        length += 1 + len(word)
    if len(line) > 1:
        yield " ".join(line)


def _words(notice: Notice) -> Iterable[str]:
    yield from (f"{study_id}:{first}-{last}" for study_id, (first, last) in notice.news.items())
    yield from (f"-{study_id}" for study_id in notice.gone)
    if notice.is_waking:
        yield _WAKING


def parsed(payload: str) -> Notice:
    """The notice that a text holds; words that another version has sent and this one does not know are passed over."""
    origin, *words = payload.split(" ")
    news = {int(found[1]): (int(found[2]), int(found[3])) for word in words if (found := _NEWS.fullmatch(word))}
    gone = [int(found[1]) for word in words if (found := _GONE.fullmatch(word))]
    return Notice(origin, news, gone, is_waking=_WAKING in words)
