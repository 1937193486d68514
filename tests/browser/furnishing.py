"""Tokens, links, an audit log and webhooks with messages, for the pages that show them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from caviar.contract.identity import DAY_S, NewShare, NewToken, Role
from caviar.contract.webhooks import NewWebhook
from service.domain.principal import Origin, Principal
from service.store import studies, tokens
from service.store.engine import Engine, connect, write
from service.store.transaction import Transaction
from service.use_cases import auditing, delivering, issuing, webhooks
from service.use_cases.announcing import Announcer
from service.use_cases.delivering import Reply

_ANN = Principal("ann", Role.ADMIN, token_id=1, origin=Origin(address="2001:db8::8a2e:370:7334", request_id="0f3a9c1d"))
_EVENTS = ["new_best", "study_done", "failure_storm", "stagnation"]
_TOO_BUSY = Reply(503, "the receiver answered with status 503")


def furnish(database_url: str, study: str) -> dict[str, int]:
    """Write to a database what a few months with several people leave behind.

    Returns:
        Ids of a webhook that is on, of one that is off, and of one that has told nothing.
    """
    engine = connect(database_url)
    try:
        _make_tokens(engine, study)
        return _make_webhooks(engine, study)
    finally:
        engine.dispose()


@contextmanager
def _days_ago(engine: Engine, days: float) -> Iterator[Transaction]:
    with write(engine, datetime.now(UTC) - timedelta(days=days), _ANN) as tx:
        yield tx


def _make_tokens(engine: Engine, study: str) -> None:
    with _days_ago(engine, 100) as tx:
        issuing.create(tx, NewToken(name="notebook of last spring", role=Role.VIEWER, expires_in_s=30 * DAY_S))
        issuing.share(tx, study, NewShare(expires_in_s=7 * DAY_S))
        auditing.record(tx, "session.refuse", "session:new", reason="the token is not valid")
    with _days_ago(engine, 20) as tx:
        for role in Role:
            scope = None if role in (Role.ADMIN, Role.WORKER) else ["digits-*", study]
            issuing.create(tx, NewToken(name=f"{role} of the imaging group", role=role, scope=scope))
        leaked = issuing.create(tx, NewToken(name="pasted-into-a-chat-" + "x" * 60, role=Role.SUBMITTER))
        turned = issuing.create(tx, NewToken(name="nightly sweeps", role=Role.SUBMITTER, expires_in_s=365 * DAY_S))
        issuing.share(tx, study, NewShare(name="for the review", expires_in_s=60 * DAY_S))
    with _days_ago(engine, 0) as tx:
        issuing.share(tx, study, NewShare(expires_in_s=DAY_S))
        tokens.change(tx, leaked.token_id, revoked_at=tx.now)
        tokens.change(tx, turned.token_id, old_digest="0" * 64, old_expires_at=tx.now + timedelta(hours=1))


def _make_webhooks(engine: Engine, study: str) -> dict[str, int]:
    with _days_ago(engine, 9) as tx:
        busy = _make(tx, "the channel of the imaging group", f"https://chat.example.org/hooks/{'T0' * 40}")
        tx.gains.add(studies.get(tx, study).id)
        Announcer()(tx)
        _send(tx, Reply(204))
    with _days_ago(engine, 8) as tx:
        _ping(tx, busy)
        parcels = delivering.claim(tx, limit=10, per_webhook=10, busy=(), lease_s=60.0)
    with _days_ago(engine, 5) as tx:
        for parcel in parcels:
            delivering.settle(tx, parcel, _TOO_BUSY, random.Random(0))
        off = _make(tx, "pager", "https://pager.example.org/in", studies=["digits-*", study])
        _ping(tx, off)
        _send(tx, _TOO_BUSY)
        _ping(tx, off)
        _send(tx, Reply(410, "the receiver answered with status 410"))
    with _days_ago(engine, 0) as tx:
        new = _make(tx, "new", "https://hooks.example.org/", events=["study_done"])
    return {"busy": busy, "off": off, "new": new}


def _make(tx: Transaction, name: str, url: str, **more: object) -> int:
    body = NewWebhook.model_validate({"name": name, "url": url, "events": _EVENTS, **more})
    return webhooks.create(tx, body).webhook.webhook_id


def _ping(tx: Transaction, webhook_id: int) -> None:
    webhooks.ping(tx, Announcer(), webhook_id)


def _send(tx: Transaction, reply: Reply) -> None:
    for parcel in delivering.claim(tx, limit=10, per_webhook=10, busy=(), lease_s=60.0):
        delivering.settle(tx, parcel, reply, random.Random(0))
