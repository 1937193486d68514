"""Every page with hostile texts in every field: nothing of them runs, leaves the page, or breaks its layout."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import SETTLED
from tests.browser.conftest import TOKEN, Opened
from tests.service.web.trials import SPACE, ScriptedWorker

_RUN = "globalThis.owned = true"
TEXTS = {
    "markup": (
        f'"><img src=x onerror="{_RUN}"></script></textarea></title><svg onload={_RUN}><script>{_RUN}</script>'
        f"' onmouseover='{_RUN}' {{{{ 7*7 }}}}${{7*7}} javascript:{_RUN} <!--\u2028\u2029\\u003c"
    ),
    "signs": "\u202egnp.exe\u202c\u2066\u2067evil\u2069\u200b\ufeff Z"
    + "\u0301\u0351\u036b" * 20
    + "\x1b[31mred\x1b]0;t\x07\x9b\r\n"
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3f4\U000e0067\U000e007f",
}
_PAGES = (
    "/", "/workers", "/new", "/new?from={study}", "/studies/{study}", "/studies/{study}?q={text}",
    "/studies/{study}/curves", "/studies/{study}/zoom", "/studies/{study}/space", "/studies/{study}/analysis",
    "/studies/{study}/rungs",
    "/studies/{study}/timeline", "/studies/{study}/setup", "/studies/{study}/edit", "/studies/{study}/delete",
    "/studies/{study}/compare?trial=0&trial=1", "/trials/{failed}", "/trials/{best}", "/trials/{best}/clone",
    "/compare?study={study}&study={study}-other", "/?q={text}", "/studies/{text}", "/studies/{study}?sort={text}",
)  # fmt: skip


def _stored(worker: ScriptedWorker, name: str, text: str) -> dict[str, Any]:
    """A study whose every text is hostile, of trials that ended well and badly on a hostile worker."""
    shown = text[:200]
    choices = {"type": "categorical", "choices": [text, text[::-1] + "."]}
    changes: dict[str, Any] = {
        "space": {**SPACE, "hostile": choices},
        "tags": {shown: text, f"<b>{shown}"[:200]: text},
        "objective": {"name": worker.objective, "config": {shown: text, "list": [text, {shown: text}]}},
        "requires": {"labels": {}},
    }
    worker.submit(f"{name}-other", **changes, budget={"max_trials": 1, "max_epochs": 2})
    worker.submit(name, **changes, priority=5, budget={"max_trials": 12, "max_epochs": 2})
    assigned = worker.claim(4)
    for rank, trial in enumerate(assigned[:3]):
        worker.report(trial, 0.5 - 0.1 * rank, 0.4 - 0.1 * rank)
        worker.finish(trial)
    failed = assigned[3]
    facts = {
        "device": shown, "device_name": shown, "backend": shown[:40], "versions": {shown[:40]: shown[:40]},
    }  # fmt: skip
    error = {"kind": shown, "message": text, "traceback": f"{text}\n{text}"}
    body = {"lease": failed["lease"], "outcome": "failed", "error": error, "log_tail": text * 3, "facts": facts}
    worker.post(f"/trials/{failed['trial_id']}:finish", body)
    # Tags and notes hold no control characters: they are refused there.
    said = "".join(filter(str.isprintable, text))
    for trial in assigned:
        answer = worker.http.patch(
            f"/api/v1/trials/{trial['trial_id']}", json={"tags": {said[:60]: said[:60]}, "note": said * 2}
        )
        assert answer.is_success, answer.text
    return {"study": name, "best": assigned[2]["trial_id"], "failed": failed["trial_id"]}


def _register(worker: ScriptedWorker, text: str) -> None:
    """The same objective on a worker whose own facts are hostile too."""
    shown = text[:200]
    device = {
        "kind": "gpu", "name": shown, "index": 0, "uuid": shown, "memory_total_bytes": 8_000_000_000,
        "facts": {shown: shown},
    }  # fmt: skip
    offer = {
        "name": shown, "host": shown, "slots": 4, "labels": {shown: shown}, "devices": [device],
        "objectives": [{"name": worker.objective}],
    }  # fmt: skip
    worker.worker_id = worker.post("/workers", offer)["worker_id"]
    slot = {"index": 0, "state": "paused", "device": shown, "detail": text[:500]}
    worker.post(f"/workers/{worker.worker_id}:heartbeat", {"slots": [slot]})


_INLINE = "script:not([src]):not([type*=json]), [onerror], [onload], [onmouseover]"
_WIDER = """() => {
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= most) return [];
  const wide = [...document.querySelectorAll("main *")].filter((one) => one.getBoundingClientRect().right > most + 1);
  const told = (one) => `${one.tagName}.${one.className} in ${one.parentElement.className}`;
  return ["too wide", ...wide.slice(0, 4).map(told)];
}"""


def _wrong(page: Page, address: str) -> list[str]:
    """What a page must not be or do."""
    page.goto(address, wait_until="load")
    page.wait_for_function(SETTLED)
    found = list(page.evaluate(_WIDER))
    if page.evaluate("globalThis.owned") is not None:
        found.append("a text was run")
    if page.locator(_INLINE).count():
        found.append("a text became an element")
    return [f"{address}: {one}" for one in found]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["markup"])
def test_no_page_runs_or_breaks(open_page: Opened, worker: ScriptedWorker, kind: str) -> None:
    text = TEXTS[kind]
    _register(worker, text)
    study = f"hostile-{kind}"
    found = _stored(worker, study, text)
    page, watch = open_page(viewport={"width": 1200, "height": 900})
    # A page that is not there, or not to be shown so, is an error of the address.
    watch.expected.append("Failed to load resource: the server responded with a status of 4")
    said = quote(text[:150], safe="")
    wrong = [one for address in _PAGES for one in _wrong(page, address.format(**found, text=said))]
    assert not wrong
    assert json.loads(page.request.get(f"/api/v1/studies/{study}").text())["tags"][text[:200]] == text


@pytest.mark.browser
def test_ranges_of_unbroken_texts_wrap(open_page: Opened, worker: ScriptedWorker) -> None:
    choices = {"type": "categorical", "choices": ["w" * 900, "v" * 900]}
    worker.submit("s" * 64, space={**SPACE, "n" * 64: choices, "m" * 64: {"type": "float", "low": 0.1, "high": 1.0}})
    page, _ = open_page(viewport={"width": 420, "height": 900})
    assert not _wrong(page, f"/studies/{'s' * 64}/space")


@pytest.mark.browser
def test_tables_wider_than_the_page_scroll_within_it(open_page: Opened, worker: ScriptedWorker) -> None:
    space = {letter * 64: {"type": "float", "low": 0.1, "high": 1.0} for letter in "klmn"}
    worker.submit("t" * 64, space=space, budget={"max_trials": 1, "max_epochs": 1})
    [trial] = worker.claim()
    worker.report(trial, 0.5)
    worker.finish(trial)
    page, _ = open_page(viewport={"width": 760, "height": 900})
    assert not [one for address in ("/", f"/studies/{'t' * 64}") for one in _wrong(page, address)]


def test_headers_of_downloads_hold_nothing_of_the_texts(worker: ScriptedWorker, study: str) -> None:
    found = _stored(worker, study, TEXTS["signs"])
    for path in (f"/studies/{study}/export?format=csv", f"/studies/{study}/leaderboard?format=csv"):
        answer = worker.http.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.headers["content-disposition"].isascii()
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert found["study"] in answer.headers["content-disposition"]
