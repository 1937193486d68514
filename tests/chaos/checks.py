"""What must hold between the rows and the diaries, whatever happened in between."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from caviar.contract.states import FINISHED, StudyState
from tests.chaos.books import Diaries, Row, Rows
from tests.chaos.folding import Fold, FoldedTrial


@dataclass(frozen=True)
class Breach:
    """Something that must never happen, and did.

    Attributes:
        check: Which promise was broken.
        detail: The evidence, for people.
    """

    check: str
    detail: str


@dataclass(frozen=True)
class Books:
    """Both sides, and the stories of the studies."""

    rows: Rows
    diaries: Diaries
    folds: dict[int, Fold]


def open_books(rows: Rows, diaries: Diaries) -> Books:
    """Put both sides together."""
    folds: dict[int, Fold] = {}
    for study_id in rows.studies:
        folds[study_id] = Fold()
        for event in rows.events[study_id]:
            folds[study_id].apply(event)
    return Books(rows, diaries, folds)


def audit(books: Books) -> dict[str, list[Breach]]:
    """Run every check.

    Returns:
        What each has found, by its name; nothing where all is well.
    """
    found: dict[str, list[Breach]] = {name: [] for name in PROMISES}
    for check in _CHECKS:
        for breach in check(books):
            found[breach.check].append(breach)
    for fold in books.folds.values():
        for what, detail in fold.problems:
            found[what].append(Breach(what, detail))
    return found


PROMISES = {
    "lost": "every acknowledged measurement is stored",
    "altered": "what is stored has the value that was sent",
    "doubled": "no measurement counts twice",
    "invented": "nothing is stored that nobody sent",
    "held_twice": "no two attempts of a trial are valid at the same time",
    "stuck": "every study comes to its end, and nothing of it stays open",
    "budgets": "no limit of a budget is exceeded",
    "feed": "events have no gap, and tell what the rows hold",
    "repeats": "a request that comes twice is answered alike",
    "files": "files are whole and are what they should be",
    "errors": "no answer is a status 500, and nothing fails silently",
    "alive": "no process ends by itself",
    "api": "the API tells what the rows hold",
    "replay": "suggestions come out the same when they are computed again",
    "faults": "everything that could go wrong did",
}


def _measured(books: Books) -> Iterator[Breach]:
    tokens = books.rows.tokens()
    stored: dict[tuple[str, int], Any] = {}
    for row in books.rows.measurements:
        place = (tokens.get((row["trial_id"], row["attempt"]), "no attempt"), row["epoch"])
        if place in stored:
            yield Breach("doubled", f"{_name(row)} is stored twice")
        stored[place] = row["metrics"]
        sent = books.diaries.sent.get(place)
        if sent is None:
            yield Breach("invented", f"{_name(row)} is in no diary: {row['metrics']}")
        elif sent != row["metrics"]:
            yield Breach("altered", f"{_name(row)} holds {row['metrics']}, sent was {sent}")
        if row["value"] != row["metrics"].get("val_loss"):
            yield Breach("altered", f"{_name(row)} has the value {row['value']} beside {row['metrics']}")
    for answer in books.diaries.answers:
        if (answer.lease, answer.epoch) not in stored:
            attempt = books.rows.attempts.get(answer.lease)
            yield Breach("lost", f"epoch {answer.epoch} of {_of(attempt, answer.lease)} was acknowledged")
    for lease, epoch in books.diaries.contradictions:
        yield Breach("altered", f"a worker has sent epoch {epoch} of {lease} with two values")


def _name(row: Row) -> str:
    return f"epoch {row['epoch']} of attempt {row['attempt']} of trial {row['trial_id']}"


def _of(attempt: Row | None, lease: str) -> str:
    return f"lease {lease}" if attempt is None else f"attempt {attempt['attempt']} of trial {attempt['trial_id']}"


def _held(books: Books) -> Iterator[Breach]:
    first_seen: dict[tuple[int, int], float] = {}
    for lease, grants in books.diaries.grants.items():
        row = books.rows.attempts.get(lease)
        if len({grant.worker for grant in grants}) > 1:
            yield Breach("held_twice", f"lease {lease} was given to {sorted({grant.worker for grant in grants})}")
        for grant in grants:
            key = (grant.trial_id, grant.attempt)
            first_seen[key] = min(first_seen.get(key, grant.at), grant.at)
            if row is None or (row["trial_id"], row["attempt"]) != key:
                yield Breach("held_twice", f"{grant.worker} was given {key}, which the rows say of: {row}")
    for answer in books.diaries.answers:
        row = books.rows.attempts.get(answer.lease)
        if row is None or answer.decision != "continue":
            continue
        later = first_seen.get((row["trial_id"], row["attempt"] + 1))
        if later is not None and answer.sent_at > later:
            detail = f"epoch {answer.epoch} of {_of(row, answer.lease)} was told to continue"
            yield Breach("held_twice", f"{detail} {answer.sent_at - later:.3f} s after the next attempt had begun")


def _leased(books: Books) -> Iterator[Breach]:
    for trial_id, count in Counter(row["trial_id"] for row in books.rows.leases).items():
        if count > 1:
            yield Breach("held_twice", f"trial {trial_id} has {count} leases")
    newest = {trial["id"]: trial["attempt"] for trial in books.rows.trials.values()}
    for row in books.rows.leases:
        if row["attempt"] != newest.get(row["trial_id"]):
            yield Breach(
                "held_twice", f"a lease of attempt {row['attempt']} of trial {row['trial_id']} is not its newest"
            )


def _stuck(books: Books) -> Iterator[Breach]:
    for study in books.rows.studies.values():
        if not StudyState(study["state"]).is_finished:
            states = Counter(trial["state"] for trial in books.rows.trials_of(study["id"]))
            yield Breach("stuck", f"study {study['name']} is {study['state']}: {dict(states)}")
    for trial in books.rows.trials.values():
        study = books.rows.studies[trial["study_id"]]
        if StudyState(study["state"]).is_finished and trial["state"] not in FINISHED:
            yield Breach("stuck", f"trial {trial['id']} is {trial['state']}, its study {study['name']} has ended")
    for row in books.rows.leases:
        yield Breach("stuck", f"trial {row['trial_id']} is still leased")
    for row in books.rows.attempts.values():
        if row["ended_at"] is None:
            yield Breach("stuck", f"attempt {row['attempt']} of trial {row['trial_id']} never ended")


def _budgets(books: Books) -> Iterator[Breach]:
    epochs: Counter[int] = Counter()
    highest: dict[int, int] = defaultdict(int)
    for row in books.rows.measurements:
        study_id = books.rows.trials[row["trial_id"]]["study_id"]
        epochs[study_id] += 1
        highest[study_id] = max(highest[study_id], row["epoch"])
    for study_id, study in books.rows.studies.items():
        fold = books.folds[study_id]
        if not fold.specs:
            continue
        spent = {
            "max_trials": len(books.rows.trials_of(study_id)),
            "max_total_epochs": epochs[study_id],
            "max_epochs": highest[study_id],
        }
        for limit, used in spent.items():
            allowed = fold.most(limit)
            if allowed is not None and used > allowed:
                yield Breach("budgets", f"study {study['name']} has used {used}, {limit} was never above {allowed}")


def _counted(books: Books) -> Iterator[Breach]:
    stored = Counter(books.rows.trials[row["trial_id"]]["study_id"] for row in books.rows.measurements)
    for study_id, study in books.rows.studies.items():
        fold = books.folds[study_id]
        told = sum(len(trial.measured) for trial in fold.trials.values())
        if not stored[study_id] == study["num_epochs"] == told:
            counts = f"{stored[study_id]} rows, {study['num_epochs']} counted, {told} events"
            yield Breach("doubled", f"study {study['name']} has {counts}")
        if study["best_value"] != fold.best:
            yield Breach(
                "feed", f"study {study['name']} has the best value {study['best_value']}, told was {fold.best}"
            )


def _feed(books: Books) -> Iterator[Breach]:
    for study_id, study in books.rows.studies.items():
        numbers = [event["seq"] for event in books.rows.events[study_id]]
        if numbers != list(range(1, study["last_event_seq"] + 1)):
            missing = sorted(set(range(1, study["last_event_seq"] + 1)) - set(numbers))
            yield Breach(
                "feed", f"study {study['name']} counts {study['last_event_seq']} events, missing: {missing[:9]}"
            )
        fold = books.folds[study_id]
        if fold.state != study["state"]:
            yield Breach("feed", f"study {study['name']} is {study['state']}, its events say {fold.state}")
        rows = books.rows.trials_of(study_id)
        if [row["number"] for row in rows] != sorted(fold.trials):
            yield Breach("feed", f"study {study['name']} has {len(rows)} trials, its events tell of {len(fold.trials)}")
        for row in rows:
            if row["number"] in fold.trials:
                yield from _differences(row, fold, fold.trials[row["number"]])


def _differences(row: Row, fold: Fold, trial: FoldedTrial) -> Iterator[Breach]:
    value, best_epoch = fold.best_of(trial)
    told = {
        "id": trial.trial_id,
        "state": trial.state,
        "attempt": trial.attempt,
        "stop_reason": trial.stop_reason,
        "num_epochs": max(trial.curve, default=0),
        "value": value,
        "best_epoch": best_epoch,
    }
    wrong = {name: (row[name], expected) for name, expected in told.items() if row[name] != expected}
    if wrong:
        yield Breach("feed", f"trial {row['id']} (stored, told): {wrong}")
    if sorted(trial.curve) != list(range(1, len(trial.curve) + 1)):
        yield Breach("feed", f"the curve of trial {row['id']} has a gap: {sorted(trial.curve)}")


def _curves(books: Books) -> Iterator[Breach]:
    current: dict[int, dict[int, tuple[float, int]]] = defaultdict(dict)
    for row in books.rows.measurements:
        if row["is_current"]:
            if row["epoch"] in current[row["trial_id"]]:
                yield Breach("doubled", f"{_name(row)} is not alone in the curve")
            current[row["trial_id"]][row["epoch"]] = (row["value"], row["attempt"])
    for fold in books.folds.values():
        for trial in fold.trials.values():
            if current[trial.trial_id] != trial.curve:
                stored = sorted(current[trial.trial_id].items())
                yield Breach(
                    "feed", f"the curve of trial {trial.trial_id} is {stored}, told was {sorted(trial.curve.items())}"
                )


def _attempts(books: Books) -> Iterator[Breach]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for row in books.rows.attempts.values():
        numbers[row["trial_id"]].append(row["attempt"])
    for trial in books.rows.trials.values():
        if sorted(numbers[trial["id"]]) != list(range(1, trial["attempt"] + 1)):
            yield Breach(
                "feed", f"trial {trial['id']} is in attempt {trial['attempt']}, stored: {numbers[trial['id']]}"
            )


def _repeats(books: Books) -> Iterator[Breach]:
    for entry in books.diaries.repeats:
        first, again = entry["answers"]
        orders = [(first, again)] if entry["is_in_order"] else [(first, again), (again, first)]
        if not any(_is_consistent(entry["path"], *order) for order in orders):
            yield Breach("repeats", f"{entry['verb']} {entry['path']}: {first}, then {again}")


def _is_consistent(path: str, first: Row, again: Row) -> bool:
    """Whether a second answer to the same request is one that may follow the first."""
    if max(first["status"], again["status"]) >= _OUTAGE:
        return True
    if path.endswith("/measurements"):
        return _decided_alike(first, again)
    if path.endswith(":claim") and first["status"] == again["status"] == 200:
        granted, repeated = ({one["lease"] for one in answer["body"]["assigned"]} for answer in (first, again))
        # Of what was granted before, something may be gone; nothing may come in its place.
        return not granted or repeated <= granted
    if path.endswith((":finish", ":release")):
        return bool(first["status"] == again["status"])
    return True


def _decided_alike(first: Row, again: Row) -> bool:
    final = [one for one in (first["body"] or {}).get("decisions", ()) if one["decision"] != "continue"]
    repeated = {one["trial_id"]: one for one in (again["body"] or {}).get("decisions", ())}
    return all(
        one["trial_id"] in repeated
        and all(repeated[one["trial_id"]][name] == one[name] for name in ("decision", "reason"))
        for one in final
    )


def _errors(books: Books) -> Iterator[Breach]:
    for line in books.diaries.failures:
        yield Breach("errors", f"{line['verb']} {line['path']} was answered {line['status']}: {line['body']}")


def _files(books: Books) -> Iterator[Breach]:
    for row in books.rows.artifacts:
        if row["sha256"] not in books.diaries.files:
            yield Breach("files", f"nobody sent the file {row['name']}")
    for line in books.diaries.wrong_files:
        yield Breach("files", f"a worker was given a wrong file: {line}")


# From here on an answer speaks of the service and not of the request: too many at once, or away.
_OUTAGE = 429
_CHECKS: tuple[Callable[[Books], Iterator[Breach]], ...] = (
    _measured,
    _held,
    _leased,
    _stuck,
    _budgets,
    _counted,
    _feed,
    _curves,
    _attempts,
    _repeats,
    _errors,
    _files,
)
