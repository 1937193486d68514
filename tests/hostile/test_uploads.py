"""Uploads of checkpoints over real sockets: slow, cut off and at once; what is stored is whole."""

from __future__ import annotations

import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.processes import TOKEN, Site, site
from tests.service.web.trials import ScriptedWorker

_CONTENT = b"a checkpoint of a trial " * 40
_PATIENCE_S = 60.0


def _head(trial: dict[str, Any]) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {TOKEN}",
        "Caviar-Lease": trial["lease"],
        "Caviar-SHA256": hashlib.sha256(_CONTENT).hexdigest(),
    }


def _open(here: Site, trial: dict[str, Any], epoch: int) -> socket.socket:
    """A connection on which the head of an upload was sent, and nothing of its body."""
    lines = [f"PUT /api/v1/trials/{trial['trial_id']}/checkpoints/{epoch} HTTP/1.1", f"Host: 127.0.0.1:{here.port}"]
    lines += [f"{name}: {value}" for name, value in _head(trial).items()]
    lines += [f"Content-Length: {len(_CONTENT)}", "Connection: close", "", ""]
    connection = socket.create_connection(("127.0.0.1", here.port), timeout=_PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall("\r\n".join(lines).encode())
    return connection


@pytest.mark.slow
def test_slow_cut_off_and_parallel_uploads_leave_whole_files(tmp_path: Path) -> None:
    with site(tmp_path, lease_ttl_s=600.0) as here, httpx2.Client(base_url=here.url) as http:
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        worker = ScriptedWorker(http, name="box", objective="own")
        worker.submit("uploads", budget={"max_trials": 2, "max_epochs": 8})
        trial = worker.claim(1)[0]
        path = f"/api/v1/trials/{trial['trial_id']}/checkpoints"
        with _open(here, trial, 1) as cut_off:
            cut_off.sendall(_CONTENT[:100])
        with _open(here, trial, 2) as slow:
            for mark in range(len(_CONTENT)):
                slow.sendall(_CONTENT[mark : mark + 1])
            assert slow.recv(12).startswith(b"HTTP/1.1 20")

        def store(_number: int) -> int:
            return http.put(f"{path}/3", content=_CONTENT, headers=_head(trial), timeout=_PATIENCE_S).status_code

        with ThreadPoolExecutor(6) as pool:
            statuses = list(pool.map(store, range(6)))
        assert {status // 100 for status in statuses} <= {2, 4}
        assert any(status < 300 for status in statuses)
        found = {epoch: http.get(f"{path}/{epoch}", headers=_head(trial)) for epoch in (1, 3)}
        assert found[1].status_code == 404
        assert found[3].content == _CONTENT
        assert "api.failed" not in here.service.log.read_text()
