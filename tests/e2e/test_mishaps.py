"""One study in which everything goes wrong that can: each trial ends for its own reason, and no other is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caviar.contract.states import SlotState, StopReason, TrialState
from caviar.contract.views import TrialDetail
from tests.e2e.processes import CaviarProcess, Site, site, until

_DEADLINE_S = 240.0
_OBJECTIVE = Path(__file__).with_name("mishaps.py")
_UNTOUCHED = ("none", "calm", "quiet", "fine")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, TrialDetail], list[Any]]:
    """The trials of the study by what happened to them, and the slots of the worker afterwards."""
    with site(tmp_path_factory.mktemp("mishaps"), lease_ttl_s=30.0) as here:
        limits = {"CAVIAR_MAX_EPOCH_S": "15", "CAVIAR_MAX_SLOT_MEMORY_BYTES": str(3 * 1024**3)}
        box = here.start_worker("box", "--objective", str(_OBJECTIVE), slots=2, settings=limits)
        until(lambda: _is_offered(here, box), deadline_s=_DEADLINE_S, what="a worker that offers the objective")
        here.client.create_study(
            {
                "name": "mishaps",
                "objective": {"name": "mishaps"},
                "strategy": {"kind": "grid"},
                "pruner": {"kind": "none"},
                "early_stopping": None,
                "budget": {"max_trials": 10, "max_epochs": 3},
                "retries": 0,
            }
        )
        study = until(lambda: _ended(here), deadline_s=_DEADLINE_S, what="the end of the study")
        assert study.counts == {TrialState.COMPLETE: 4, TrialState.FAILED: 6}
        slots = until(lambda: _idle_slots(here), deadline_s=_DEADLINE_S, what="slots without work")
        details = [here.client.trial(trial.trial_id) for trial in here.client.trials("mishaps")]
        return {str(detail.params["mishap"]): detail for detail in details}, slots


def _is_offered(here: Site, box: CaviarProcess) -> bool:
    assert box.process.poll() is None, "the worker has ended"
    return any("mishaps" in worker.objectives for worker in here.client.workers().items)


def _ended(here: Site) -> Any:
    study = here.client.study("mishaps")
    return study if study.state.is_finished else None


def _idle_slots(here: Site) -> Any:
    (worker,) = here.client.workers().items
    facts = worker.slot_facts
    return facts if len(facts) == 2 and all(slot.state is SlotState.IDLE for slot in facts) else None


def test_no_slot_is_lost(ended: Any) -> None:
    _trials, slots = ended
    assert [slot.index for slot in slots] == [0, 1]


@pytest.mark.parametrize("name", _UNTOUCHED)
def test_the_others_are_untouched(ended: Any, name: str) -> None:
    trial = ended[0][name]
    assert (trial.state, trial.stop_reason, trial.num_epochs) == (TrialState.COMPLETE, StopReason.MAX_EPOCHS, 3)
    assert len(trial.attempts) == 1


@pytest.mark.parametrize(
    ("name", "reason", "rule"),
    [
        ("exception", StopReason.ERROR, "failed"),
        ("killed", StopReason.ERROR, "killed"),
        ("full_disk", StopReason.ERROR, "failed"),
        ("nan", StopReason.DIVERGED, "diverged"),
        ("hang", StopReason.TIME_LIMIT, "stalled"),
        ("hog", StopReason.INFEASIBLE, "out_of_memory"),
    ],
)
def test_each_ends_for_its_own_reason(ended: Any, name: str, reason: StopReason, rule: str) -> None:
    trial = ended[0][name]
    assert (trial.state, trial.stop_reason) == (TrialState.FAILED, reason)
    assert trial.evidence["rule"] == rule
    assert trial.evidence["epoch"] == 1


def test_errors_name_their_cause_and_show_the_last_lines(ended: Any) -> None:
    trials = ended[0]
    assert trials["exception"].error["kind"] == "ValueError"
    assert trials["exception"].error["traceback"].rstrip().endswith("the second epoch is not to my taste")
    assert trials["killed"].error["kind"] == "killed"
    assert "these are the last words" in trials["killed"].attempts[-1].log_tail
    assert "No space left on device" in trials["full_disk"].error["message"]


def test_the_hog_was_tried_once_more_alone_and_took_nobody_down(ended: Any) -> None:
    hog = ended[0]["hog"]
    assert [attempt.outcome for attempt in hog.attempts] == ["out_of_memory", "out_of_memory"]
    assert hog.evidence["alone"] is True
    assert hog.attempts[-1].facts.is_alone is True
    assert hog.attempts[-1].facts.peak_memory_bytes > 2 * 1024**3
