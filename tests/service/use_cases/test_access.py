"""What is allowed is decided by who acts; where nobody does, nothing is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caviar.contract.errors import CaviarError, Forbidden, NotFound
from service.domain.principal import RIGHTS, SYSTEM, Kind, Principal, Right, Role, Scope
from service.domain.study_query import StudyQuery
from service.store.engine import read
from service.store.transaction import Transaction
from service.use_cases import access, comparing, controlling, fleet, overview, reading
from service.use_cases.service import Service
from tests.service.use_cases.lab import Lab

Deed = Callable[[Transaction], object]


def _of(role: Role, *scope: str, kind: Kind = Kind.ACCESS) -> Principal:
    return Principal("somebody", role, Scope.of(scope) if scope else None, token_id=7, kind=kind)


def _refusal(service: Service, actor: Principal | None, deed: Deed) -> type[CaviarError] | None:
    with read(service.engine, service.clock(), actor) as tx:
        try:
            deed(tx)
        except CaviarError as error:
            return type(error)
    return None


def test_where_nobody_acts_nothing_is_allowed(lab: Lab) -> None:
    name = lab.study()
    deeds: list[Deed] = [
        *(lambda tx, right=right: access.check(tx, right) for right in Right),
        lambda tx: reading.study(tx, name),
        lambda tx: controlling.delete(tx, name),
        lambda tx: overview.find(tx, StudyQuery()),
        lambda tx: fleet.workers(tx, lease_ttl_s=30),
    ]
    assert {_refusal(lab.wire.service, None, deed) for deed in deeds} == {Forbidden}
    assert {_refusal(lab.wire.service, SYSTEM, deed) for deed in deeds[:-4]} == {None}


def test_each_role_has_its_rights_and_no_others() -> None:
    assert {role: set(RIGHTS[role]) for role in Role} == {
        Role.VIEWER: {Right.READ, Right.OVERSEE},
        Role.SUBMITTER: {Right.READ, Right.OVERSEE, Right.CONTROL},
        Role.WORKER: {Right.WORK},
        Role.ADMIN: set(Right),
    }
    assert _of(Role.VIEWER, "one", kind=Kind.SHARE).rights == {Right.READ}


def test_what_is_outside_of_a_scope_does_not_exist(lab: Lab) -> None:
    name = lab.study()
    service, other = lab.wire.service, _of(Role.SUBMITTER, "other", "some-*")
    assert _refusal(service, other, lambda tx: reading.study(tx, name)) is NotFound
    assert _refusal(service, other, lambda tx: controlling.stop(tx, name)) is NotFound
    assert _refusal(service, other, lambda tx: comparing.compare(tx, [name, "x"])) is NotFound
    with read(service.engine, service.clock(), other) as tx:
        assert overview.find(tx, StudyQuery()).total == 0
        assert overview.count(tx, StudyQuery()) == {}


def test_of_what_it_sees_a_missing_right_is_told(lab: Lab) -> None:
    name = lab.study()
    service = lab.wire.service
    assert _refusal(service, _of(Role.VIEWER), lambda tx: controlling.stop(tx, name)) is Forbidden
    with read(service.engine, service.clock(), _of(Role.VIEWER)) as tx:
        assert reading.study(tx, name).name == name
        with pytest.raises(Forbidden, match=r"the role viewer may not .* submitter"):
            controlling.stop(tx, name)


@pytest.mark.parametrize(
    ("pattern", "study", "is_held"), [("a-*", "a-1", True), ("a-*", "A-1", False), ("a", "a-1", False)]
)
def test_a_scope_holds_names_and_beginnings(pattern: str, study: str, *, is_held: bool) -> None:
    assert Scope.of([pattern]).holds(study) is is_held


def test_a_view_of_the_service_shares_everything_but_who_acts(lab: Lab) -> None:
    service = lab.wire.service
    view = service.acting_for(_of(Role.VIEWER))
    assert view.writer is service.writer
    assert view.actor != service.actor
    with view.reading() as tx:
        assert tx.actor == view.actor
    assert view.write(lambda tx: tx.actor) == view.actor
