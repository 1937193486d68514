"""JSON is looked at before anything is built from it."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from caviar.contract.errors import InvalidRequest
from service.api.guards import bodies
from service.api.guards.bodies import FILES, LARGE, LARGE_BODY_BYTES, SMALL_BODY_BYTES
from tests.service.api.guards.asking import HOST, Behind, ask, guarded

JSON = ("Content-Type", "application/json")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", ""])
def test_compressed_bodies_are_refused(encoding: str) -> None:
    answer = ask(guarded(Behind()), "/", HOST, JSON, ("Content-Encoding", encoding), method="POST")
    assert (answer.status, answer.problem["code"]) == (415, "unsupported_encoding")
    assert ask(guarded(Behind()), "/", HOST, JSON, ("Content-Encoding", "Identity"), method="POST").status == 200


@pytest.mark.parametrize(
    ("text", "received"),
    [
        (b"[" * (16 << 20), "values"),
        (b"[" * 1_000_000, "nested deeper"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested deeper"),
        (b"[" + b"{}," * 1_500_000 + b"1]", "values"),
        (b'{"a": 1, "a": 2}', "the key 'a' twice"),
    ],
    ids=["brackets", "fewer", "deep", "objects", "twice"],
)
def test_json_that_costs_more_than_it_is_worth_is_refused(text: bytes, received: str) -> None:
    with pytest.raises(InvalidRequest, match=received):
        bodies.check_json(text, may_repeat_keys=False)


def test_ordinary_json_passes() -> None:
    bodies.check_json(b'{"items": [' + b'{"metrics": {"val_loss": 0.5}},' * 50_000 + b"1]}", may_repeat_keys=False)
    bodies.check_json(b'{"a": 1, "a": 2}', may_repeat_keys=True)
    bodies.check_json(b"no json", may_repeat_keys=False)


def test_a_body_is_looked_at_in_whatever_portions_it_comes_and_passes_as_it_is() -> None:
    behind = Behind()
    app = guarded(behind)
    assert ask(app, "/x", HOST, JSON, method="POST", body=[b'{"a"', b": [1", b"]}"]).status == 200
    assert behind.bodies == [b'{"a": [1]}']
    assert ask(app, "/x", HOST, JSON, method="POST", body=[b'{"a": 1,', b' "a": 2}']).status == 422
    assert ask(app, "/api/v1/measurements", HOST, JSON, method="POST", body=[b'{"a": 1, "a": 2}']).status == 200
    assert ask(app, "/x", HOST, ("Content-Type", "text/plain"), method="POST", body=[b"[" * 99]).status == 200


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/api/v1/measurements", LARGE_BODY_BYTES),
        ("/api/v1/studies", LARGE_BODY_BYTES),
        ("/api/v1/studies/x/trials:import", LARGE_BODY_BYTES),
        ("/api/v1/studies/x/trials", SMALL_BODY_BYTES),
        ("/login", SMALL_BODY_BYTES),
        ("/api/v1/trials/1/weights", SMALL_BODY_BYTES),
    ],
)
def test_bytes_are_counted_as_they_come(path: str, limit: int) -> None:
    app = guarded(Behind())
    assert ask(app, path, HOST, method="POST", body=[b"x" * limit]).status == 200
    assert ask(app, path, HOST, method="POST", body=[b"x" * limit, b"x"]).status == 413
    for length in (str(limit + 1), "9" * 5000):
        assert ask(app, path, HOST, ("Content-Length", length), method="POST").status == 413
    assert ask(app, path, HOST, ("Content-Length", str(limit)), method="POST").status == 200


def test_files_are_counted_elsewhere() -> None:
    for path in ("/api/v1/trials/1/weights", "/api/v1/trials/1/checkpoints/8"):
        length = ("Content-Length", str(10**12))
        assert ask(guarded(Behind()), path, HOST, length, method="PUT", body=[b"x" * (17 << 20)]).status == 200


def test_the_routes_that_take_much_exist(app: FastAPI) -> None:
    paths = [path.replace("{", "").replace("}", "") for path in app.openapi()["paths"]]
    assert len(list(filter(LARGE.fullmatch, paths))) == 4
    assert len(list(filter(FILES.fullmatch, paths))) == 2
