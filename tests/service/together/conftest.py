"""Two services on one Postgres database, any of which may be asked anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.databases import Databases
from tests.service.protocol.wire import Clock, Wire, running


@dataclass(frozen=True)
class Pair:
    """Two services that share a database and a clock.

    Attributes:
        a: The one that was started first, which leads.
        b: The other one.
    """

    a: Wire
    b: Wire

    @property
    def clock(self) -> Clock:
        """The clock of both."""
        return self.a.clock


@pytest.fixture(scope="package")
def pair(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Pair]:
    """Two services in process; their background loops go round only when told to."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        home = request.getfixturevalue("tmp_path_factory").mktemp("home")
        monkeypatch.setenv("CAVIAR_HOME", str(home))
        url = databases.ready("postgres")
        with running(url, monkeypatch) as a:
            b = Wire(url, clock=a.clock)
            try:
                yield Pair(a, b)
            finally:
                b.stop()
