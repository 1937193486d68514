"""What is kept: the newest reported checkpoint of a trial that may go on, the weights of the best trials of a study."""

from __future__ import annotations

from typing import Any

from tests.service.artifacts.files import Files, content, digest, said

_ASHA = {"kind": "asha", "min_resource": 1, "reduction_factor": 2}


def test_an_assignment_says_what_is_to_be_kept(files: Files) -> None:
    trial = files.assigned(checkpoints={"every_epochs": 2, "every_s": None, "keep_best": 0})
    assert (trial["checkpoint_every_epochs"], trial["checkpoint_every_s"], trial["keep_weights"]) == (2, None, False)
    trial = files.assigned()
    assert (trial["checkpoint_every_epochs"], trial["checkpoint_every_s"], trial["keep_weights"]) == (None, 60.0, True)


def test_a_reported_checkpoint_takes_the_place_of_the_one_before(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 1)
    assert files.store(trial, 2, content()) == "201"
    assert files.listed(trial) == [("checkpoint", 1), ("checkpoint", 2)]
    files.told(trial, 2, checkpoint=True)
    assert files.listed(trial) == [("checkpoint", 2)]


def test_the_next_attempt_is_told_of_the_file(files: Files) -> None:
    trial = files.assigned()
    data = files.kept(trial, 2)
    files.wire.release(trial)
    [again] = files.claim()
    assert again["checkpoint"] == {"epoch": 2, "size_bytes": len(data), "sha256": digest(data)}
    assert files.fetch(again, 2).content == data


def test_a_repeated_claim_tells_of_the_file_again(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 2)
    files.wire.release(trial)
    worker = files.wire.worker(files.objective)
    first = files.wire.claim(worker, request="the-same")
    assert files.wire.claim(worker, request="the-same") == first
    assert first[0]["checkpoint"]["sha256"]


def test_a_checkpoint_that_only_a_worker_has_leaves_the_stored_one_in_place(files: Files) -> None:
    trial = files.assigned()
    data = files.kept(trial, 1)
    files.told(trial, 2)
    files.told(trial, 3, checkpoint=True)
    files.wire.release(trial)
    [again] = files.claim()
    assert again["checkpoint"] == {"epoch": 3, "size_bytes": None, "sha256": None}
    assert files.wire.release(again, is_checkpoint_missing=True) == "waiting"
    [older] = files.claim()
    assert older["checkpoint"] == {"epoch": 1, "size_bytes": len(data), "sha256": digest(data)}
    assert [epoch for _, epoch, _ in files.wire.stored(trial["trial_id"])] == [1]


def test_a_missing_checkpoint_is_given_up_and_the_trial_begins_anew(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 2)
    files.wire.release(trial)
    [again] = files.claim()
    assert files.wire.release(again, is_checkpoint_missing=True) == "waiting"
    assert files.listed(trial) == []
    [anew] = files.claim()
    assert (anew["first_epoch"], anew["checkpoint"]) == (1, None)
    assert files.wire.release(anew, is_checkpoint_missing=True) == "waiting"


def test_a_checkpoint_whose_epoch_was_never_reported_goes_with_its_attempt(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 1)
    assert files.store(trial, 3, content()) == "201"
    files.wire.advance(60)
    assert files.wire.trial(trial)["state"] == "waiting"
    assert files.listed(trial) == [("checkpoint", 1)]


def test_a_paused_trial_keeps_its_checkpoint_and_goes_on_from_it(files: Files) -> None:
    name = files.study(pruner=_ASHA, budget={"max_trials": 2, "max_epochs": 4})
    [first] = files.claim()
    data = content()
    assert files.store(first, 1, data) == "201"
    assert files.told(first, 1, 0.1, checkpoint=True)["decision"] == "pause"
    assert files.listed(first) == [("checkpoint", 1)]
    [second] = files.claim()
    assert files.told(second, 1, 0.9)["decision"] == "pause"
    [promoted] = files.claim()
    assert promoted["trial_id"] == first["trial_id"]
    assert promoted["checkpoint"]["sha256"] == digest(data)
    assert files.wire.get(f"/studies/{name}")["state"] == "running"


def test_a_trial_that_ends_needs_no_checkpoint(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 1)
    files.finish(trial)
    assert files.listed(trial) == []


def test_a_trial_that_is_cancelled_needs_no_checkpoint(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 1)
    files.wire.post(f"/trials/{trial['trial_id']}:stop")
    assert files.listed(trial) == []


def _best(files: Files, name: str, x: float, value: float) -> Any:
    trial, answer = files.trained(name, x, value)
    assert answer["keep_weights"]
    assert files.store_weights(trial, 1, content()) == "201"
    return trial


def _with_weights(files: Files, *trials: Any) -> list[bool]:
    return [("weights", 1) in files.listed(trial) for trial in trials]


def test_the_weights_of_the_best_trials_are_kept(files: Files) -> None:
    name = files.study(budget={"max_trials": 9, "max_epochs": 5}, checkpoints={"keep_best": 2})
    fair, good = _best(files, name, 0.1, 0.5), _best(files, name, 0.2, 0.4)
    worse, answer = files.trained(name, 0.3, 0.6)
    assert not answer["keep_weights"]
    assert files.store_weights(worse, 1, content()) == "409 state_conflict"
    assert _with_weights(files, fair, good, worse) == [True, True, False]
    best = _best(files, name, 0.4, 0.1)
    assert _with_weights(files, fair, good, best) == [False, True, True]
    assert said(files.download(fair)) == "404 not_found"
    assert files.download(best).status_code == 200


def test_of_equal_trials_the_earlier_one_is_better(files: Files) -> None:
    name = files.study(budget={"max_trials": 9, "max_epochs": 5}, checkpoints={"keep_best": 1})
    first = _best(files, name, 0.1, 0.5)
    _, answer = files.trained(name, 0.2, 0.5)
    assert not answer["keep_weights"]
    assert _with_weights(files, first) == [True]


def test_higher_may_be_better(files: Files) -> None:
    metric = {"name": "val_loss", "direction": "maximize"}
    name = files.study(budget={"max_trials": 9, "max_epochs": 5}, checkpoints={"keep_best": 1}, metric=metric)
    low = _best(files, name, 0.1, 0.5)
    high = _best(files, name, 0.2, 0.9)
    assert _with_weights(files, low, high) == [False, True]


def test_no_weights_are_kept_where_none_are_wanted(files: Files) -> None:
    name = files.study(checkpoints={"keep_best": 0})
    trial, answer = files.trained(name, 0.1, 0.5)
    assert not answer["keep_weights"]
    assert files.store_weights(trial, 1, content()) == "409 state_conflict"


def test_a_better_trial_whose_weights_never_came_takes_no_place(files: Files) -> None:
    name = files.study(budget={"max_trials": 9, "max_epochs": 5}, checkpoints={"keep_best": 1})
    files.trained(name, 0.1, 0.1)
    second = _best(files, name, 0.2, 0.5)
    assert _with_weights(files, second) == [True]


def test_weights_come_back_as_they_were_stored(files: Files) -> None:
    trial, _ = files.trained(files.study(), 0.5, 0.2)
    data = content(5000)
    assert [files.store_weights(trial, 1, data) for _ in range(2)] == ["201", "200"]
    answer = files.download(trial)
    assert answer.content == data
    assert answer.headers["caviar-sha256"] == digest(data)
    assert answer.headers["caviar-epoch"] == "1"
    assert f'filename="trial-{trial["trial_id"]}.weights.h5"' in answer.headers["content-disposition"]
    again = files.finish(trial)
    assert (again["state"], again["keep_weights"]) == ("complete", False)


def test_a_trial_that_a_rule_stops_is_asked_for_its_weights(files: Files) -> None:
    trial = files.assigned(budget={"max_trials": 3, "max_epochs": 5, "target": 0.2})
    assert not files.told(trial, 1, 0.5)["keep_weights"]
    for _ in range(2):
        decision = files.told(trial, 2, 0.1)
        assert (decision["decision"], decision["keep_weights"]) == ("stop", True)
    assert files.store_weights(trial, 2, content()) == "201"
    assert not files.told(trial, 2, 0.1)["keep_weights"]


def test_a_paused_trial_is_not_asked_for_its_weights(files: Files) -> None:
    files.study(pruner=_ASHA, budget={"max_trials": 2, "max_epochs": 4})
    [trial] = files.claim()
    decision = files.told(trial, 1, 0.1, checkpoint=True)
    assert (decision["decision"], decision["keep_weights"]) == ("pause", False)


def test_a_failed_attempt_that_is_tried_again_is_not_asked_for_its_weights(files: Files) -> None:
    trial = files.assigned()
    files.told(trial, 1, 0.1)
    answer = files.finish(trial, "failed")
    assert (answer["state"], answer["keep_weights"]) == ("waiting", False)
    assert files.store_weights(trial, 1, content()) == "410 lease_lost"


def test_weights_of_an_epoch_that_was_not_reported_are_refused(files: Files) -> None:
    trial, _ = files.trained(files.study(), 0.5, 0.2)
    assert files.store_weights(trial, 2, content()) == "422 invalid_request"


def test_newer_weights_of_a_trial_take_the_place_of_older_ones(files: Files) -> None:
    trial = files.assigned()
    files.told(trial, 1, 0.5)
    assert files.store_weights(trial, 1, content()) == "201"
    files.told(trial, 2, 0.4)
    newer = content()
    assert files.store_weights(trial, 2, newer) == "201"
    assert files.listed(trial) == [("weights", 2)]
    assert files.download(trial).content == newer


def test_a_trial_that_is_run_again_loses_its_files(files: Files) -> None:
    name = files.study()
    trial, _ = files.trained(name, 0.5, 0.2)
    assert files.store_weights(trial, 1, content()) == "201"
    files.wire.post(f"/trials/{trial['trial_id']}:retry")
    assert files.listed(trial) == []


def test_the_files_of_a_deleted_study_go_with_it(files: Files) -> None:
    name = files.study()
    ended, _ = files.trained(name, 0.5, 0.2)
    assert files.store_weights(ended, 1, content()) == "201"
    [running] = files.claim()
    files.kept(running, 1)
    of_both = [f"-t{trial['trial_id']}-" for trial in (ended, running)]
    assert len([file for file in files.names() if any(part in file for part in of_both)]) == 2
    assert files.wire.ask("DELETE", f"/studies/{name}")[0] == 204
    files.wire.advance(61)
    files.wire.sweep()
    assert not [file for file in files.names() if any(part in file for part in of_both)]
    assert said(files.download(ended)) == "404 not_found"
    assert files.store(running, 2, content()) == "404 not_found"
