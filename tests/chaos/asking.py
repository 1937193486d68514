"""What is asked of the services at the end, and read off their files and logs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from caviar import Client
from tests.chaos.books import Row, Rows
from tests.chaos.checks import Breach

# That the database is away is told to those who ask, and what the clockwork does is then done later.
_OUTAGES = ("Unavailable", "repeat the request later")
# The service defends itself against each of these, but none of them should ever come.
_ALARMS = ("search.disagrees", "artifacts.damaged", "writer.publishing_failed", "writer.failed", "clockwork.failed")


def ask(client: Client, rows: Rows) -> list[Breach]:
    """Compare what the API tells with the rows, and have every suggestion computed again.

    Args:
        client: Of a service that nobody writes to any more.
        rows: Its database.
    """
    return list(_asked(client, rows))


def _asked(client: Client, rows: Rows) -> Iterator[Breach]:
    stored: dict[int, list[Row]] = defaultdict(list)
    for row in rows.measurements:
        stored[row["trial_id"]].append(row)
    for study_id, row in rows.studies.items():
        name = row["name"]
        study = client.study(name)
        told = (study.state, study.num_trials, study.num_epochs)
        if told != (row["state"], row["num_trials"], row["num_epochs"]):
            yield Breach("api", f"of study {name} it tells {told}, stored is {row}")
        replay = client.replay(name)
        if not replay.is_identical:
            yield Breach("replay", f"of study {name}: {replay}")
        expected = {trial["id"]: trial for trial in rows.trials_of(study_id)}
        listed = {trial.trial_id: trial for trial in client.trials(name)}
        if listed.keys() != expected.keys():
            yield Breach("api", f"of study {name} it lists {len(listed)} trials, stored are {len(expected)}")
        for trial_id in listed.keys() & expected.keys():
            trial, kept = listed[trial_id], expected[trial_id]
            differing = [name for name in _COMPARED if getattr(trial, name) != kept[name]]
            if differing:
                yield Breach("api", f"of trial {trial_id} it tells other values of {differing}: {trial}")
            yield from _curve(client, trial_id, stored[trial_id])


_COMPARED = ("number", "state", "stop_reason", "value", "best_epoch", "num_epochs", "attempt", "params")


def _curve(client: Client, trial_id: int, stored: list[Row]) -> Iterator[Breach]:
    expected = sorted((row["attempt"], row["epoch"], sorted(row["metrics"].items())) for row in stored)
    items = client.measurements(trial_id, attempts="all").items
    told = sorted((item.attempt, item.epoch, sorted(item.metrics.items())) for item in items)
    if told != expected:
        yield Breach("api", f"of trial {trial_id} it tells {len(told)} epochs unlike the {len(expected)} stored ones")


def look_at_files(folder: Path, rows: Rows) -> Iterator[Breach]:
    """Every file that a row tells of is there and whole, unless it was given up."""
    for row in rows.artifacts:
        path = folder / row["name"]
        if not path.is_file():
            if row["doomed_at"] is None:
                yield Breach("files", f"the file {row['name']} is not there")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
            yield Breach("files", f"the file {row['name']} is not what was stored")


def look_at_logs(folder: Path) -> Iterator[Breach]:
    """Nothing went wrong inside that the services only noted."""
    for path in sorted(folder.glob("service-*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if any(alarm in line for alarm in _ALARMS) and not any(word in line for word in _OUTAGES):
                yield Breach("errors", f"{path.name}: {line[:500]}")
