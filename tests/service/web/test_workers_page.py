"""The page of workers: what each does, and the buttons that steer it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from caviar.contract.study import Requires
from caviar.contract.views import WorkerView
from service.web import formats
from service.web.tables import fleet
from tests.service.web.trials import ScriptedWorker

GIB = 2**30
DEVICE = {
    "kind": "gpu",
    "name": "<b>H200</b>",
    "index": 0,
    "uuid": "GPU-1",
    "memory_total_bytes": 141 * GIB,
    "memory_used_bytes": 31 * GIB,
    "utilisation": 0.83,
    "num_slots": 2,
}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def held(worker: ScriptedWorker) -> dict[str, Any]:
    """A trial in training on the first slot of a worker with a GPU."""
    worker.submit("digits")
    [trial] = worker.claim()
    slots = [
        {"index": 0, "state": "training", "device": "GPU-1", "trial_id": trial["trial_id"], "memory_bytes": 2 * GIB},
        {"index": 1, "state": "paused", "detail": "three failures in a row"},
    ]
    body = {"leases": [trial["lease"]], "devices": [DEVICE], "slots": slots}
    worker.post(f"/workers/{worker.worker_id}:heartbeat", body)
    return trial


def plain(html: str) -> str:
    """A page with its thin spaces as usual ones."""
    return html.replace("\u202f", " ")


def test_devices_slots_and_their_trials_are_shown(
    browser: TestClient, worker: ScriptedWorker, held: dict[str, Any]
) -> None:
    html = plain(browser.get("/workers").text)
    for text in (
        "box-1",
        '<p class="figure">10</p><p class="note">could be in training</p>',
        '<h2 id="host-name-1">box</h2>',
        "1 worker, 4 slots, 1 in training",
        f'<meter min="0" max="{141 * GIB}" value="{31 * GIB}"',
        "31 GiB of 141 GiB",
        "2 slots",
        "83%</span>",
        "&lt;b&gt;H200&lt;/b&gt;",
        f'<a href="/trials/{held["trial_id"]}">digits #0</a>',
        "<td>GPU 0</td>",
        "Slot 1 is paused: three failures in a row",
        "trains Line",
        "0 of 8<svg",
    ):
        assert text in html
    assert "<b>H200</b>" not in html
    assert 'href="/workers"' in browser.get("/").text


def test_the_page_keeps_the_policy_and_has_a_fragment(browser: TestClient, held: dict[str, Any]) -> None:
    answer = browser.get("/workers")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", answer.text)
    fragment = browser.get("/fragments/workers").text
    assert "<html" not in fragment
    assert "three failures in a row" in fragment


@pytest.mark.parametrize(
    ("verb", "mode", "offered"), [("pause", "paused", {"resume", "drain"}), ("drain", "draining", {"resume"})]
)
def test_buttons_steer_a_worker(
    browser: TestClient, worker: ScriptedWorker, verb: str, mode: str, offered: set[str]
) -> None:
    def buttons() -> set[str]:
        return set(re.findall(rf'action="/workers/{worker.worker_id}/(\w+)"', browser.get("/workers").text))

    assert buttons() == {"pause", "drain"}
    answer = browser.post(f"/workers/{worker.worker_id}/{verb}", headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/workers?did={verb}&worker={worker.worker_id}")
    told = browser.get(answer.headers["location"]).text
    assert f'<span class="chip {mode}">' in told
    [undo] = re.findall(r'<div class="notice" role="status">.*?action="([^"]+)"', told, re.DOTALL)
    assert undo == f"/workers/{worker.worker_id}/resume"
    assert 'class="notice"' not in browser.get("/workers").text
    assert buttons() == offered
    browser.post(f"/workers/{worker.worker_id}/resume", headers=SAME_ORIGIN)
    assert buttons() == {"pause", "drain"}


def test_all_workers_of_a_host_are_drained_after_a_question(browser: TestClient, worker: ScriptedWorker) -> None:
    second = ScriptedWorker(worker.http, name="box-2")
    html = browser.get("/workers").text
    assert "All 2 workers of box take nothing new" in html
    answer = browser.post("/workers/hosts/drain", data={"host": "box"}, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/workers?did=drain&host=box")
    told = browser.get(answer.headers["location"]).text
    assert "2 workers of <b>box</b>: each takes nothing new" in told
    assert 'action="/workers/hosts/resume"' in told
    assert "Drain all" not in told
    modes = {one["worker_id"]: one["mode"] for one in worker.http.get("/api/v1/workers").json()["items"]}
    assert modes == {worker.worker_id: "draining", second.worker_id: "draining"}
    assert browser.post("/workers/hosts/resume", data={"host": "box"}, headers=SAME_ORIGIN).status_code == 303
    assert browser.post("/workers/hosts/drain", data={"host": "attic"}, headers=SAME_ORIGIN).status_code == 404
    assert browser.post("/workers/hosts/drain", headers=SAME_ORIGIN).status_code == 422


def test_a_silent_worker_and_a_full_device_are_told(worker: ScriptedWorker, held: dict[str, Any]) -> None:
    [shown] = worker.http.get("/api/v1/workers").json()["items"]
    view = WorkerView.model_validate({**shown, "devices": [DEVICE | {"num_slots": 0}]})
    entry = fleet.entry(view, {}, now=view.seen_at + timedelta(seconds=40), lease_ttl_s=60)
    assert [plain(text) for text in entry.troubles] == [
        "Silent for 40 s; in 20 s it counts as gone and its trials are lost.",
        "Slot 1 is paused: three failures in a row",
        "There is no room for a training on <b>H200</b> now.",
    ]
    calm = fleet.entry(view.model_copy(update={"devices": [], "slot_facts": []}), {}, now=view.seen_at, lease_ttl_s=60)
    assert calm.troubles == []


def test_other_sites_and_strangers_cannot_steer(browser: TestClient, worker: ScriptedWorker) -> None:
    path = f"/workers/{worker.worker_id}/drain"
    assert browser.post(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert browser.post(path).status_code == 403
    browser.cookies.clear()
    assert browser.post(path, headers=SAME_ORIGIN).status_code == 401
    [shown] = worker.http.get("/api/v1/workers").json()["items"]
    assert shown["mode"] == "working"


def test_what_cannot_be_steered_is_refused(browser: TestClient, worker: ScriptedWorker) -> None:
    assert browser.post("/workers/nobody/pause", headers=SAME_ORIGIN).status_code == 404
    assert browser.post(f"/workers/{worker.worker_id}/explode", headers=SAME_ORIGIN).status_code == 422


def test_without_workers_the_page_says_how_to_start_one(browser: TestClient) -> None:
    assert "<code>caviar work</code>" in browser.get("/workers").text


def test_a_study_that_nobody_can_serve_says_so(browser: TestClient, worker: ScriptedWorker) -> None:
    worker.submit("greedy", requires={"device": "gpu", "memory_bytes": 80 * GIB, "labels": {"site": "attic"}})
    html = plain(browser.get("/studies/greedy").text)
    said = "it requires a GPU with 80 GiB of memory, the label site=attic"
    assert f"no connected worker can take its trials now: {said}" in html
    assert f"No connected worker can take its trials now: {said}" in html
    worker.submit("modest")
    assert "can take its trials now" not in browser.get("/studies/modest").text


@pytest.mark.parametrize(
    ("requires", "words"),
    [
        ({}, ""),
        ({"device": "cpu"}, "a CPU"),
        ({"memory_bytes": 3 * GIB // 2}, "a device with 1.5 GiB of memory"),
        ({"device": "gpu", "memory_bytes": GIB}, "a GPU with 1 GiB of memory"),
        ({"labels": {"a": "b"}}, "the label a=b"),
    ],
)
def test_requirements_are_told_in_words(requires: dict[str, Any], words: str) -> None:
    assert plain(fleet.requirements(Requires.model_validate(requires))) == words


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (250 * 2**20, "250 MiB"),
        (80 * GIB, "80 GiB"),
        (3 * 2**40, "3 TiB"),
    ],
)
def test_sizes_have_the_unit_that_fits(num_bytes: int | None, text: str) -> None:
    assert plain(formats.size(num_bytes)) == text


def test_a_trial_shows_the_circumstances_and_the_log_of_its_attempts(
    browser: TestClient, worker: ScriptedWorker, held: dict[str, Any]
) -> None:
    facts = {
        "device_name": "H200",
        "peak_device_memory_bytes": 12 * GIB,
        "code_version": "ab12cd34ef56ab12",
        "is_alone": True,
        "versions": {"keras": "3.15.0"},
    }
    body = {"lease": held["lease"], "outcome": "out_of_memory", "facts": facts, "log_tail": "<i>last words</i>"}
    worker.post(f"/trials/{held['trial_id']}:finish", body)
    html = plain(browser.get(f"/trials/{held['trial_id']}").text)
    for text in (
        '<span class="device">(H200)</span> <span class="ending">ran out of memory</span>',
        "Last lines of its log",
        "&lt;i&gt;last words&lt;/i&gt;",
        "<dd>ab12cd34ef56</dd>",
        "<dt>alone on it</dt><dd>yes</dd>",
        "<dt>keras</dt><dd>3.15.0</dd>",
        "Why it ended: infeasible",
        "<dt>peak device memory</dt><dd>12 GiB</dd>",
    ):
        assert text in html
