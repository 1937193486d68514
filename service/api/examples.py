"""One story for the OpenAPI document: the study `digits-mlp`, its first trial, and its worker `box-1`."""

from __future__ import annotations

from typing import Any

from service.api.identity_examples import IDENTITY, IDENTITY_BODIES
from service.api.progress_examples import PROGRESS
from service.api.webhook_examples import WEBHOOK_ANSWERS, WEBHOOK_BODIES

_WORKER = "5f0c7a52-93a1-4d6b-9a3e-0d2f5c1b7e11"
_LEASE = "Yk3p0V5tQm8sXn2cLw7bHd4fRz6aJg1e"
_CREATED, _STARTED, _REPORTED = "2026-11-21T09:00:00Z", "2026-11-21T09:00:01Z", "2026-11-21T09:00:02Z"

_SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 0.0001, "high": 1.0, "scale": "log"},
    "beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log"},
    "units": {"type": "int", "low": 16, "high": 512, "scale": "log"},
}
_PARAMS: dict[str, Any] = {"learning_rate": 0.0021, "beta_1": 0.9861, "units": 128}
_METRIC = {"name": "val_loss", "direction": "minimize"}
_OBJECTIVE = {"name": "mlp", "config": {"dataset": "digits"}}
_EARLY_STOPPING = {
    "monitor": None,
    "min_delta": 0.0,
    "patience": 5,
    "mode": "auto",
    "baseline": None,
    "restore_best_weights": True,
    "start_from_epoch": 0,
}
_BUDGET = {
    "max_trials": 60,
    "max_epochs": 30,
    "max_total_epochs": None,
    "max_seconds": None,
    "max_trial_seconds": None,
    "max_parallel": None,
    "max_stagnant_trials": None,
    "target": None,
}

_SUBMITTED: dict[str, Any] = {
    "name": "digits-mlp",
    "objective": _OBJECTIVE,
    "metric": _METRIC,
    "space": _SPACE,
    "strategy": {"kind": "coarse_to_fine"},
    "pruner": {"kind": "asha"},
    "early_stopping": {"patience": 5},
    "budget": {"max_trials": 60, "max_epochs": 30},
    "seed": 7,
}

_STUDY: dict[str, Any] = {
    "name": "digits-mlp",
    "state": "running",
    "end_reason": None,
    "objective": _OBJECTIVE,
    "metric": _METRIC,
    "space": {name: {**parameter, "when": None} for name, parameter in _SPACE.items()},
    "strategy": {"kind": "coarse_to_fine"},
    "pruner": {"kind": "asha"},
    "early_stopping": _EARLY_STOPPING,
    "budget": _BUDGET,
    "retries": 2,
    "seed": 7,
    "warm_start": [],
    "tags": {},
    "counts": {"running": 1},
    "num_trials": 1,
    "num_imported": 0,
    "num_epochs": 1,
    "slot_s": 4.25,
    "round": 0,
    "space_version": 1,
    "seconds_left": None,
    "num_able_workers": 1,
    "best": {"trial_id": 1, "number": 0, "value": 0.412, "epoch": 1, "params": _PARAMS},
    "last_event_seq": 5,
    "created_at": _CREATED,
    "updated_at": _REPORTED,
    "ended_at": None,
}

_TRIAL: dict[str, Any] = {
    "trial_id": 1,
    "study": "digits-mlp",
    "number": 0,
    "state": "running",
    "stop_reason": None,
    "evidence": None,
    "origin": "sampler",
    "round": 0,
    "params": _PARAMS,
    "value": 0.412,
    "best_epoch": 1,
    "num_epochs": 1,
    "max_epochs": 30,
    "checkpoint_epoch": None,
    "space_version": 1,
    "attempt": 1,
    "seed": 1734250921,
    "worker": "box-1",
    "error": None,
    "duration_s": 0.61,
    "tags": {},
    "note": "",
    "created_at": _STARTED,
    "started_at": _STARTED,
    "ended_at": None,
}

_ATTEMPT = {
    "attempt": 1,
    "worker_id": _WORKER,
    "worker": "box-1",
    "first_epoch": 1,
    "started_at": _STARTED,
    "ended_at": None,
    "end": None,
    "error": None,
    "evidence": None,
}
_ASSIGNMENT = {
    "trial_id": 1,
    "study": "digits-mlp",
    "number": 0,
    "attempt": 1,
    "lease": _LEASE,
    "lease_ttl_s": 30.0,
    "params": _PARAMS,
    "seed": 1734250921,
    "data_seed": 560113428,
    "objective": _OBJECTIVE,
    "metric": _METRIC,
    "first_epoch": 1,
    "checkpoint": None,
    "checkpoint_epochs": [2, 8],
    "checkpoint_every_s": 60.0,
    "keep_weights": True,
    "is_alone": False,
    "requires": {"device": "gpu", "memory_bytes": None, "labels": {}},
    "max_epochs": 30,
    "max_trial_seconds": None,
    "early_stopping": _EARLY_STOPPING,
}
_MEASURED = {"epoch": 1, "metrics": {"loss": 0.903, "val_loss": 0.412, "val_accuracy": 0.883}, "elapsed_s": 0.61}
_GPU: dict[str, Any] = {
    "kind": "gpu",
    "name": "NVIDIA H200",
    "index": 0,
    "uuid": "GPU-7c1f8d52-3b6e-4a0f-9d27-5e8b1c4f6a93",
    "memory_total_bytes": 150754820096,
    "memory_used_bytes": 9730785280,
    "utilisation": 0.83,
    "temperature_c": 54.0,
    "power_w": 412.0,
    "num_slots": 2,
    "num_cores": None,
    "facts": {},
}
_SLOT = {
    "index": 0,
    "state": "training",
    "device": _GPU["uuid"],
    "trial_id": 1,
    "memory_bytes": 1932735283,
    "device_memory_bytes": 4831838208,
    "detail": None,
}
_WORKER_VIEW: dict[str, Any] = {
    "worker_id": _WORKER,
    "name": "box-1",
    "host": "box",
    "slots": 2,
    "devices": [_GPU],
    "labels": {"site": "basement"},
    "mode": "working",
    "slot_facts": [_SLOT, {**_SLOT, "index": 1, "state": "idle", "trial_id": None}],
    "objectives": ["mlp"],
    "running": [1],
    "is_alive": True,
    "registered_at": _CREATED,
    "seen_at": _REPORTED,
}
_ARTIFACT = {
    "kind": "weights",
    "epoch": 1,
    "size_bytes": 148992,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": _REPORTED,
}
_WAITING = {"trial_id": 2, "state": "waiting", "stop_reason": None}
_CANCELLED = {"trial_id": 1, "state": "cancelled", "stop_reason": "cancelled"}
_WINDOW = {
    "low": 0.0006,
    "high": 0.011,
    "unit_low": 0.195,
    "unit_high": 0.51,
    "weights": None,
    "reason": "narrowed: the best trials lie between 0.0009 and 0.007",
}

BODIES: dict[str, dict[str, Any]] = {
    **WEBHOOK_BODIES,
    **IDENTITY_BODIES,
    "create_study": _SUBMITTED,
    "preview_study": _SUBMITTED,
    "edit_study": {"budget": {"max_trials": 120}},
    "clone_study": {"name": "digits-mlp-2"},
    "enqueue_trial": {"params": _PARAMS},
    "import_trials": {"items": [{"params": _PARAMS, "epochs": {"1": 0.412, "2": 0.308}}]},
    "open_round": {"windows": {"learning_rate": {"low": 0.001, "high": 0.01}}},
    "register_worker": {
        "name": "box-1",
        "host": "box",
        "slots": 2,
        "devices": [_GPU],
        "labels": {"site": "basement"},
        "objectives": [{"name": "mlp"}],
    },
    "claim_trials": {"request_id": "box-1-0001", "max_trials": 1, "wait_s": 20.0, "leases": []},
    "send_heartbeat": {"leases": [_LEASE], "devices": [_GPU], "slots": [_SLOT], "checkpoints": [1]},
    "report_measurements": {"items": [{"trial_id": 1, "lease": _LEASE, **_MEASURED}]},
    "finish_trial": {"lease": _LEASE, "outcome": "complete"},
    "release_trial": {"lease": _LEASE},
    "retest_study": {"top": 5, "repeats": 2},
    "annotate_trial": {"tags": {"keep": ""}, "note": "Steady from epoch 4 on."},
}
"""An example of every request body, by operation."""

_COMPARED: dict[str, Any] = {
    **{name: _STUDY[name] for name in ("state", "objective", "metric", "best", "num_trials", "num_epochs", "slot_s")},
    "name": "digits-mlp",
    "created_at": _CREATED,
    "ended_at": None,
    "history": [{"trial_id": 1, "number": 0, "epoch": 1, "value": 0.412, "num_epochs": 1, "at": _REPORTED}],
    "distribution": {"num_trials": 1, "values": [0.412], "shares": [1.0]},
}

_RANKED: dict[str, Any] = {
    **_TRIAL,
    "rank": 1,
    "gap": 0.0,
    "is_tied": False,
    "repeats": {"num": 3, "mean": 0.418, "sd": 0.006},
    "device": "H200",
    "peak_memory_bytes": 734003200,
}
_NOISE = {"num_configurations": 5, "num_trials": 15, "sd": 0.0061, "margin": 0.0192}

_STOPPED = {**_STUDY, "state": "stopped", "end_reason": "stopped", "ended_at": _REPORTED}

ANSWERS: dict[str, Any] = {
    "create_study": _STUDY,
    "preview_study": {
        "configurations": [_PARAMS],
        "histograms": {"units": {"edges": [15.5, 89.1, 512.5], "choices": [], "counts": [0, 1]}},
        "cost": {"max_trials": 60, "max_total_epochs": 1800, "max_seconds": None, "num_configurations": None},
    },
    "list_studies": {"items": [_STUDY], "next_after": None, "total": 1},
    "compare_studies": {
        "items": [_COMPARED, {**_COMPARED, "name": "digits-random"}],
        "differences": [{"field": "strategy.kind", "values": ["coarse_to_fine", "random"]}],
    },
    "read_study": _STUDY,
    "edit_study": {**_STUDY, "budget": {**_BUDGET, "max_trials": 120}},
    "pause_study": {**_STUDY, "state": "paused"},
    "resume_study": _STUDY,
    "stop_study": _STOPPED,
    "archive_study": {**_STOPPED, "archived_at": _REPORTED},
    "unarchive_study": _STOPPED,
    "clone_study": {**_STUDY, "name": "digits-mlp-2", "counts": {}, "num_trials": 0, "num_epochs": 0, "best": None},
    "read_leaderboard": {
        "study": "digits-mlp",
        "metric": _METRIC,
        "total": 1,
        "num_matching": 1,
        "pinned": [],
        "items": [_RANKED],
        "next_after": None,
        "noise": _NOISE,
    },
    "compare_trials": {
        "study": "digits-mlp",
        "metric": _METRIC,
        "differing": ["units"],
        "items": [
            {**_RANKED, "epochs": [1], "values": [0.412]},
            {**_RANKED, "trial_id": 2, "number": 1, "rank": 2, "params": {**_PARAMS, "units": 64}}
            | {"epochs": [1], "values": [0.431], "value": 0.431, "gap": 0.019, "is_tied": True},
        ],
        "noise": _NOISE,
    },
    "retest_study": {"items": [{**_WAITING, "trial_id": 61}]},
    "annotate_trial": {
        **_TRIAL,
        "tags": {"keep": ""},
        "note": "Steady from epoch 4 on.",
        "metric": _METRIC,
        "attempts": [_ATTEMPT],
        "decisions": [],
        "as_of_seq": 1,
    },
    "list_trials": {"items": [_TRIAL], "next_after": None},
    "enqueue_trial": _WAITING,
    "read_curves": {
        "study": "digits-mlp",
        "metric": _METRIC,
        "items": [{"trial_id": 1, "number": 0, "state": "running", "epochs": [1], "values": [0.412]}],
        "next_after": None,
    },
    "import_trials": {
        "num_imported": 1,
        "skipped": [
            {"position": 1, "number": 7, "reason": "it is failed; only complete, pruned and paused trials are imported"}
        ],
    },
    "open_round": {
        "number": 2,
        "first_trial": 20,
        "origin": "manual",
        "elite": [],
        "windows": {
            "learning_rate": {
                **_WINDOW,
                "low": 0.001,
                "high": 0.01,
                "unit_low": 0.25,
                "unit_high": 0.5,
                "reason": "set by hand",
            }
        },
        "model": None,
        "num_epochs": 0,
        "opened_at": _REPORTED,
    },
    "read_spaces": {
        "study": "digits-mlp",
        "num_trials": 1,
        "num_fitting": 1,
        "items": [{"version": 1, "space": _STUDY["space"], "created_at": _CREATED}],
    },
    "read_rounds": {
        "study": "digits-mlp",
        "items": [
            {
                "number": 1,
                "first_trial": 12,
                "origin": "sampler",
                "elite": [4, 9, 0],
                "windows": {"learning_rate": _WINDOW},
                "model": None,
                "num_epochs": 96,
                "opened_at": _REPORTED,
            }
        ],
    },
    "read_history": {
        "study": "digits-mlp",
        "metric": _METRIC,
        "num_epochs": 640,
        "created_at": _CREATED,
        "ended_at": None,
        "items": [
            {"trial_id": 7, "number": 6, "epoch": 9, "value": 0.0731, "num_epochs": 118, "at": _REPORTED},
        ],
    },
    "read_importances": {
        "study": "digits-mlp",
        "method": "ped_anova",
        "num_trials": 60,
        "items": [
            {"name": "learning_rate", "importance": 0.81, "num_trials": 60},
            {"name": "momentum", "importance": 0.19, "num_trials": 21},
        ],
    },
    "read_points": {
        "study": "digits-mlp",
        "metric": _METRIC,
        "total": 1,
        "num_shown": 1,
        "how": "all trials",
        "trial_ids": [1],
        "numbers": [0],
        "states": ["running"],
        "rounds": [0],
        "values": [0.412],
        "epochs": [1],
        "params": {name: [value] for name, value in _PARAMS.items()},
        "units": {"learning_rate": [0.3306], "beta_1": [0.4276], "units": [0.6]},
    },
    **PROGRESS,
    **WEBHOOK_ANSWERS,
    **IDENTITY,
    "read_contour": {
        "study": "digits-mlp",
        "metric": _METRIC,
        "x": {"name": "learning_rate", "units": [0.25, 0.75], "params": [0.001, 0.1]},
        "y": {"name": "units", "units": [0.25, 0.75], "params": [38, 215]},
        "grid": [[0.31, None], [0.24, 0.92]],
        "num_trials": 60,
        "how": "a mean of near trials, weighted by nearness and by epochs trained, over all trials",
    },
    "replay_study": {
        "study": "digits-mlp",
        "num_checked": 60,
        "num_identical": 60,
        "num_unchecked": 2,
        "first_difference": None,
        "is_identical": True,
    },
    "stream_events": (
        f'id: 5\nevent: measured\ndata: {{"seq":5,"kind":"measured","at":"{_REPORTED}",'
        '"data":{"trial_id":1,"number":0,"attempt":1,"epoch":1,"value":0.412}}\n\n'
    ),
    "export_study": {"study": _STUDY, "trials": [{**_TRIAL, "measurements": []}]},
    "read_trial": {**_TRIAL, "metric": _METRIC, "attempts": [_ATTEMPT], "decisions": [], "as_of_seq": 1},
    "read_measurements": {"trial_id": 1, "items": [{"attempt": 1, **_MEASURED, "reported_at": _REPORTED}]},
    "read_snippet": "import keras\n\nmodel = keras.Sequential([keras.Input(shape=(64,)), keras.layers.Dense(10)])\n",
    "store_checkpoint": {**_ARTIFACT, "kind": "checkpoint", "epoch": 2},
    "read_checkpoint": "the bytes of the file",
    "store_weights": _ARTIFACT,
    "read_weights": "the bytes of the file",
    "stop_trial": _CANCELLED,
    "retry_trial": {"trial_id": 1, "state": "waiting", "stop_reason": None},
    "list_objectives": {"items": [{"name": "mlp", "built_in": True, "space": _STUDY["space"], "workers": 1}]},
    "list_workers": {"items": [_WORKER_VIEW]},
    "read_demand": {"num_running": 1, "num_wanted": 60},
    "pause_worker": {**_WORKER_VIEW, "mode": "paused"},
    "resume_worker": _WORKER_VIEW,
    "drain_worker": {**_WORKER_VIEW, "mode": "draining"},
    "register_worker": {"worker_id": _WORKER, "lease_ttl_s": 30.0},
    "claim_trials": {"assigned": [_ASSIGNMENT], "retry_after_s": 0.0, "mode": "working"},
    "send_heartbeat": {"lost": [], "discard": [], "mode": "working"},
    "report_measurements": {"decisions": [{"trial_id": 1, "decision": "continue", "reason": None}], "rejected": []},
    "finish_trial": {"trial_id": 1, "state": "complete", "stop_reason": "max_epochs"},
    "release_trial": {"trial_id": 1, "state": "waiting", "stop_reason": None},
    "read_health": {"status": "ok", "checks": []},
    "read_metrics": "# HELP caviar_leases_held Trials that a worker holds.\ncaviar_leases_held 8.0\n",
    "read_readiness": {"status": "ok", "checks": [{"name": "database", "is_ok": True, "age_s": 0.2}]},
}
"""An example of every answer, by operation."""

PROBLEM: dict[str, Any] = {
    "type": "urn:caviar:error:invalid_request",
    "title": "Invalid request",
    "status": 422,
    "code": "invalid_request",
    "detail": "1 field(s) were refused: space.learning_rate.low",
    "errors": [
        {
            "field": "space.learning_rate.low",
            "received": 2.0,
            "expected": "a number below high (1.0)",
        }
    ],
}
"""An example of a refused request."""

CSV = "number,state,value,params.learning_rate\n12,complete,0.0312,0.0031\n"
"""An example of a table."""
