"""What can be asked next of what an answer has made, as OpenAPI's links tell it."""

from __future__ import annotations

from typing import Any


def _links(parameter: str, *operations: str) -> dict[str, Any]:
    value = f"$response.body#/{parameter if parameter.endswith('_id') else 'name'}"
    return {name: {"operationId": name, "parameters": {parameter: value}} for name in operations}


_STUDY = _links(
    "name",
    "read_study",
    "edit_study",
    "pause_study",
    "resume_study",
    "stop_study",
    "clone_study",
    "delete_study",
    "enqueue_trial",
    "import_trials",
    "retest_study",
    "list_trials",
    "read_leaderboard",
    "read_curves",
    "read_history",
    "read_points",
    "read_rounds",
    "open_round",
    "read_rungs",
    "read_spaces",
    "read_timeline",
    "export_study",
    "replay_study",
)
_TRIAL = _links(
    "trial_id",
    "read_trial",
    "read_measurements",
    "read_snippet",
    "annotate_trial",
    "stop_trial",
    "retry_trial",
)
_WORKER = _links(
    "worker_id",
    "claim_trials",
    "send_heartbeat",
    "pause_worker",
    "resume_worker",
    "drain_worker",
)

LINKS: dict[str, dict[str, Any]] = {
    "create_study": _STUDY,
    "clone_study": _STUDY,
    "enqueue_trial": _TRIAL,
    "register_worker": _WORKER,
}
"""Links of the good answers, by operation."""
