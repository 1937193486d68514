"""Submitting the same body again, also after an update of the service."""

from __future__ import annotations

from service.api.examples import BODIES
from service.store import studies
from tests.service.protocol.wire import Wire

# As the first version stored it for this body.
_DIGEST = "646e8389135629ed21d23e73c508cff8d291c24e11766ce81231e95d89c7eeb5"


def test_a_body_keeps_its_digest_when_the_service_learns_new_fields(wire: Wire) -> None:
    body = BODIES["create_study"]
    wire.post("/studies", body)
    with wire.service.reading() as tx:
        assert studies.get(tx, body["name"]).submitted_digest == _DIGEST
    assert wire.ask("POST", "/studies", body | {"warm_start": []})[0] == 200
    stricter = body | {"budget": body["budget"] | {"max_stagnant_trials": 9}}
    assert wire.refused("POST", "/studies", stricter) == "409 study_exists"
    assert wire.refused("POST", "/studies", body | {"warm_start": ["other"]}) == "409 study_exists"
