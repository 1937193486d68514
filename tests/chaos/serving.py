"""The real service, with a clock that can be moved."""

from __future__ import annotations

from pathlib import Path

from service import app, serving
from service.settings import ServiceSettings
from service.store.clock import ServerClock
from service.store.engine import Engine
from service.use_cases.service import Clock, utc_now
from tests.chaos.clock import MovableClock


def serve(clock: Path) -> int:
    """Serve until SIGTERM; settings are variables of the environment.

    Args:
        clock: File of its clock.
    """
    movable = MovableClock(clock)

    def server_clock(engine: Engine) -> Clock:
        return movable.moved(ServerClock(engine))

    # The application makes the clock of a server that is shared by this name; nothing else of it is touched.
    vars(app)["ServerClock"] = server_clock
    settings = ServiceSettings()
    is_shared = settings.database_url.startswith("postgresql")
    return serving.run(settings, clock=None if is_shared else movable.moved(utc_now))
