"""What decisions and ends rest on, in words: one formatter for the evidence of all rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from caviar.contract.study import Metric
from service.web import formats

Evidence = Mapping[str, Any]

_DECIDED = {"continue": "goes on", "pause": "paused", "stop": "stopped", "promote": "promoted"}
_STUDY_ENDS = {
    "max_trials": "the study had all its trials",
    "max_total_epochs": "the study's epochs were spent",
    "max_seconds": "the study's time was up",
    "target": "the study reached its target",
    "stagnation": "the study had not become better for too long",
    "space_exhausted": "nothing new was left in the search space",
    "stopped": "the study was stopped by hand",
}


def decided(decision: str) -> str:
    """What a decision did to the trial."""
    return _DECIDED.get(decision, formats.words(decision))


def grounds(evidence: Evidence | None, metric: Metric) -> str:
    """What a decision, or the end of a trial, rests on: a sentence without a full stop; empty if nothing is known.

    Args:
        evidence: `rule` and what the rule compared.
        metric: Of the study.
    """
    if not evidence:
        return ""
    rule = str(evidence.get("rule", ""))
    tell = _RULES.get(rule)
    # Evidence may come from another version of the service: what is not there is not told.
    try:
        told = _plain(evidence) if tell is None else tell(evidence, metric)
    except KeyError:
        told = _plain(evidence)
    ended = evidence.get("study_ended")
    return told if ended is None else f"{told}; then {_STUDY_ENDS.get(str(ended), formats.words(str(ended)))}"


def _rungs(evidence: Evidence, metric: Metric) -> str:
    num_all, kept, rank = evidence["peers"] + 1, evidence["kept"], evidence["rank"]
    rule = f"{evidence['rule']}, rung {evidence['rung']}"
    value = formats.number(evidence["value"])
    if num_all == 1:
        return f"{rule}: {value} is the first to come here, so there is nobody to be better than yet"
    place = f"{rule}: {value} is number {rank} of {formats.count(num_all)} that came here"
    if kept == 0:
        return f"{place}, too few for one to go on yet"
    limit = "" if evidence["threshold"] is None else f", which takes {formats.number(evidence['threshold'])}"
    call = "; the last call sends the best one of a rung on" if evidence.get("last_call") else ""
    return f"{place}; {'the best one goes' if kept == 1 else f'the best {formats.count(kept)} go'} on{limit}{call}"


def _peers(evidence: Evidence, metric: Metric) -> str:
    value, threshold, num = evidence["value"], evidence["threshold"], evidence["peers"]
    word = "worse than" if metric.better(threshold, value) else "no worse than"
    limit = "the median" if evidence["rule"] == "median" else "the percentile"
    whose = "1 complete trial" if num == 1 else f"{formats.count(num)} complete trials"
    compared = f"{limit} of {whose} at this epoch, {formats.number(threshold)}"
    return f"{evidence['rule']}: {formats.number(value)} is {word} {compared}"


def _limits(evidence: Evidence, metric: Metric) -> str:
    value, threshold = evidence["value"], evidence["threshold"]
    side = "above" if value > threshold else "below" if value < threshold else "at"
    return f"threshold: {formats.number(value)} is {side} the limit {formats.number(threshold)}"


def _wilcoxon(evidence: Evidence, metric: Metric) -> str:
    p_value, limit = evidence["p_value"], evidence["threshold"]
    word = "below" if p_value < limit else "not below"
    return (
        f"wilcoxon: against trial {evidence['best_trial']}, the best complete one, p = {formats.number(p_value, 2)}, "
        f"{word} {formats.number(limit)}"
    )


def _patient(evidence: Evidence, metric: Metric) -> str:
    value, limit = evidence["value"], evidence["threshold"]
    word = "worse than" if metric.better(limit, value) else "no worse than"
    return f"patient: the best of the last epochs, {formats.number(value)}, is {word} {formats.number(limit)} before"


def _target(evidence: Evidence, metric: Metric) -> str:
    return f"{formats.number(evidence['value'])} reaches the study's target {formats.number(evidence['threshold'])}"


def _early_stopping(evidence: Evidence, metric: Metric) -> str:
    best, patience = evidence["best_epoch"], evidence["patience"]
    reached = f"{formats.number(evidence['value'])} at epoch {best} was not bettered by epoch {evidence['epoch']}"
    return reached if patience is None else f"early stopping: {reached}, with patience {patience}"


def _seconds(evidence: Evidence, metric: Metric) -> str:
    limit = evidence.get("threshold")
    if limit is None:
        return f"after epoch {evidence['epoch']}: {_STUDY_ENDS['max_seconds']}"
    return f"the attempt had used up its {formats.seconds(limit)}, after epoch {evidence['epoch']}"


def _retries(evidence: Evidence, metric: Metric) -> str:
    lost, allowed = evidence["attempts_charged"], evidence["retries"]
    return f"{_times(lost)} lost or failed, {allowed} {'retry' if allowed == 1 else 'retries'} allowed: " + str(
        evidence.get("detail") or "the worker gave no sign of life"
    )


def _failed(evidence: Evidence, metric: Metric) -> str:
    told = {
        "failed": "the training raised an error",
        "diverged": f"{metric.name} became infinite or not a number",
        "infeasible": "the configuration cannot be trained",
        "stalled": "nothing was heard from the training for too long",
        "killed": "the process of the training was killed",
        "exited": "the process of the training ended by itself",
    }[str(evidence["rule"])]
    after = f"after epoch {evidence['epoch']}" if evidence["epoch"] else "before the first epoch"
    if "retries" not in evidence:
        return f"{told}, {after} of attempt {evidence['attempt']}"
    allowed = evidence["retries"]
    charged = (
        f"{_times(evidence['attempts_charged'])} charged, {allowed} {'retry' if allowed == 1 else 'retries'} allowed"
    )
    return f"{told}, {after} of attempt {evidence['attempt']}; {charged}"


def _out_of_memory(evidence: Evidence, metric: Metric) -> str:
    device = evidence.get("device_name") or evidence.get("device") or "its device"
    peak = evidence.get("peak_device_memory_bytes") or evidence.get("peak_memory_bytes")
    held = "" if peak is None else f", where it held {formats.size(peak)}"
    return f"out of memory even alone on {device}{held}, in attempt {evidence['attempts']}"


def _study_end(evidence: Evidence, metric: Metric) -> str:
    epoch = evidence.get("epoch")
    after = f"after epoch {epoch}" if epoch else "before its first epoch"
    return f"{after}: {_STUDY_ENDS[str(evidence['rule'])]}"


def _total_epochs(evidence: Evidence, metric: Metric) -> str:
    spent = evidence.get("value")
    return _study_end(evidence, metric) + ("" if spent is None else f", {formats.count(spent)}")


def _times(number: int) -> str:
    return f"{number} {'attempt' if number == 1 else 'attempts'}"


def _plain(evidence: Evidence) -> str:
    told = [f"{formats.words(name)} {formats.fact(value)}" for name, value in evidence.items() if name != "study_ended"]
    return ", ".join(told)


_Tell = Callable[[Evidence, Metric], str]
_RULES: dict[str, _Tell] = {
    "asha": _rungs,
    "hyperband": _rungs,
    "percentile": _peers,
    "median": _peers,
    "threshold": _limits,
    "wilcoxon": _wilcoxon,
    "patient": _patient,
    "early_stopping": _early_stopping,
    "max_epochs": lambda evidence, metric: f"all {formats.count(evidence['threshold'])} epochs are done",
    "max_trial_seconds": _seconds,
    "max_seconds": _seconds,
    "by_hand": lambda evidence, metric: f"by hand, after epoch {evidence['epoch']}",
    "retries": _retries,
    "out_of_memory": _out_of_memory,
    "max_total_epochs": _total_epochs,
    "target": lambda evidence, metric: (_target if "value" in evidence else _study_end)(evidence, metric),
    **dict.fromkeys(("failed", "diverged", "infeasible", "stalled", "killed", "exited"), _failed),
    **dict.fromkeys(("max_trials", "stagnation", "space_exhausted", "stopped"), _study_end),
}
