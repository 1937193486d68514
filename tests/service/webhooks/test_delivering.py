"""Messages are sent at least once, again when they are not taken, and by one process at a time."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs

from caviar.contract.signatures import verify_webhook
from caviar.contract.webhooks import DeliveryState
from service.use_cases import delivering
from service.use_cases.delivering import Parcel, Reply
from service.use_cases.service import Service
from tests.service.outbound.receiver import answering, hanging
from tests.service.webhooks.post import Post

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldw=="


def ping(post: Post, webhook: int) -> int:
    return int(post.wire.post(f"/webhooks/{webhook}:ping")["delivery_id"])


def test_a_message_is_signed_and_carries_our_headers_alone(post: Post) -> None:
    webhook = post.create(secret=SECRET)
    ping(post, webhook)
    with capture_logs() as logs:
        assert post.go_round() == 1
    [received] = post.receiver.received
    assert received.line == "POST /hook?of=tests HTTP/1.1"
    assert {name.lower() for name in received.names} == {
        "host", "user-agent", "content-type", "content-length", "connection",
        "webhook-id", "webhook-timestamp", "webhook-signature",
    }  # fmt: skip
    assert received.headers["host"] == f"127.0.0.1:{post.receiver.port}"
    [delivery] = post.deliveries(webhook)
    assert delivery["state"] == "delivered"
    assert delivery["status"] == 204
    assert delivery["next_attempt_at"] is None
    now = post.wire.clock.now
    assert verify_webhook(received.headers, received.body, SECRET, now=now) == delivery["message_id"]
    told = repr(logs) + repr(post.wire.get("/webhooks")) + repr(post.deliveries(webhook))
    assert SECRET not in told
    assert post.receiver.url not in repr(logs)


def test_a_message_that_is_not_taken_is_sent_again_with_the_same_id_and_body(post: Post) -> None:
    webhook = post.create(secret=SECRET)
    post.receiver.behaviours += [answering(500), answering(302, "Location: http://127.0.0.1:1/"), answering(429)]
    ping(post, webhook)
    for attempts, status in ((1, 500), (2, 302), (3, 429), (4, 204)):
        assert post.go_round() == 1
        [delivery] = post.deliveries(webhook)
        assert (delivery["attempts"], delivery["status"]) == (attempts, status)
        assert post.go_round() == 0
        post.wire.advance(6 * 3 ** (attempts - 1))
    assert delivery["state"] == "delivered"
    assert delivery["error"] is None
    assert len(post.receiver.received) == 4
    assert len({one.body for one in post.receiver.received}) == 1
    assert {one.headers["webhook-id"] for one in post.receiver.received} == {delivery["message_id"]}
    # The time is signed as well, so that an old message cannot be played again.
    assert len({one.headers["webhook-timestamp"] for one in post.receiver.received}) == 4


def test_after_a_day_a_message_is_given_up_and_can_be_sent_once_more(post: Post) -> None:
    webhook = post.create()
    delivery_id = ping(post, webhook)
    post.wire.clock.advance(86_401)
    post.receiver.behaviours.append(answering(500))
    assert post.go_round() == 1
    [delivery] = post.deliveries(webhook, state="failed")
    assert delivery["error"] == "answered 500, expected a status from 200 to 299"
    assert delivery["next_attempt_at"] is None
    assert post.wire.get(f"/webhooks/{webhook}")["counts"] == {"failed": 1}
    post.wire.clock.advance(86_401)
    assert post.go_round() == 0
    again = post.wire.post(f"/webhooks/{webhook}/deliveries/{delivery_id}:redeliver")
    assert (again["state"], again["message_id"]) == ("waiting", delivery["message_id"])
    assert post.go_round() == 1
    assert post.deliveries(webhook)[0]["state"] == "delivered"


def test_a_receiver_that_is_gone_gets_nothing_more(post: Post) -> None:
    webhook = post.create()
    post.receiver.behaviours.append(answering(410))
    ping(post, webhook)
    post.go_round()
    assert post.deliveries(webhook)[0]["state"] == "failed"
    assert not post.wire.get(f"/webhooks/{webhook}")["is_active"]
    assert post.wire.refused("POST", f"/webhooks/{webhook}:ping") == "409 state_conflict"


def test_what_waits_for_a_webhook_that_is_off_is_sent_once_it_is_on(post: Post) -> None:
    webhook = post.create()
    ping(post, webhook)
    assert post.wire.ask("PATCH", f"/webhooks/{webhook}", {"is_active": False})[0] == 200
    assert post.go_round() == 0
    assert post.wire.ask("PATCH", f"/webhooks/{webhook}", {"is_active": True})[0] == 200
    assert post.go_round() == 1


def test_while_a_secret_is_replaced_messages_carry_both_signatures(post: Post) -> None:
    webhook = post.create(secret=SECRET)
    answer = post.wire.post(f"/webhooks/{webhook}:rotate", {"secret": OTHER, "keep_s": 60.0})
    assert answer["secret"] is None
    until = datetime.fromisoformat(answer["webhook"]["old_secret_until"])
    assert until == post.wire.clock.now + timedelta(seconds=60)
    ping(post, webhook)
    post.go_round()
    post.wire.advance(61)
    assert post.wire.get(f"/webhooks/{webhook}")["old_secret_until"] is None
    ping(post, webhook)
    post.go_round()
    both, new = post.receiver.received
    assert [len(one.headers["webhook-signature"].split(" ")) for one in (both, new)] == [2, 1]
    for received, secret in ((both, SECRET), (both, OTHER), (new, OTHER)):
        assert verify_webhook(received.headers, received.body, secret, now=post.wire.clock.now, tolerance_s=90)


def test_a_slow_receiver_holds_up_nobody_else(post: Post) -> None:
    slow, quick = post.create(), post.create()
    post.receiver.behaviours += [hanging, hanging]
    for _ in range(5):
        ping(post, slow)
    portal = post.wire.client.portal
    assert portal is not None
    assert portal.call(post.courier.round) == 2
    ping(post, quick)
    assert portal.call(post.courier.round) == 1
    portal.call(post.courier.settled)
    assert post.deliveries(quick)[0]["state"] == "delivered"
    states = [one["state"] for one in post.deliveries(slow)]
    errors = {one["error"] for one in post.deliveries(slow) if one["attempts"]}
    assert states == ["waiting"] * 5
    assert errors == {"no complete answer within 2 s"}


def _claim(post: Post) -> list[Parcel]:
    take = partial(delivering.claim, limit=10, per_webhook=10, busy=[], lease_s=30.0)
    service: Service = post.wire.service
    return service.write(take)


def _settle(post: Post, parcel: Parcel, reply: Reply) -> DeliveryState | None:
    service: Service = post.wire.service
    return service.write(lambda tx: delivering.settle(tx, parcel, reply, random.Random(1)))


def test_what_a_process_has_taken_and_not_settled_is_sent_by_another(post: Post) -> None:
    webhook = post.create()
    ping(post, webhook)
    [parcel] = _claim(post)
    assert post.deliveries(webhook)[0]["state"] == "sending"
    assert _claim(post) == []
    post.wire.clock.advance(31)
    [again] = _claim(post)
    assert (again.message_id, again.body, again.attempt) == (parcel.message_id, parcel.body, 2)
    # The first one comes too late to say anything.
    assert _settle(post, parcel, Reply(status=None, error="late")) is None
    assert _settle(post, again, Reply(status=200)) == "delivered"
    assert _settle(post, again, Reply(status=None, error="twice")) is None
    assert post.deliveries(webhook)[0]["status"] == 200


def test_a_message_that_is_being_sent_is_not_queued_again(post: Post) -> None:
    webhook = post.create()
    delivery_id = ping(post, webhook)
    _claim(post)
    answer = post.wire.post(f"/webhooks/{webhook}/deliveries/{delivery_id}:redeliver")
    assert answer["state"] == "sending"
    assert _claim(post) == []


def test_how_it_went_for_a_webhook_that_was_deleted_meanwhile_is_nobodys_business(post: Post) -> None:
    webhook = post.create()
    ping(post, webhook)
    [parcel] = _claim(post)
    assert post.wire.ask("DELETE", f"/webhooks/{webhook}")[0] == 204
    assert _settle(post, parcel, Reply(status=200)) is None


def test_old_deliveries_go_and_those_that_wait_stay(post: Post) -> None:
    webhook, off = post.create(), post.create()
    ping(post, webhook)
    post.go_round()
    waiting = ping(post, off)
    post.wire.ask("PATCH", f"/webhooks/{off}", {"is_active": False})
    post.wire.clock.advance(29 * 86_400)
    post.go_round()
    assert len(post.deliveries(webhook)) == 1
    post.wire.clock.advance(86_401)
    post.go_round()
    assert post.deliveries(webhook) == []
    assert [one["delivery_id"] for one in post.deliveries(off)] == [waiting]


def test_deliveries_are_read_page_by_page(post: Post) -> None:
    webhook = post.create()
    made = [ping(post, webhook) for _ in range(5)]
    first = post.wire.get(f"/webhooks/{webhook}/deliveries?limit=2")
    rest = post.wire.get(f"/webhooks/{webhook}/deliveries?limit=9&after={first['next_after']}")
    assert [one["delivery_id"] for one in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_after"] is None


@pytest.mark.parametrize("path", ["/webhooks/99999", "/webhooks/99999/deliveries"])
def test_what_is_not_there_is_not_found(post: Post, path: str) -> None:
    assert post.wire.refused("GET", path) == "404 not_found"
