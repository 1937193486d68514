"""Whether a process can work is told in time, whatever hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from service.store import migrations
from service.store.engine import connect
from service.store.transaction import Transaction
from service.use_cases import readiness
from service.use_cases.readiness import Check, Readiness
from service.use_cases.service import Service


@contextmanager
def _service(database: Path) -> Iterator[Service]:
    service = Service(connect(f"sqlite:///{database}"), lease_ttl_s=30.0)
    try:
        yield service
    finally:
        service.close()


def _run(database: Path, look: Any, *, head: Any = migrations.head, age_s: float | None = 1.0) -> Any:
    migrations.upgrade(f"sqlite:///{database}")

    async def main() -> Any:
        with _service(database) as service:
            service.start()
            return await look(service, Readiness(service, head=head, clockwork_age_s=lambda: age_s))

    return asyncio.run(main())


def _failed(checks: list[Check]) -> dict[str, str | None]:
    return {check.name: check.detail for check in checks if not check.is_ok}


async def _look(_service: Service, one: Readiness) -> list[Check]:
    return await one.checks()


def test_everything_holds(tmp_path: Path) -> None:
    checks = _run(tmp_path / "caviar.db", _look)
    assert [check.name for check in checks] == list(readiness.EXPECTED)
    assert _failed(checks) == {}
    assert all(check.age_s is not None and check.age_s < 60 for check in checks)


def test_other_tables_and_a_clockwork_that_stands_are_named(tmp_path: Path) -> None:
    found = _failed(_run(tmp_path / "caviar.db", _look, head=lambda: "9999", age_s=31.0))
    assert found == {
        "schema": f"the tables are at {migrations.head()}, this version needs 9999",
        "clockwork": "it went round 31 s ago",
    }


def test_what_hangs_is_named_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.05)
    free = threading.Event()
    stuck = 0

    def hang() -> str:
        nonlocal stuck
        stuck += 1
        free.wait()
        return "never"

    async def look(service: Service, one: Readiness) -> list[dict[str, str | None]]:
        held = service.submit(lambda tx: free.wait())
        holding = asyncio.ensure_future(held)
        begun = monotonic()
        first = await asyncio.gather(*(one.checks() for _ in range(20)))
        assert monotonic() - begun < 5
        one._round = None
        second = await one.checks()
        free.set()
        await holding
        return [_failed(first[0]), _failed(second)]

    expected = {
        "database": "no answer within 0.05 s",
        "schema": "not known without the database",
        "writer": "no commit within 0.05 s",
    }
    assert _run(tmp_path / "caviar.db", look, head=hang) == [expected, expected]
    # However often it was asked, one thread hangs.
    assert stuck == 1


def test_a_database_that_is_away_is_named(tmp_path: Path) -> None:
    async def look(service: Service, one: Readiness) -> list[Check]:
        await service.submit(_nothing)
        service.engine.dispose()
        (tmp_path / "gone").mkdir()
        service.engine = connect(f"sqlite:///{tmp_path / 'gone'}")
        return await one.checks()

    found = _failed(_run(tmp_path / "caviar.db", look))
    assert found["database"] == "the database does not answer; repeat the request later"


def _nothing(tx: Transaction) -> None:
    """Nothing at all."""
