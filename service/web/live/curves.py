"""What happened to learning curves, as events tell it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.store.transaction import Event

News = dict[str, Any]
"""What a page's chart is told: `steps`, or `reload` if it has to fetch its curves anew."""

# A chart that has missed more than this is drawn anew with less work.
_MAX_STEPS = 1500
_SETTLED = {"trial_paused": "paused", "trial_requeued": "waiting"}


def news(events: Iterable[Event] | None) -> News:
    """What events mean for the curves.

    Args:
        events: In order; None if they are not at hand any more.
    Returns:
        Nothing, or `steps` in the order of events, each one of `["point", trial_id, number, epoch, value]`,
        `["begin", trial_id, number, first_epoch]` and `["end", trial_id, state, reason]`.
    """
    if events is None:
        return {"reload": True}
    steps: list[list[Any]] = []
    for event in events:
        if event.kind == "trial_imported":
            return {"reload": True}
        if (step := _step(event)) is not None:
            steps.append(step)
    if len(steps) > _MAX_STEPS:
        return {"reload": True}
    return {"steps": steps} if steps else {}


def _step(event: Event) -> list[Any] | None:
    data = event.data
    match event.kind:
        case "measured":
            return ["point", data["trial_id"], data["number"], data["epoch"], data["value"]]
        case "trial_started":
            return ["begin", data["trial_id"], data["number"], data["first_epoch"]]
        case "trial_ended":
            return ["end", data["trial_id"], data["state"], data["stop_reason"]]
        case kind if kind in _SETTLED:
            return ["end", data["trial_id"], _SETTLED[kind], data.get("reason")]
    return None
