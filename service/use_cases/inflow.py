"""Bringing the events of all processes to those who follow them here, of each study in order and without gaps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby

from service.store import events as feed
from service.store import studies
from service.store.notices import Notice
from service.store.transaction import Event, Transaction

Reading = Callable[[], AbstractContextManager[Transaction]]


class Inflow:
    """Merges what this process commits and what it hears that others have committed.

    An own event that follows one of another process is held back until that one was read from the table, where both of
    them are. Events that were told before are passed over, so that it does not matter who reads them first.
    """

    def __init__(
        self,
        reading: Reading,
        *,
        tell: Callable[[Sequence[Event]], None],
        apply: Callable[[Sequence[Event]], None],
        forget: Callable[[int], None],
        ring: Callable[[], None],
    ) -> None:
        """Prepare to follow.

        Args:
            reading: Opens a transaction that reads.
            tell: Called with events, each once, those of a study in their order; by one thread at a time.
            apply: Called with events that other processes have committed, perhaps among own ones; it may take its time.
            forget: Called with the id of a study that another process has deleted.
            ring: Wakes all who wait, because something may have been missed.
        """
        self._reading = reading
        self._tell, self._apply, self._forget, self._ring = tell, apply, forget, ring
        self._told: dict[int, int] = {}
        self._behind: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def committed(self, events: Sequence[Event]) -> bool:
        """Take events that this process has committed, in their order.

        Returns:
            Whether all were told; else `catch_up` must be called soon, on another thread.
        """
        with self._lock:
            for study_id, own in groupby(events, key=lambda event: event.study_id):
                found = list(own)
                if found[0].seq > self._told.get(study_id, found[0].seq - 1) + 1:
                    self._behind[study_id] = (found[0].seq, found[-1].seq)
                else:
                    self._tell_new(study_id, found)
            return not self._behind

    def catch_up(self) -> None:
        """Read and tell what own events were held back for.

        Raises:
            Unavailable: The database does not answer; `returned` must be called once it does.
        """
        with self._lock:
            behind, self._behind = self._behind, {}
        self._read(behind)

    def heard(self, notice: Notice) -> None:
        """Read and tell what another process says that it has committed.

        Raises:
            Unavailable: The database does not answer; `returned` must be called once it does.
        """
        self._read(notice.news)
        for study_id in notice.gone:
            self._forget(study_id)
        if notice.is_waking:
            self._ring()

    def returned(self) -> None:
        """Look for whatever was missed before the notices of others could be heard.

        Raises:
            Unavailable: The database does not answer.
        """
        with self._reading() as tx:
            newest = studies.last_seqs(tx)
        with self._lock:
            self._behind.clear()
            gone = [study_id for study_id in self._told if study_id not in newest]
            # Of a study that nobody has heard of here, nothing is kept: whoever follows it reads the table.
            news = {study_id: (self._told.setdefault(study_id, seq) + 1, seq) for study_id, seq in newest.items()}
        for study_id in gone:
            self._forget(study_id)
        self._read(news)
        self._ring()

    def forget(self, study_id: int) -> None:
        """Let go of a deleted study."""
        with self._lock:
            self._told.pop(study_id, None)
            self._behind.pop(study_id, None)

    def _read(self, news: Mapping[int, tuple[int, int]]) -> None:
        with self._lock:
            after = {study_id: self._told.get(study_id, first - 1) for study_id, (first, _) in news.items()}
        missing = {study_id: after[study_id] for study_id, (_, last) in news.items() if last > after[study_id]}
        if not missing:
            return
        with self._reading() as tx:
            for study_id, seq in missing.items():
                for found in feed.missing(tx, study_id, seq):
                    with self._lock:
                        self._tell_new(study_id, found)
                    self._apply(found)

    def _tell_new(self, study_id: int, events: Sequence[Event]) -> None:
        told = self._told.get(study_id, 0)
        fresh = [event for event in events if event.seq > told]
        if fresh:
            self._told[study_id] = fresh[-1].seq
            self._tell(fresh)
