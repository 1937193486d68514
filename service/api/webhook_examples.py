"""Requests and answers about webhooks in the story of `examples`."""

from __future__ import annotations

from typing import Any

_CREATED, _SENT = "2026-11-21T09:00:00Z", "2026-11-21T09:00:01Z"
_RULES = {
    "best_every_s": 60.0,
    "storm_failures": 5,
    "storm_within_s": 600.0,
    "storm_share": 0.5,
    "stagnant_trials": 50,
    "stagnant_epochs": None,
}
_NEW = {"name": "team chat", "url": "https://hooks.example.com/caviar", "events": ["new_best", "study_done"]}
_WEBHOOK: dict[str, Any] = {
    "webhook_id": 1,
    **_NEW,
    "studies": ["digits-*"],
    "rules": _RULES,
    "is_active": True,
    "created_by": "admin",
    "created_at": _CREATED,
    "updated_at": _CREATED,
    "old_secret_until": None,
    "counts": {"delivered": 1},
}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # The example of the standard's own documents.
_DELIVERY: dict[str, Any] = {
    "delivery_id": 1,
    "webhook_id": 1,
    "message_id": "msg_0f2a4c6e8b1d3f5a7c9e0b2d4f6a8c0e",
    "event": "ping",
    "study": None,
    "state": "delivered",
    "attempts": 1,
    "status": 204,
    "error": None,
    "created_at": _CREATED,
    "last_attempt_at": _SENT,
    "next_attempt_at": None,
    "give_up_at": "2026-11-22T09:00:00Z",
    "payload": {
        "type": "ping",
        "timestamp": _CREATED,
        "text": "Caviar: a ping of the webhook team chat.",
        "data": {"webhook": "team chat", "study": None, "best": None, "rule": None},
    },
}
_WAITING = {**_DELIVERY, "state": "waiting", "attempts": 0, "status": None, "last_attempt_at": None}

WEBHOOK_BODIES: dict[str, Any] = {
    "create_webhook": {**_NEW, "studies": ["digits-*"]},
    "edit_webhook": {"events": ["study_done"], "is_active": True},
    "rotate_webhook": {"keep_s": 86400.0},
}
"""An example of every request, by operation."""

WEBHOOK_ANSWERS: dict[str, Any] = {
    "create_webhook": {"webhook": {**_WEBHOOK, "counts": {}}, "secret": _SECRET},
    "list_webhooks": {"items": [_WEBHOOK]},
    "read_webhook": _WEBHOOK,
    "edit_webhook": {**_WEBHOOK, "events": ["study_done"]},
    "ping_webhook": {**_WAITING, "next_attempt_at": _CREATED},
    "rotate_webhook": {"webhook": {**_WEBHOOK, "old_secret_until": "2026-11-22T09:00:00Z"}, "secret": _SECRET},
    "list_deliveries": {"items": [_DELIVERY], "next_after": None},
    "redeliver": {**_WAITING, "next_attempt_at": _CREATED},
}
"""An example of every answer, by operation."""
