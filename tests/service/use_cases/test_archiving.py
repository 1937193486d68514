"""Archived studies are out of the way, complete, and change no more."""

from __future__ import annotations

from tests.service.artifacts.files import Files, content
from tests.service.protocol.wire import PREFIX
from tests.service.use_cases.lab import Lab


def _names(lab: Lab, query: str = "") -> list[str]:
    return [study["name"] for study in lab.wire.get(f"/studies{query}")["items"]]


def test_an_archived_study_is_listed_only_when_it_is_asked_for(lab: Lab) -> None:
    name = lab.study(tags={"for": "archives"})
    lab.wire.post(f"/studies/{name}:stop")
    assert lab.wire.post(f"/studies/{name}:archive")["archived_at"] is not None
    archived = lab.wire.get(f"/studies/{name}")
    assert lab.wire.post(f"/studies/{name}:archive") == archived
    assert name not in _names(lab)
    assert _names(lab, "?archived=true&q=for%3Darchives") == [name]
    assert lab.wire.get("/studies?archived=true&q=for%3Darchives")["total"] == 1
    assert lab.wire.get(f"/studies/{name}") == archived
    assert lab.wire.post(f"/studies/{name}:unarchive")["archived_at"] is None
    back = lab.wire.get(f"/studies/{name}")
    assert lab.wire.post(f"/studies/{name}:unarchive") == back
    assert name in _names(lab)
    assert [event.kind for event in lab.events(name)][-2:] == ["study_archived", "study_unarchived"]


def test_only_what_has_ended_is_archived(lab: Lab) -> None:
    name = lab.study()
    assert lab.wire.refused("POST", f"/studies/{name}:archive") == "409 state_conflict"
    lab.wire.post(f"/studies/{name}:pause")
    assert lab.wire.refused("POST", f"/studies/{name}:archive") == "409 state_conflict"
    assert lab.wire.refused("POST", "/studies/nobody-knows-it:archive") == "404 not_found"
    assert lab.wire.refused("POST", "/studies/nobody-knows-it:unarchive") == "404 not_found"


def test_nothing_of_an_archived_study_changes(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 1, "max_epochs": 2})
    lab.train(name, {"x": 0.5, "kind": "a"}, 0.25)
    trial_id = lab.trial(name, 0)["trial_id"]
    lab.wire.post(f"/studies/{name}:stop")
    lab.wire.post(f"/studies/{name}:archive")
    before = lab.wire.get(f"/studies/{name}"), lab.wire.get(f"/trials/{trial_id}")
    for method, path, body in (
        ("DELETE", f"/studies/{name}", None),
        ("PATCH", f"/studies/{name}", {"tags": {"a": "b"}}),
        ("POST", f"/studies/{name}:resume", None),
        ("POST", f"/studies/{name}:pause", None),
        ("POST", f"/studies/{name}/trials", {"params": {"x": 0.1, "kind": "a"}}),
        ("PATCH", f"/trials/{trial_id}", {"note": "still here"}),
        ("POST", f"/trials/{trial_id}:retry", None),
    ):
        assert lab.wire.refused(method, path, body) == "409 state_conflict", (method, path)
    assert lab.claim() == []
    assert (lab.wire.get(f"/studies/{name}"), lab.wire.get(f"/trials/{trial_id}")) == before
    assert lab.wire.client.get(f"{PREFIX}/studies/{name}/export?format=csv").status_code == 200
    lab.wire.post(f"/studies/{name}:unarchive")
    lab.wire.client.delete(f"{PREFIX}/studies/{name}").raise_for_status()


def test_the_weights_of_the_best_stay(lab: Lab) -> None:
    files = Files(lab.wire, lab.objective)
    name = files.study(budget={"max_trials": 2, "max_epochs": 2})
    best, _ = files.trained(name, 0.5, 0.25)
    assert files.store_weights(best, 1, content()) == "201"
    lab.wire.post(f"/studies/{name}:stop")
    lab.wire.post(f"/studies/{name}:archive")
    assert files.listed(best) == [("weights", 1)]
    assert files.download(best).status_code == 200
