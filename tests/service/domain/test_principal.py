"""Who acts, in a request from somewhere."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

from service.domain.principal import Kind, Origin, Principal, Role, Scope


def test_whoever_comes_from_elsewhere_is_the_same_in_all_else() -> None:
    ends_at = datetime(2027, 1, 1, tzinfo=UTC)
    known = Principal(
        "ann", Role.WORKER, Scope.of(["digits*"]), token_id=7, kind=Kind.SHARE, is_session=True, expires_at=ends_at
    )
    # Every field differs from what it would be if it were forgotten.
    nobody = Principal("nobody", Role.ADMIN)
    alike = {each.name for each in fields(Principal) if getattr(known, each.name) == getattr(nobody, each.name)}
    assert alike == {"origin"}
    elsewhere = Origin("192.0.2.7", "id-of-a-request")
    assert known.coming_from(elsewhere) == replace(known, origin=elsewhere)
    assert known.origin == Origin()
