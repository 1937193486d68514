"""Fresh databases for tests: SQLite files and databases of the session's own Postgres server."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

from tests.postgres import PostgresServer

_numbers = itertools.count()
_TEMPLATE = "caviar_template"


class Databases:
    """Makes databases that no other test sees.

    Attributes:
        server: The session's Postgres server.
    """

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self.server = server
        self._folder = folder
        self._upgraded: set[str] = set()

    def empty(self, kind: str) -> str:
        """Address of a new database without any table.

        Args:
            kind: `sqlite` or `postgres`.
        """
        return self._sqlite() if kind == "sqlite" else self.server.create_database(_name())

    def ready(self, kind: str) -> str:
        """Address of a new database with the newest schema and no rows; far faster than upgrading an empty one.

        Args:
            kind: `sqlite` or `postgres`.
        """
        return self._sqlite_ready() if kind == "sqlite" else self._postgres_ready()

    def _sqlite(self) -> str:
        return f"sqlite:///{self._folder / _name()}.db"

    def _sqlite_ready(self) -> str:
        template = self._folder / f"{_TEMPLATE}.db"
        if "sqlite" not in self._upgraded:
            _upgrade(f"sqlite:///{template}")
            self._upgraded.add("sqlite")
        url = self._sqlite()
        shutil.copyfile(template, url.removeprefix("sqlite:///"))
        return url

    def _postgres_ready(self) -> str:
        if "postgres" not in self._upgraded:
            _upgrade(self.server.create_database(_TEMPLATE))
            self._upgraded.add("postgres")
        return self.server.create_database(_name(), template=_TEMPLATE)


def _upgrade(url: str) -> None:
    # Only tests that need a database load SQLAlchemy.
    from service.store import migrations

    migrations.upgrade(url)


def _name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"
