"""Tokens, links and sessions: whom they let in, until when, and what is written down of them."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.errors import Forbidden, NotFound, StateConflict, Unauthorized
from caviar.contract.identity import NewShare, NewToken, Role, Rotation
from service.domain.principal import Origin, Principal, Scope
from service.domain.study_query import StudyQuery
from service.store import tokens
from service.use_cases import auditing, identity, issuing, overview, reading
from service.use_cases.auditing import AuditQuery
from service.use_cases.service import Service
from tests.service.protocol.wire import TOKEN
from tests.service.use_cases.lab import Lab

_HOME = Origin("192.0.2.7", "request-1")


@pytest.fixture
def admin(lab: Lab) -> Service:
    """The service, for an administrator."""
    who = identity.recognise(lab.wire.service, identity.digest(TOKEN), is_session=False)
    assert who is not None
    whole: Service = lab.wire.service
    return whole.acting_for(who.coming_from(_HOME))


def _made(admin: Service, role: str, **more: Any) -> Any:
    body = NewToken.model_validate({"name": f"a {role}", "role": role, **more})
    return admin.write(lambda tx: issuing.create(tx, body))


def _who(admin: Service, secret: str, *, is_session: bool = False) -> Principal | None:
    digest = identity.digest(secret)
    known = admin.recognition.find(digest, is_session=is_session)
    return known or identity.recognise(admin, digest, is_session=is_session)


def _entries(admin: Service, **asked: Any) -> list[Any]:
    with admin.reading() as tx:
        return auditing.page(tx, AuditQuery(**asked)).items


def test_a_secret_is_told_once_and_stored_as_a_digest(admin: Service) -> None:
    made = _made(admin, "viewer", scope=["digits", "cifar-*"])
    assert made.secret.startswith("cvr_")
    with admin.reading() as tx:
        row = tokens.get(tx, made.token_id)
        assert made.secret not in str(dict(row._mapping))
        assert row.secret_digest == identity.digest(made.secret)
        assert "secret" not in issuing.read(tx, made.token_id).model_dump()
    who = _who(admin, made.secret)
    assert who is not None
    assert (who.role, who.scope) == (Role.VIEWER, Scope.of(["digits", "cifar-*"]))


def test_a_token_ends_when_its_time_is_over(lab: Lab, admin: Service) -> None:
    made = _made(admin, "viewer", expires_in_s=60)
    assert _who(admin, made.secret) is not None
    lab.wire.clock.advance(61)
    assert _who(admin, made.secret) is None, "also one that was seen a moment ago"


def test_a_revoked_token_is_refused_at_once_and_its_sessions_end(admin: Service) -> None:
    made = _made(admin, "viewer")
    session = identity.open_session(admin, made.secret, _HOME)
    assert _who(admin, made.secret) is not None
    assert _who(admin, session, is_session=True) is not None
    issuing.revoke(admin, made.token_id)
    assert _who(admin, made.secret) is None
    assert _who(admin, session, is_session=True) is None
    with pytest.raises(Unauthorized):
        identity.open_session(admin, made.secret, _HOME)


def test_the_old_secret_is_valid_for_the_overlap(lab: Lab, admin: Service) -> None:
    made = _made(admin, "worker")
    fresh = issuing.rotate(admin, made.token_id, Rotation(overlap_s=60))
    old, new = _who(admin, made.secret), _who(admin, fresh.secret)
    assert old is not None
    assert new is not None
    assert old.token_id == new.token_id == made.token_id, "its workers go on"
    lab.wire.clock.advance(61)
    admin.recognition.forget()
    assert _who(admin, made.secret) is None
    assert _who(admin, fresh.secret) is not None


def test_the_token_of_the_settings_is_changed_in_the_settings(admin: Service) -> None:
    with admin.reading() as tx:
        row = tokens.of_settings(tx)
    assert row is not None
    with pytest.raises(StateConflict):
        issuing.revoke(admin, row.id)
    with pytest.raises(StateConflict):
        issuing.rotate(admin, row.id, Rotation())


def test_a_session_inherits_role_scope_and_end(lab: Lab, admin: Service) -> None:
    made = _made(admin, "submitter", scope=["digits-*"], expires_in_s=3600)
    session = identity.open_session(admin, made.secret, _HOME)
    who = _who(admin, session, is_session=True)
    assert who is not None
    assert (who.role, who.scope, who.token_id) == (Role.SUBMITTER, Scope.of(["digits-*"]), made.token_id)
    assert _who(admin, session) is None, "a session is no access token"
    lab.wire.clock.advance(3601)
    assert _who(admin, session, is_session=True) is None


def test_signing_out_everywhere_ends_all_sessions_of_the_token(admin: Service) -> None:
    made = _made(admin, "viewer")
    sessions = [identity.open_session(admin, made.secret, _HOME) for _ in range(2)]
    who = _who(admin, sessions[0], is_session=True)
    assert who is not None
    assert identity.close_all_sessions(admin.acting_for(who)) == 2
    assert [_who(admin, one, is_session=True) for one in sessions] == [None, None]
    assert _who(admin, made.secret) is not None


def test_a_link_shows_one_study_and_goes_with_it(lab: Lab, admin: Service) -> None:
    name, other = lab.study(), lab.study()
    made = admin.write(lambda tx: issuing.share(tx, name, NewShare()))
    who = _who(admin, made.secret)
    assert who is not None
    guest = admin.acting_for(who)
    with guest.reading() as tx:
        assert reading.study(tx, name).name == name
        assert [study.name for study in overview.find(tx, StudyQuery()).items] == [name]
        with pytest.raises(NotFound):
            reading.study(tx, other)
        with pytest.raises(Forbidden, match="a share link may not"):
            issuing.share(tx, name, NewShare())
    lab.wire.client.delete(f"/api/v1/studies/{name}").raise_for_status()
    lab.wire.study(objective=lab.objective, name=name)
    assert _who(admin, made.secret) is None


def test_a_submitter_manages_the_links_of_its_studies_and_no_token(lab: Lab, admin: Service) -> None:
    name = lab.study()
    secret = _made(admin, "submitter", scope=[name]).secret
    who = _who(admin, secret)
    assert who is not None
    submitter = admin.acting_for(who)
    made = submitter.write(lambda tx: issuing.share(tx, name, NewShare()))
    with submitter.reading() as tx:
        assert [item.token_id for item in issuing.listed(tx).items] == [made.token_id]
        with pytest.raises(NotFound):
            issuing.read(tx, 1)
    with pytest.raises(Forbidden):
        submitter.write(lambda tx: issuing.create(tx, NewToken(name="more", role=Role.ADMIN)))
    issuing.revoke(submitter, made.token_id)
    assert _who(admin, made.secret) is None


def test_what_is_done_is_written_down_with_who_and_from_where(lab: Lab, admin: Service) -> None:
    made = _made(admin, "worker")
    [entry] = _entries(admin, about=f"token:{made.token_id}")
    assert (entry.actor, entry.action, entry.address, entry.request_id) == ("admin", "token.create", *_astuple(_HOME))
    name = lab.study()
    lab.wire.post(f"/studies/{name}:pause")
    lab.wire.post(f"/studies/{name}:pause")
    actions = [item.action for item in _entries(admin, about=f"study:{name}")]
    assert actions == ["study.pause", "study.create"], "what changes nothing is no change"
    assert made.secret not in str(_entries(admin, limit=1000))


def test_a_refused_sign_in_is_written_down_without_the_token(admin: Service) -> None:
    with pytest.raises(Unauthorized):
        identity.open_session(admin, "a-guess-at-a-token", _HOME)
    entry = _entries(admin, action="session.refuse")[0]
    assert (entry.actor, entry.address) == ("nobody", "192.0.2.7")
    assert "a-guess" not in entry.model_dump_json()


def test_the_log_is_read_a_page_at_a_time_and_old_entries_go(lab: Lab, admin: Service) -> None:
    for _ in range(3):
        _made(admin, "viewer")
    with admin.reading() as tx:
        first = auditing.page(tx, AuditQuery(action="token", limit=2))
        rest = auditing.page(tx, AuditQuery(action="token", limit=2, after=first.next_after))
    ids = [entry.entry_id for page in (first, rest) for entry in page.items]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids)
    before = admin.clock()
    lab.wire.clock.advance(60)
    _made(admin, "viewer")
    assert admin.write(lambda tx: auditing.remove_old(tx, before)) >= 3
    assert {entry.at >= before for entry in _entries(admin, limit=1000)} == {True}


def test_a_worker_of_another_token_does_not_exist(lab: Lab, admin: Service) -> None:
    lab.study()
    worker = lab.wire.worker(lab.objective)
    secret = _made(admin, "worker").secret
    body = {"request_id": "1", "max_trials": 1}
    headers = {"Authorization": f"Bearer {secret}"}
    answer = lab.wire.client.post(f"/api/v1/workers/{worker}:claim", json=body, headers=headers)
    assert answer.status_code == 404
    assert lab.wire.claim(worker), "its own token still works"


def test_a_worker_with_a_scope_gets_trials_of_its_studies_alone(lab: Lab, admin: Service) -> None:
    mine, other = lab.study(), lab.study()
    headers = {"Authorization": f"Bearer {_made(admin, 'worker', scope=[mine]).secret}"}
    offer = {"name": "w", "host": "h", "slots": 4, "objectives": [{"name": lab.objective}]}
    worker = lab.wire.client.post("/api/v1/workers", json=offer, headers=headers).json()["worker_id"]
    body = {"request_id": "1", "max_trials": 4}
    assigned = lab.wire.client.post(f"/api/v1/workers/{worker}:claim", json=body, headers=headers).json()["assigned"]
    assert {assignment["study"] for assignment in assigned} == {mine}
    assert other != mine


def test_last_use_is_noted(admin: Service) -> None:
    made = _made(admin, "viewer")
    assert _who(admin, made.secret) is not None
    # What was queued before this write is committed with it or before it.
    admin.write(lambda tx: None)
    with admin.reading() as tx:
        assert issuing.read(tx, made.token_id).last_used_at == admin.clock()


def _astuple(origin: Origin) -> tuple[str | None, str | None]:
    return origin.address, origin.request_id
