"""Every page by name, and a made-up study that has something to show on each."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks.synthetic import make
from service.store.engine import connect

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
    "sign in": "/login",
    "lost": "/nowhere",
}
"""Addresses of all pages; `{best}` and `{failed}` are trials of the study."""


def make_up(database_url: str) -> None:
    """Write the two studies to a database with the tables of this version."""
    engine = connect(database_url)
    try:
        for seed, name in enumerate((STUDY, OTHER)):
            make(engine, name=name, num_trials=NUM_TRIALS, seed=seed, now=datetime.now(UTC))
    finally:
        engine.dispose()
