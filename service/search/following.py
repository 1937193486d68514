"""What each event of a study changes in its mirror."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import StudySpec
from caviar.contract.views import RoundView
from service.search.mirror import Mirror


def apply_event(mirror: Mirror, kind: str, data: Any) -> None:
    """Bring a mirror up to one event; kinds that change nothing that search looks at are passed over.

    `study_edited` is one of these: the caller makes a new mirror for the new body of the study.

    Args:
        mirror: The study as of the event before.
        kind: Kind of the event.
        data: Its facts.
    Raises:
        ValueError: The event does not follow from what the mirror holds.
        LookupError: It names a trial that the mirror does not hold, or lacks a fact.
    """
    match kind:
        case "round_opened":
            mirror.open_round(RoundView.model_validate(data))
        case "trial_created":
            _create(mirror, data, is_proposed=data["origin"] == "sampler")
        case "trial_started":
            mirror.start(data["number"], first_epoch=data["first_epoch"], promoted_epoch=data.get("promoted_epoch"))
        case "measured":
            mirror.measure(data["number"], data["epoch"], data["value"])
        case "trial_paused":
            mirror.pause(data["number"])
        case "trial_requeued":
            mirror.requeue(data["number"])
        case "trial_ended":
            _end(mirror, data)
        case "trial_imported":
            _import(mirror, data)


def moved(mirror: Mirror, spec: StudySpec) -> Mirror:
    """The same trials and rounds under an edited study: whether a trial fits is found anew."""
    fresh = Mirror(spec)
    for opened in mirror.rounds:
        fresh.open_round(opened)
    for trial in mirror.trials:
        fresh.restore(replace(trial, values=dict(sorted(trial.values.items()))))
    return fresh


def _create(mirror: Mirror, data: Any, *, is_proposed: bool) -> None:
    mirror.add(data["number"], data["trial_id"], data["params"], round=data.get("round"), is_proposed=is_proposed)


def _end(mirror: Mirror, data: Any) -> None:
    reason = data["stop_reason"]
    mirror.end(data["number"], TrialState(data["state"]), StopReason(reason) if reason else None)


def _import(mirror: Mirror, data: Any) -> None:
    _create(mirror, data, is_proposed=False)
    mirror.start(data["number"])
    # Keys of a JSON object are texts, and come in any order.
    for epoch, value in sorted((int(epoch), value) for epoch, value in data["values"].items()):
        mirror.measure(data["number"], epoch, value)
    _end(mirror, data)
