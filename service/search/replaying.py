"""Replay: what the sampler proposed, computed once more from the events of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from caviar.contract.space import Params, ParamValue
from caviar.contract.study import StudySpec
from caviar.contract.views import RoundView
from service.search.following import apply_event, moved
from service.search.mirror import Mirror
from service.search.registry import build_sampler
from service.search.sampler import Proposal, SpaceExhausted

Happening = tuple[int, str, Mapping[str, Any]]
"""Sequence number, kind and facts of an event."""


@dataclass(frozen=True)
class Difference:
    """A suggestion that came out otherwise.

    Attributes:
        number: Of the trial.
        stored: What the study holds: `params`, and `round` where the trial opened one.
        recomputed: The same, computed now.
    """

    number: int
    stored: dict[str, Any]
    recomputed: dict[str, Any]


@dataclass
class Replay:
    """What came of a replay.

    Attributes:
        num_checked: Suggestions that were computed again.
        num_identical: Those that came out the same to the last digit.
        num_unchecked: Trials that no suggestion stands behind, or that do not say what it was based on.
        first_difference: The first that did not; None if all did.
    """

    num_checked: int = 0
    num_identical: int = 0
    num_unchecked: int = 0
    first_difference: Difference | None = None


@dataclass
class _Suggestion:
    number: int
    params: Params
    opened: RoundView | None = None


@dataclass
class _Plan:
    """Which suggestions to check after which event, and what the others are."""

    by_seq: dict[int, list[_Suggestion]] = field(default_factory=dict)
    num_unchecked: int = 0


def replay(spec: StudySpec, events: Iterable[Happening]) -> Replay:
    """Ask the sampler again for every trial that it proposed, with what was known then, and compare.

    The mirror is rebuilt event by event. A trial's `as_of` names the last event that its proposal was based on; what
    was stored between that event and the trial itself was not known to the sampler, and is not told to it here.

    Args:
        spec: The study as it was created, its space set.
        events: All events of the study, in order.
    Raises:
        ValueError: The events do not follow from each other.
        LookupError: They name a trial that none of them created, or lack a fact.
    """
    history = list(events)
    plan = _plan(history)
    result = Replay(num_unchecked=plan.num_unchecked)
    mirror, sampler = Mirror(spec), build_sampler(spec)
    for seq, kind, data in history:
        if kind == "study_edited" and data.get("spec") is not None:
            edited = StudySpec.model_validate(data["spec"])
            mirror, sampler = moved(mirror, edited), build_sampler(edited)
        else:
            apply_event(mirror, kind, data)
        for suggestion in plan.by_seq.get(seq, ()):
            try:
                proposal = sampler.propose(mirror, suggestion.number)
            except SpaceExhausted:
                proposal = None
            _compare(result, suggestion, proposal)
    return result


def _plan(history: Iterable[Happening]) -> _Plan:
    plan = _Plan()
    # A round and the trial that opens it are stored together, the round first.
    opened: dict[int, RoundView] = {}
    for seq, kind, data in history:
        if kind == "round_opened" and data.get("origin", "sampler") == "sampler":
            opened[data["first_trial"]] = RoundView.model_validate(data)
        elif kind == "trial_created" and data["origin"] == "sampler" and data.get("as_of") is not None:
            if not 0 < data["as_of"] < seq:
                raise ValueError(f"event {seq} creates a trial as of event {data['as_of']}, expected an earlier one")
            suggestion = _Suggestion(data["number"], data["params"], opened.get(data["number"]))
            plan.by_seq.setdefault(data["as_of"], []).append(suggestion)
        elif kind in ("trial_created", "trial_imported"):
            plan.num_unchecked += 1
    return plan


def _compare(result: Replay, suggestion: _Suggestion, proposal: Proposal | None) -> None:
    is_same = (
        proposal is not None
        and _is_same(proposal.params, suggestion.params)
        and _facts(proposal.opened) == _facts(suggestion.opened)
    )
    result.num_checked += 1
    result.num_identical += is_same
    if not is_same and result.first_difference is None:
        stored = _shown(suggestion.params, suggestion.opened)
        recomputed = {} if proposal is None else _shown(proposal.params, proposal.opened)
        result.first_difference = Difference(suggestion.number, stored, recomputed)


def _is_same(mine: Params, other: Params) -> bool:
    return mine.keys() == other.keys() and all(_is_equal(mine[name], other[name]) for name in mine)


def _is_equal(mine: ParamValue, other: ParamValue) -> bool:
    # In Python True == 1, but as a choice they are two.
    return isinstance(mine, bool) == isinstance(other, bool) and mine == other


def _facts(opened: RoundView | None) -> dict[str, Any] | None:
    return None if opened is None else opened.model_dump(mode="json", exclude={"opened_at"})


def _shown(params: Params, opened: RoundView | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"params": params}
    return shown if opened is None else {**shown, "round": _facts(opened)}
