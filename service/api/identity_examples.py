"""Examples of tokens, links and the audit log."""

from __future__ import annotations

from typing import Any

_MADE, _ENDS = "2026-11-21T08:00:00Z", "2026-12-21T08:00:00Z"
_SECRET = "cvr_b0x1Yk3p0V5tQm8sXn2cLw7bHd4fRz6aJg1eK9uT3Wo"

_TOKEN: dict[str, Any] = {
    "token_id": 2,
    "kind": "access",
    "name": "box-1",
    "role": "worker",
    "scope": ["digits-*"],
    "created_by": "admin",
    "created_at": _MADE,
    "expires_at": _ENDS,
    "last_used_at": "2026-11-21T09:00:00Z",
    "old_secret_until": None,
    "revoked_at": None,
    "is_valid": True,
    "num_sessions": 0,
}
_FRESH = _TOKEN | {"last_used_at": None}
_SHARE: dict[str, Any] = _FRESH | {
    "token_id": 3,
    "kind": "share",
    "name": "share of digits-mlp",
    "role": "viewer",
    "scope": ["digits-mlp"],
    "expires_at": "2026-11-28T08:00:00Z",
}

IDENTITY_BODIES: dict[str, Any] = {
    "create_token": {"name": "box-1", "role": "worker", "scope": ["digits-*"], "expires_in_s": 2592000},
    "rotate_token": {"overlap_s": 3600},
    "share_study": {"expires_in_s": 604800},
}

IDENTITY: dict[str, Any] = {
    "who_am_i": {
        "name": "box-1",
        "role": "worker",
        "kind": "access",
        "scope": ["digits-*"],
        "rights": ["work"],
        "expires_at": _ENDS,
    },
    "create_token": _FRESH | {"secret": _SECRET},
    "list_tokens": {"items": [_TOKEN]},
    "read_token": _TOKEN,
    "rotate_token": _TOKEN | {"old_secret_until": "2026-11-21T10:00:00Z", "secret": _SECRET},
    "share_study": _SHARE | {"secret": _SECRET, "path": f"/share/{_SECRET}"},
    "read_audit": {
        "items": [
            {
                "entry_id": 7,
                "at": _MADE,
                "actor": "admin",
                "role": "admin",
                "token_id": 1,
                "address": "192.0.2.7",
                "request_id": None,
                "action": "study.create",
                "object": "study:digits-mlp",
                "details": {},
            }
        ],
        "next_after": None,
    },
}
