"""Files on their way to the service: cut, doubled, of a wrong length or digest, of a foreign trial, in odd portions."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.testclient import TestClient

from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from tests.hostile import drawing
from tests.hostile.oracles import bounded
from tests.hostile.scenery import Scenery, furnish

_TOKEN = "a-token-of-the-tests-only"
_MAX_BYTES = 4096
_ANSWERS = {200, 201, 400, 404, 409, 410, 413, 422}


_stack = ExitStack()


def close() -> None:
    """Take the service down."""
    _stack.close()
    _stage.cache_clear()


@cache
def _stage() -> tuple[TestClient, Scenery]:
    """The service in this process, with trials to store files of; it lasts until `close`."""
    folder = Path(tempfile.mkdtemp(prefix="caviar-uploads-"))
    _stack.callback(shutil.rmtree, folder, ignore_errors=True)
    settings = ServiceSettings(
        database_url=f"sqlite:///{folder / 'caviar.db'}", artifacts_url=str(folder / "artifacts"),
        token=SecretStr(_TOKEN), lease_ttl_s=3600.0, max_artifact_bytes=_MAX_BYTES,
    )  # fmt: skip
    prepare(settings)
    client = TestClient(
        create_app(settings),
        base_url="http://127.0.0.1",
        headers={"Authorization": f"Bearer {_TOKEN}"},
        raise_server_exceptions=False,
    )
    _stack.enter_context(client)
    return client, furnish(client)


@given(
    st.one_of(st.binary(max_size=200), st.just(b"x" * (_MAX_BYTES + 1)), st.just(b"")),
    st.sampled_from(["whole", "cut", "longer", "doubled", "gone"]),
    st.fixed_dictionaries(
        {},
        optional={
            "caviar-lease": drawing.texts,
            "caviar-sha256": drawing.texts,
            "caviar-epoch": drawing.texts,
            "content-length": st.one_of(st.integers(-5, 10**20).map(str), drawing.texts),
        },
    ),
    st.sampled_from(
        ["checkpoints/1", "checkpoints/2", "weights", "checkpoints/0", "checkpoints/99999999", "weights/x"]
    ),
    st.integers(0, 30),
)
def uploads(content: bytes, how: str, headers: dict[str, str], place: str, trial: int) -> None:
    """A file is stored as a whole, or refused in words; what was stored before stays as it was."""
    client, scenery = _stage()
    number, lease = list(scenery.leases.items())[trial % len(scenery.leases)]
    good = {
        "caviar-lease": lease, "caviar-sha256": hashlib.sha256(content).hexdigest(), "caviar-epoch": "1",
        "authorization": f"Bearer {_TOKEN}", "host": "127.0.0.1",
    }  # fmt: skip
    path = f"/api/v1/trials/{number if trial < 20 else trial}/{place}"
    with bounded():
        status, body = _portal(client, _put, client.app, path, good | headers, _portions(content, how))
    assert status in _ANSWERS, (status, body)
    assert len(body) < 100_000


def _portal(client: TestClient, call: Any, *arguments: Any) -> Any:
    assert client.portal is not None
    return client.portal.call(call, *arguments)


def _portions(content: bytes, how: str) -> list[dict[str, Any]]:
    whole = [
        {"type": "http.request", "body": content[i : i + 64], "more_body": True} for i in range(0, len(content), 64)
    ]
    last = {"type": "http.request", "body": b"", "more_body": False}
    match how:
        case "cut":
            return [*whole[:1], {"type": "http.disconnect"}]
        case "longer":
            return [*whole, {"type": "http.request", "body": b"more", "more_body": False}]
        case "doubled":
            return [*whole, *whole, last]
        case "gone":
            return [{"type": "http.disconnect"}]
    return [*whole, last]


async def _put(app: Any, path: str, headers: dict[str, str], portions: list[dict[str, Any]]) -> tuple[int, bytes]:
    """Status and body of the answer to a request that is made of these portions; 400 if nobody heard one."""
    waiting, sent = iter(portions), []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80), "state": {},
        "headers": [(name.encode(), value.encode(errors="replace")) for name, value in headers.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return 400, b""
    return int(sent[0]["status"]), b"".join(message.get("body", b"") for message in sent[1:])
