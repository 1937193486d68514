"""Services in process that take each other's place, and everything that their databases hold."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.artifacts.opening import open_store
from service.artifacts.store import ArtifactStore
from service.domain.manifest import Manifest
from service.store.engine import connect
from service.store.schema import metadata
from service.use_cases import backing_up, restoring
from service.use_cases.restoring import Restored
from service.use_cases.service import utc_now
from tests.databases import Databases
from tests.service.protocol.wire import Wire, running


class Places:
    """Makes services, backups of them, and services on what is restored.

    Attributes:
        folder: Where everything lies.
    """

    def __init__(self, databases: Databases, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._databases = databases
        self._monkeypatch = monkeypatch
        self._running: list[contextlib.ExitStack] = []
        self._urls: list[str] = []

    @property
    def url(self) -> str:
        """Address of the database of the service that was started last."""
        return self._urls[-1]

    def empty(self, kind: str) -> str:
        """Address of a database without any table."""
        return self._databases.empty(kind)

    def start(self, kind: str = "sqlite", *, url: str | None = None) -> Wire:
        """A service on a new database, or on that of an address, with files of its own."""
        self._urls.append(url or self._databases.ready(kind))
        self._monkeypatch.setenv("CAVIAR_ARTIFACTS_URL", str(self.files_folder()))
        stack = contextlib.ExitStack()
        self._running.append(stack)
        return stack.enter_context(running(self.url, self._monkeypatch))

    def files_folder(self, number: int | None = None) -> Path:
        """Where the service with this number, or the newest one, keeps its files."""
        return self.folder / f"files-{len(self._urls) if number is None else number}"

    def store(self, number: int | None = None) -> ArtifactStore:
        """The store there."""
        return open_store(str(self.files_folder(number)), drafts=self.folder / "drafts")

    def back_up(self, name: str = "backup", *, with_files: bool = False) -> tuple[Path, Manifest]:
        """A backup of the newest service's database."""
        target = self.folder / name
        store = self.store() if with_files else None
        return target, backing_up.back_up(self.url, target, store=store, now=utc_now())

    def restore(self, source: Path, url: str, **options: Any) -> Restored:
        """What comes of a restore; the files go where the next service will look for them."""
        return restoring.restore(source, url, store=self.store(len(self._urls) + 1), **options)

    def close(self) -> None:
        """End all services."""
        for stack in self._running:
            stack.close()


def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of a database, by table."""
    engine = connect(url)
    try:
        with engine.connect() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for name, table in metadata.tables.items()
            }
    finally:
        engine.dispose()
