"""Two services that look like one: each request goes to the other one than the request before."""

from __future__ import annotations

from typing import Any

from tests.service.protocol.wire import Wire


class Alternating(Wire):
    """A wire whose requests go to two services on the same database in turns."""

    def __init__(self, database_url: str) -> None:
        self._num_asked = 0
        super().__init__(database_url)
        self.other = Wire(database_url, clock=self.clock)

    def stop(self) -> None:
        """Take both services down."""
        self.other.stop()
        super().stop()

    def restart(self) -> None:
        """Take one of the services down and bring it up again, while the other one stays."""
        super().stop()
        self.start()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and parsed body of an answer of the service whose turn it is."""
        self._num_asked += 1
        if self._num_asked % 2:
            return super().ask(method, path, body)
        return self.other.ask(method, path, body)
