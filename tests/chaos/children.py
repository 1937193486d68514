"""The processes under test: started, kept up, killed, stopped and frozen."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from caviar.cli.children import end_with_parent

_POLL_S = 0.1
_AGAIN_S = 0.5
_STOP_S = 40.0

# To import the service takes seconds, of which a run has better uses: all are forked off a process that has done it.
_NURSERY = multiprocessing.get_context("forkserver")
_NURSERY.set_forkserver_preload(
    ["tests.chaos.run", "tests.chaos.serving", "tests.chaos.simulated", "tests.chaos.working"]
)


class Child:
    """A process that is to run, unless a fault wants it down.

    Attributes:
        name: In messages, and of its log.
        is_wanted: Whether `keep` starts it again when it does not run.
        num_deaths: How often it ended although nobody had wanted it to, after it was up.
    """

    def __init__(
        self,
        name: str,
        target: Callable[..., int],
        arguments: tuple[Any, ...],
        *,
        environment: Mapping[str, str],
        log: Path,
        is_up: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare it.

        Args:
            name: Of it.
            target: What it runs; gives its exit status.
            arguments: Of the target.
            environment: Its variables, beside those of this process that are not Caviar's.
            log: Where its output goes.
            is_up: Whether it does its work by now.
        """
        self.name = name
        self.log = log
        self.is_wanted = False
        self.num_deaths = 0
        self._begin = (target, arguments, dict(environment), log)
        self._answers = is_up
        self._was_up = self._is_ending = False
        self._process: ForkServerProcess | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.is_alive()

    async def keep(self) -> None:
        """Start it whenever it is wanted and does not run, until cancelled."""
        while True:
            if self.is_wanted and not self.is_running:
                if self._was_up:
                    self.num_deaths += 1
                self._start()
            if not self._was_up and not self._is_ending and self.is_running:
                self._was_up = self._answers()
            await asyncio.sleep(_POLL_S if self.is_running else _AGAIN_S)

    def _start(self) -> None:
        self._was_up = self._is_ending = False
        self._process = _NURSERY.Process(target=_live, args=self._begin, name=self.name, daemon=True)
        self._process.start()

    async def until_up(self, deadline_s: float) -> bool:
        """Wait until it does its work; false if it does not within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while not (self.is_running and self._was_up):  # noqa: ASYNC110  # another process sets no event of ours
                    await asyncio.sleep(_POLL_S)
                return True
        return False

    async def kill(self) -> None:
        """End it the way a power cut would; it stays down until it is wanted."""
        self._dismiss()
        self.signal(signal.SIGKILL)
        await self._gone()

    async def stop(self) -> int | None:
        """Ask it to end; it stays down until it is wanted.

        Returns:
            Its exit status; None if it had to be killed.
        """
        self._dismiss()
        self.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                return await self._gone()
        self.signal(signal.SIGKILL)
        await self._gone()
        return None

    def _dismiss(self) -> None:
        self.is_wanted = self._was_up = False
        self._is_ending = True

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None and self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    async def _gone(self) -> int | None:
        while self._process is not None and self._process.is_alive():  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)
        return None if self._process is None else self._process.exitcode

    def end(self) -> None:
        """See to it that nothing of it is left."""
        self.is_wanted = False
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join()


def _live(target: Callable[..., int], arguments: tuple[Any, ...], environment: dict[str, str], log: Path) -> None:
    end_with_parent(os.getppid())
    for name in [name for name in os.environ if name.startswith("CAVIAR_")]:
        del os.environ[name]
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.exit(target(*arguments))
