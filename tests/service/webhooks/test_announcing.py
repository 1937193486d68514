"""What webhooks are told is written with the change that it tells of: once, in full, and only to those who want it."""

from __future__ import annotations

from typing import Any

import pytest

from service.store import deliveries
from service.store.transaction import Transaction
from service.use_cases import controlling
from tests.service.webhooks.post import Post


def told(post: Post, webhook_id: int) -> list[tuple[str, str]]:
    """Events and studies that a webhook has been told of, the oldest first."""
    return [(one["event"], one["study"]) for one in reversed(post.deliveries(webhook_id))]


def test_a_new_best_value_and_the_end_are_told_with_what_they_are(post: Post) -> None:
    webhook = post.create("new_best", "study_done")
    name = post.trained([0.5], budget={"max_trials": 1, "max_epochs": 1})
    assert told(post, webhook) == [("new_best", name), ("study_done", name)]
    best, done = (one["payload"] for one in reversed(post.deliveries(webhook)))
    [trial] = post.wire.get(f"/studies/{name}/trials")["items"]
    assert best["type"] == "new_best"
    assert best["timestamp"] == "2026-11-21T12:00:00Z"
    url = f"https://caviar.example/trials/{trial['trial_id']}"
    assert best["text"] == f"{name}: new best val_loss 0.5 (trial 0, epoch 1). {url}"
    assert best["data"]["best"] == {
        "trial_id": trial["trial_id"],
        "number": 0,
        "params": trial["params"],
        "value": 0.5,
        "epoch": 1,
        "url": url,
    }
    study = done["data"]["study"]
    assert study == {
        "name": name,
        "state": "complete",
        "end_reason": "max_trials",
        "metric": "val_loss",
        "direction": "minimize",
        "num_trials": 1,
        "num_epochs": 1,
        "counts": {"complete": 1},
        "url": f"https://caviar.example/studies/{name}",
    }
    assert done["text"].startswith(f"{name} is complete (max_trials) after 1 trials (1 complete); best val_loss 0.5")


def test_a_study_that_is_stopped_without_a_value_is_told(post: Post) -> None:
    webhook = post.create("study_done")
    name = post.wire.study()
    post.wire.post(f"/studies/{name}:pause")
    assert told(post, webhook) == []
    post.wire.post(f"/studies/{name}:stop")
    [only] = post.deliveries(webhook)
    assert only["payload"]["data"]["study"]["end_reason"] == "stopped"
    assert only["payload"]["data"]["best"] is None
    assert f"{name} is stopped (stopped) after 0 trials; no trial has a value." in only["payload"]["text"]


def test_best_values_that_come_soon_are_one_message_with_the_newest(post: Post) -> None:
    webhook = post.create("new_best", rules={"best_every_s": 60.0})
    name = post.trained([0.9])
    assert post.go_round() == 1
    for value in (0.8, 0.7, 0.6):
        post.train(name, [value])
    assert post.go_round() == 0
    waiting, sent = post.deliveries(webhook)
    assert (sent["state"], sent["payload"]["data"]["best"]["value"]) == ("delivered", 0.9)
    assert (waiting["state"], waiting["payload"]["data"]["best"]["value"]) == ("waiting", 0.6)
    post.wire.advance(60)
    assert post.go_round() == 1
    assert [message["data"]["best"]["value"] for message in post.messages()] == [0.9, 0.6]
    post.wire.advance(60)
    post.train(name, [0.5])
    assert post.go_round() == 1


def test_a_value_that_is_no_better_is_not_told(post: Post) -> None:
    webhook = post.create("new_best", rules={"best_every_s": 0.0})
    post.trained([0.5, 0.6], [0.7, 0.5])
    assert len(post.deliveries(webhook)) == 1


def test_only_the_studies_that_are_named_are_told(post: Post) -> None:
    everything = post.create("study_done")
    name = post.wire.study()
    own = post.create("study_done", studies=[f"{name[:-1]}*", "x"])
    others = post.create("study_done", studies=["another", "an-*"])
    off = post.create("study_done", is_active=False)
    else_told = post.create("new_best")
    post.wire.post(f"/studies/{name}:stop")
    assert [len(post.deliveries(one)) for one in (everything, own, others, off, else_told)] == [1, 1, 0, 0, 0]


def test_many_failures_within_a_short_time_are_told_once_an_hour(post: Post) -> None:
    webhook = post.create("failure_storm", rules={"storm_failures": 3, "storm_within_s": 600.0, "storm_share": 0.5})
    name = post.trained([], [], outcome="failed")
    post.wire.clock.advance(601)
    post.train(name, [], [], outcome="failed")
    assert told(post, webhook) == []
    post.train(name, [0.5], [0.5])
    post.train(name, [], outcome="diverged")
    assert told(post, webhook) == []
    post.train(name, [], outcome="failed")
    [storm] = post.deliveries(webhook)
    assert storm["payload"]["data"]["rule"] == {
        "limit": {"failures": 3.0, "within_s": 600.0, "share": 0.5},
        "found": {"failed": 3.0, "ended": 6.0},
        "reasons": {"error": 3},
    }
    assert "3 of 6 trials that ended within 600 s have failed (3 error)" in storm["payload"]["text"]
    post.train(name, [], [], [], outcome="failed")
    assert len(post.deliveries(webhook)) == 1
    post.wire.clock.advance(3601)
    post.train(name, [], [], [], outcome="failed")
    assert len(post.deliveries(webhook)) == 2


def test_few_failures_among_many_trials_are_no_storm(post: Post) -> None:
    webhook = post.create("failure_storm", rules={"storm_failures": 2, "storm_share": 0.9})
    name = post.trained([0.5])
    post.train(name, [], [], outcome="failed")
    assert told(post, webhook) == []


def test_a_study_without_a_better_value_is_told_once(post: Post) -> None:
    webhook = post.create("stagnation", rules={"stagnant_trials": 2})
    name = post.trained([0.5], [0.6])
    assert told(post, webhook) == []
    post.wire.advance(5)
    post.train(name, [0.7], [0.8])
    [only] = post.deliveries(webhook)
    assert only["payload"]["data"]["rule"]["found"] == {"trials": 2.0, "epochs": 2.0}
    assert "no better value for 2 trials and 2 epochs; best val_loss 0.5" in only["payload"]["text"]
    post.wire.advance(5)
    post.train(name, [0.4])
    post.wire.advance(5)
    post.train(name, [0.6], [0.6])
    assert len(post.deliveries(webhook)) == 2


def test_a_long_trial_that_gets_no_better_is_noticed_by_the_loop(post: Post) -> None:
    name = post.trained()
    webhook = post.create("stagnation", studies=[name], rules={"stagnant_trials": None, "stagnant_epochs": 3})
    assignment = post.wire.claim_one(post.wire.worker(name))
    for epoch, value in enumerate([0.5, 0.6, 0.6, 0.6], start=1):
        post.wire.report(assignment, epoch, value)
    assert told(post, webhook) == []
    post.wire.advance(61)
    post.go_round()
    assert told(post, webhook) == [("stagnation", name)]
    post.wire.advance(61)
    post.go_round()
    assert len(post.deliveries(webhook)) == 1
    post.wire.post(f"/studies/{name}:stop")


def test_a_study_that_never_had_a_value_stagnates_too(post: Post) -> None:
    webhook = post.create("stagnation", rules={"stagnant_trials": 2})
    name = post.trained([], [], [], outcome="failed")
    [only] = post.deliveries(webhook)
    assert only["study"] == name
    assert only["payload"]["data"]["best"] is None


def test_messages_outlive_their_study(post: Post) -> None:
    webhook = post.create("study_done")
    name = post.wire.study()
    post.wire.post(f"/studies/{name}:stop")
    assert post.wire.ask("DELETE", f"/studies/{name}")[0] == 204
    assert post.go_round() == 1
    assert told(post, webhook) == [("study_done", name)]
    assert post.messages()[0]["data"]["study"]["name"] == name


def test_what_is_rolled_back_is_not_told(post: Post) -> None:
    webhook = post.create("study_done")
    name = post.wire.study()

    def fail(tx: Transaction) -> None:
        controlling.stop(tx, name)
        raise RuntimeError("after the change")

    with pytest.raises(RuntimeError, match="after the change"):
        post.wire.service.write(fail)
    assert told(post, webhook) == []
    assert post.wire.get(f"/studies/{name}")["state"] == "running"


def test_without_webhooks_no_message_is_looked_for(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(deliveries, "last", lambda *arguments: asked.append(arguments))
    post.trained([0.5, 0.4], budget={"max_trials": 1, "max_epochs": 2})
    assert asked == []
