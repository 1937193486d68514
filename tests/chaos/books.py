"""Both sides of the books: the rows of the database as they lie there, and what the diaries say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select

from service.store import schema
from service.store.engine import connect, read
from service.store.transaction import Transaction
from tests.chaos.diary import entries

Row = dict[str, Any]
Place = tuple[str, int]
"""Lease token and epoch: what was measured where."""


@dataclass
class Rows:
    """The tables, each row as a dictionary.

    Attributes:
        studies: By id.
        trials: By id.
        attempts: By token.
        leases: Those that are held.
        measurements: All of them.
        events: By study, in the order of their numbers.
        artifacts: All of them.
    """

    studies: dict[int, Row] = field(default_factory=dict)
    trials: dict[int, Row] = field(default_factory=dict)
    attempts: dict[str, Row] = field(default_factory=dict)
    leases: list[Row] = field(default_factory=list)
    measurements: list[Row] = field(default_factory=list)
    events: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    artifacts: list[Row] = field(default_factory=list)

    def tokens(self) -> dict[tuple[int, int], str]:
        """The token of each attempt, by trial and number."""
        return {(row["trial_id"], row["attempt"]): token for token, row in self.attempts.items()}

    def trials_of(self, study_id: int) -> list[Row]:
        """Trials of a study in the order of their numbers."""
        found = [row for row in self.trials.values() if row["study_id"] == study_id]
        return sorted(found, key=lambda row: int(row["number"]))


def read_rows(database_url: str) -> Rows:
    """All that the checks look at, as of one moment."""
    engine = connect(database_url)
    try:
        with read(engine, datetime.now(UTC)) as tx:
            rows = Rows(
                studies={row["id"]: row for row in _all(tx, schema.studies)},
                trials={row["id"]: row for row in _all(tx, schema.trials)},
                attempts={row["token"]: row for row in _all(tx, schema.attempts)},
                leases=_all(tx, schema.leases),
                measurements=_all(tx, schema.measurements),
                artifacts=_all(tx, schema.artifacts),
            )
            for row in _all(tx, schema.events):
                rows.events[row["study_id"]].append(row)
    finally:
        engine.dispose()
    for events in rows.events.values():
        events.sort(key=lambda row: int(row["seq"]))
    return rows


def _all(tx: Transaction, table: Table) -> list[Row]:
    return [dict(row._mapping) for row in tx.read(select(table))]


@dataclass(frozen=True)
class Grant:
    """A lease as its worker got it.

    Attributes:
        worker: Whose diary it is in.
        at: When the answer was there, by the machine's monotonic clock.
    """

    worker: str
    trial_id: int
    attempt: int
    at: float


@dataclass(frozen=True)
class Answer:
    """What a worker was told about an epoch that was acknowledged.

    Attributes:
        sent_at: When the request left that was answered.
        decision: None where a later epoch of the same request has it.
    """

    lease: str
    epoch: int
    decision: str | None
    sent_at: float


@dataclass
class Diaries:
    """What all workers, and the network between, have written down.

    Attributes:
        grants: By token; more than one if two workers say that they got it.
        sent: What was sent at least once, by token and epoch.
        contradictions: Places where a diary says two different things.
        answers: Acknowledged epochs.
        files: Digests of files that were sent.
        wrong_files: Files that were fetched and were not what they should be.
        repeats: Requests that reached a service twice, with both answers.
        failures: Answers that put the blame on the service, but for those that it is away.
    """

    grants: dict[str, list[Grant]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[Place, Mapping[str, float]] = field(default_factory=dict)
    contradictions: list[Place] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    wrong_files: list[Row] = field(default_factory=list)
    repeats: list[Row] = field(default_factory=list)
    failures: list[Row] = field(default_factory=list)

    def add(self, worker: str, lines: Iterable[Row]) -> None:
        """Take in the diary of one worker, or of the network."""
        for line in lines:
            what = line["what"]
            if what == "claimed":
                grant = Grant(worker, line["trial_id"], line["attempt"], line["at"])
                self.grants[line["lease"]].append(grant)
            elif what == "measured":
                self._sent((line["lease"], line["epoch"]), line["item"]["metrics"])
            elif what == "told":
                self.answers.append(Answer(line["lease"], line["epoch"], line["decision"], line["sent_at"]))
            elif what == "file":
                self.files.add(line["sha256"])
            elif what == "fetched" and not line["is_right"]:
                self.wrong_files.append({"worker": worker, **line})
            elif what == "repeated":
                self.repeats.append(line)
            elif what == "failed":
                self.failures.append(line)

    def _sent(self, place: Place, metrics: Mapping[str, float]) -> None:
        if self.sent.setdefault(place, metrics) != metrics:
            self.contradictions.append(place)


def read_diaries(folder: Path) -> Diaries:
    """All diaries of a folder, each named after whose it is."""
    diaries = Diaries()
    for path in sorted(folder.glob("*.jsonl")):
        diaries.add(path.stem, entries(path))
    return diaries
