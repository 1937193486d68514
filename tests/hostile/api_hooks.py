"""Hooks of Schemathesis: valid requests are about things that exist, and nothing waits longer than a run can.

Loaded by Schemathesis itself, in its own process; `tests/hostile/api.py` says where the scenery lies.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

import schemathesis

_SCENERY = json.loads(Path(os.environ["HOSTILE_SCENERY"]).read_text())
_COUNT = Path(os.environ["HOSTILE_COUNT"])
_LEASES = [(int(trial), lease) for trial, lease in _SCENERY["leases"].items()]
_MAX_WAIT_S = 0.05
_chance = random.Random(os.environ["HOSTILE_SEED"])
_requests = 0


@schemathesis.hook
def before_call(_context: Any, case: Any, _arguments: dict[str, Any]) -> None:
    """Aim a valid request at what exists; requests that are meant to be invalid stay as they are."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    name = case.operation.definition.raw["operationId"]
    if name == "claim_trials" and case.body.get("wait_s"):
        case.body["wait_s"] = min(case.body["wait_s"], _MAX_WAIT_S)
    elif name == "stream_events":
        case.query.pop("after", None)
        case.headers.pop("last-event-id", None)
    elif name in ("finish_trial", "release_trial") and _chance.random() < 0.5:
        case.path_parameters["trial_id"], case.body["lease"] = _chance.choice(_LEASES)
    elif name == "report_measurements" and _chance.random() < 0.5:
        for item in case.body["items"]:
            item["trial_id"], item["lease"] = _chance.choice(_LEASES)
            item["metrics"]["val_loss"] = _chance.random()
    elif name in ("store_checkpoint", "store_weights") and isinstance(case.body, bytes):
        case.path_parameters["trial_id"], case.headers["Caviar-Lease"] = _chance.choice(_LEASES)
        case.headers["Caviar-SHA256"] = hashlib.sha256(case.body).hexdigest()


@schemathesis.hook
def after_call(_context: Any, _case: Any, _response: Any) -> None:
    """Count the requests."""
    global _requests  # noqa: PLW0603  # a hook has nothing else that lives as long as the run
    _requests += 1


atexit.register(lambda: _COUNT.write_text(str(_requests)))
