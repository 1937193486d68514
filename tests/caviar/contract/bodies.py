"""Bodies of messages that set every field, to be put together."""

from __future__ import annotations

AT, LATER = "2026-11-21T13:00:00Z", "2026-11-21T13:00:01.250000Z"
SPACE = {
    "lr": {"when": {"opt": ["sgd"]}, "type": "float", "low": 1e-4, "high": 1.0, "scale": "log", "step": None},
    "units": {"when": None, "type": "int", "low": 16, "high": 64, "scale": "linear", "step": 16},
    "opt": {"type": "categorical", "choices": ["sgd", True, 1, 2.5], "ordered": True, "when": None},
}
METRIC = {"name": "val_accuracy", "direction": "maximize"}
OBJECTIVE = {"name": "mlp", "config": {"dataset": "digits", "layers": [1, {"a": None}], "x": 1.0}}
STOPPING = {
    "monitor": "loss",
    "min_delta": 0.1,
    "patience": 3,
    "mode": "min",
    "baseline": 2.0,
    "restore_best_weights": False,
    "start_from_epoch": 2,
}
LIMITS = {
    "max_trials": 7,
    "max_epochs": 9,
    "max_total_epochs": 50,
    "max_seconds": 60.5,
    "max_trial_seconds": 5.0,
    "max_parallel": 3,
    "max_stagnant_trials": 20,
    "target": 0.98,
}
STRATEGY = {"kind": "tpe", "n_startup_trials": 5, "multivariate": True}
PRUNER = {"kind": "median", "n_warmup_steps": 2, "nested": {"a": [1, 2.5, "x", None]}}
KEPT = {"every_epochs": 2, "every_s": 30.0, "keep_best": 5}
NEEDED = {"device": "gpu", "memory_bytes": 8_000_000_000, "labels": {"site": "basement"}}
CHECKPOINT = {"epoch": 3, "size_bytes": 100, "sha256": "ab" * 32}
STUDY = {
    "name": "digits-mlp",
    "objective": OBJECTIVE,
    "metric": METRIC,
    "space": SPACE,
    "strategy": STRATEGY,
    "pruner": PRUNER,
    "early_stopping": STOPPING,
    "budget": LIMITS,
    "retries": 5,
    "checkpoints": KEPT,
    "requires": NEEDED,
    "priority": 10,
    "seed": 7,
    "warm_start": ["digits-old"],
    "tags": {"team": "a"},
}
DEVICE = {
    "kind": "gpu",
    "name": "H200",
    "index": 0,
    "uuid": "GPU-1",
    "memory_total_bytes": 8_000_000_000,
    "memory_used_bytes": 1_000_000,
    "utilisation": 0.5,
    "temperature_c": 40.0,
    "power_w": 300.0,
    "num_slots": 2,
    "num_cores": 8,
    "facts": {"driver": "570"},
}
SLOT = {
    "index": 0,
    "state": "training",
    "device": "GPU-1",
    "trial_id": 3,
    "memory_bytes": 5,
    "device_memory_bytes": 6,
    "detail": "three failures in a row",
}
FACTS = {
    "slot": 0,
    "device": "GPU-1",
    "device_name": "H200",
    "backend": "tensorflow",
    "versions": {"keras": "3.15"},
    "code_version": "0123abcd",
    "is_alone": True,
    "peak_memory_bytes": 5,
    "peak_device_memory_bytes": 6,
}
ARTIFACT = {"kind": "weights", "epoch": 4, "size_bytes": 100, "sha256": "ab" * 32, "created_at": AT}
PARAMS = {"lr": 0.1, "units": 32, "opt": "sgd", "flag": True}
MEASUREMENT = {
    "trial_id": 3,
    "lease": "t0ken",
    "epoch": 2,
    "metrics": {"loss": 0.5, "val_loss": 1.0},
    "elapsed_s": 2.5,
    "checkpoint": True,
    "is_last": True,
    "facts": FACTS,
}
ERROR = {"kind": "ValueError", "message": "no", "traceback": "line 1\nline 2"}
OFFER = {"name": "mlp", "space": SPACE}
ASSIGNMENT = {
    "trial_id": 3,
    "study": "s",
    "number": 2,
    "attempt": 2,
    "lease": "t0ken",
    "lease_ttl_s": 30.0,
    "params": PARAMS,
    "seed": 1,
    "data_seed": 2,
    "objective": OBJECTIVE,
    "metric": METRIC,
    "first_epoch": 4,
    "checkpoint": CHECKPOINT,
    "checkpoint_epochs": [4, 8],
    "checkpoint_every_epochs": 2,
    "checkpoint_every_s": 30.0,
    "keep_weights": True,
    "is_alone": True,
    "requires": NEEDED,
    "max_epochs": 9,
    "max_trial_seconds": 5.0,
    "early_stopping": STOPPING,
}
BEST = {"trial_id": 3, "number": 2, "value": 0.5, "epoch": 4, "params": PARAMS}
TRIAL = {
    "tags": {"by": "hand"},
    "note": "steady",
    "trial_id": 3,
    "study": "s",
    "number": 2,
    "state": "pruned",
    "stop_reason": "pruned",
    "evidence": {"peers": 4},
    "origin": "sampler",
    "round": 1,
    "params": PARAMS,
    "value": 0.5,
    "best_epoch": 4,
    "num_epochs": 5,
    "max_epochs": 9,
    "checkpoint_epoch": 4,
    "space_version": 2,
    "attempt": 2,
    "seed": 1,
    "worker": "w",
    "error": ERROR,
    "duration_s": 1.5,
    "created_at": AT,
    "started_at": AT,
    "ended_at": LATER,
}
ATTEMPT = {
    "attempt": 1,
    "worker_id": "w1",
    "worker": "w",
    "first_epoch": 1,
    "started_at": AT,
    "ended_at": LATER,
    "end": "expired",
    "outcome": "failed",
    "error": ERROR,
    "evidence": {"rule": "asha", "rank": 1},
    "facts": FACTS,
    "log_tail": "epoch 1",
}
DECIDED = {"attempt": 1, "epoch": 4, "decision": "pause", "evidence": {"rule": "asha"}, "at": AT}
VIEW = {
    **STUDY,
    "slot_s": 71.5,
    "state": "complete",
    "end_reason": "target",
    "counts": {"complete": 3, "failed": 1},
    "num_trials": 4,
    "num_imported": 1,
    "num_epochs": 40,
    "round": 2,
    "space_version": 2,
    "seconds_left": 12.5,
    "num_able_workers": 2,
    "best": BEST,
    "last_event_seq": 12,
    "created_at": AT,
    "updated_at": LATER,
    "ended_at": LATER,
    "archived_at": LATER,
}
CURVE = {
    "trial_id": 3,
    "number": 2,
    "state": "pruned",
    "stop_reason": "pruned",
    "epochs": [1, 2],
    "values": [0.5, 0.25],
}
STORED = {"attempt": 1, "epoch": 2, "metrics": {"loss": 0.5}, "elapsed_s": 2.5, "reported_at": AT}
IMPROVEMENT = {"trial_id": 3, "number": 2, "epoch": 1, "value": 0.5, "num_epochs": 4, "at": AT}
WINDOW = {"low": 0.1, "high": 0.5, "unit_low": 0.25, "unit_high": 0.75, "weights": [0.5, 0.5], "reason": "elite"}
ROUND = {
    "num_epochs": 90,
    "number": 1,
    "first_trial": 8,
    "origin": "manual",
    "elite": [3, 1],
    "windows": {"lr": WINDOW},
    "model": {"spread": [0.1]},
    "opened_at": AT,
}
WORKER = {
    "worker_id": "w1",
    "name": "w",
    "host": "h",
    "slots": 2,
    "devices": [DEVICE],
    "labels": {"site": "basement"},
    "mode": "draining",
    "slot_facts": [SLOT],
    "objectives": ["mlp"],
    "running": [3],
    "is_alive": True,
    "registered_at": AT,
    "seen_at": LATER,
}
HISTOGRAM = {"edges": [0.0, 0.5, 1.0], "choices": ["a"], "counts": [3, 4]}
DECISION = {"trial_id": 3, "decision": "stop", "reason": "pruned", "keep_weights": True}
REJECTED = {"trial_id": 3, "epoch": 2, "code": "lease_lost", "detail": "late"}
COST = {"max_trials": 7, "max_total_epochs": 50, "max_seconds": 60.5, "num_configurations": 125}
OFFERED = {"name": "mlp", "built_in": True, "space": SPACE, "workers": 2}

IMPORTED = {
    "params": PARAMS,
    "value": 0.25,
    "epochs": {"1": 0.5, "2": 0.25},
    "best_epoch": 2,
    "num_epochs": 2,
    "state": "pruned",
    "stop_reason": "pruned",
    "number": 4,
}
EDITED_WINDOW = {"low": 0.1, "high": 0.5, "weights": {"sgd": 0.5}}
SKIPPED = {"position": 3, "number": 9, "reason": "it is running"}
