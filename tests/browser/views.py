"""Every page by name, and made-up studies, people and webhooks that have something to show on each."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks.synthetic import make
from service.store.engine import connect
from tests.browser.furnishing import furnish

STUDY, OTHER = "made-up", "made-up-too"
NUM_TRIALS = 240

VIEWS = {
    "studies": "/",
    "comparing studies": f"/compare?study={STUDY}&study={OTHER}",
    "new study": "/new",
    "new study from another": f"/new?from={STUDY}",
    "leaderboard": f"/studies/{STUDY}",
    "leaderboard, filtered": f"/studies/{STUDY}?state=complete&sort=learning_rate",
    "comparing trials": f"/studies/{STUDY}/compare?trial=3&trial=17&trial=40",
    "curves": f"/studies/{STUDY}/curves",
    "zoom map": f"/studies/{STUDY}/zoom",
    "search space": f"/studies/{STUDY}/space",
    "analysis": f"/studies/{STUDY}/analysis",
    "rungs": f"/studies/{STUDY}/rungs",
    "timeline": f"/studies/{STUDY}/timeline",
    "set-up": f"/studies/{STUDY}/setup",
    "edit": f"/studies/{STUDY}/edit",
    "stop": f"/studies/{STUDY}/stop",
    "clone": f"/studies/{STUDY}/clone",
    "delete": f"/studies/{STUDY}/delete",
    "trial": "/trials/{best}",
    "failed trial": "/trials/{failed}",
    "cloning a trial": "/trials/{best}/clone",
    "workers": "/workers",
    "tokens": "/tokens",
    "share links": f"/studies/{STUDY}/shares",
    "no share links": f"/studies/{OTHER}/shares",
    "audit log": "/audit",
    "audit log, filtered": "/audit?action=token.create&since=2020-01-01",
    "audit log, nothing found": "/audit?actor=nobody",
    "you": "/session",
    "webhooks": "/webhooks",
    "webhook": "/webhooks/{busy}",
    "webhook that is off": "/webhooks/{off}",
    "webhook without deliveries": "/webhooks/{new}",
    "sign in": "/login",
    "lost": "/nowhere",
}
"""Addresses of all pages; `{best}` and `{failed}` are trials of the study, `{busy}`, `{off}` and `{new}` webhooks."""


def make_up(database_url: str) -> dict[str, int]:
    """Write the two studies, and what people leave behind, to a database that a service has begun with.

    Returns:
        Ids of the webhooks.
    """
    engine = connect(database_url)
    try:
        for seed, name in enumerate((STUDY, OTHER)):
            make(engine, name=name, num_trials=NUM_TRIALS, seed=seed, now=datetime.now(UTC))
        return furnish(database_url, STUDY)
    finally:
        engine.dispose()
