"""Processes that a command starts and that never outlive it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self

from caviar.cli.console import CommandFailed

GRACE_S = 30.0
_POLL_S = 0.2
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


class Interrupted(Exception):
    """The command itself was asked to end.

    Attributes:
        signal: By Ctrl-C, SIGTERM or SIGHUP.
    """

    def __init__(self, number: int) -> None:
        """Keep the number of the signal."""
        super().__init__(signal.Signals(number).name)
        self.signal = signal.Signals(number)


@dataclass(frozen=True)
class Child:
    """A process that runs a command of Caviar.

    Attributes:
        name: For people.
        process: The process itself.
        log: File of all its output; None if it shares the terminal.
        is_vital: Whether the command cannot go on without it.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    is_vital: bool

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def obituary(self) -> str:
        """How it ended."""
        status = self.process.poll()
        if status is None:
            return f"{self.name} is running"
        return (
            f"{self.name} was killed by {signal.Signals(-status).name}"
            if status < 0
            else f"{self.name} ended with status {status}"
        )


@dataclass
class Children:
    """All child processes of a command; they end when the `with` block ends, the last started first.

    Signals that ask the command to end do not break into its work: `pause` tells of them.

    Attributes:
        grace_s: Seconds between the request to end and the kill.
    """

    grace_s: float = GRACE_S
    _children: list[Child] = field(default_factory=list)
    _told: set[int] = field(default_factory=set)
    _signal: int | None = None
    _woken: threading.Event = field(default_factory=threading.Event)
    _handlers: dict[int, object] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Take over the signals."""
        for number in _ENDING:
            self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception: object) -> None:
        """End all children, and give the signals back."""
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path | None = None,
        is_vital: bool = False,
        shared: Sequence[int] = (),
    ) -> Child:
        """Start `caviar` with arguments.

        Args:
            name: For people.
            arguments: Command and options.
            environment: Of the new process.
            log: File that takes all its output; None to share the terminal.
            is_vital: Whether the command cannot go on without it.
            shared: Descriptors that it has under the same numbers.
        """
        command = [sys.executable, "-m", "caviar.cli", *arguments, "--end-with", str(os.getpid())]
        output = log.open("ab") if log is not None else None
        try:
            # A session of its own: Ctrl-C in the terminal reaches this process alone, which then ends all in order.
            process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
                pass_fds=shared,
            )
        finally:
            if output is not None:
                output.close()
        child = Child(name, process, log, is_vital)
        self._children.append(child)
        return child

    def pause(self, seconds: float) -> None:
        """Wait, with an eye on signals and children.

        Raises:
            Interrupted: The command was asked to end.
            CommandFailed: A vital child has ended, or all those that are not vital have.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._woken.wait(min(left, _POLL_S))

    def rest(self, seconds: float) -> None:
        """Wait, with an eye on signals alone.

        Raises:
            Interrupted: The command was asked to end.
        """
        if self._signal is None:
            self._woken.wait(seconds)
        if self._signal is not None:
            raise Interrupted(self._signal)

    def forget(self, child: Child) -> None:
        """Let go of a child that has ended."""
        self._children.remove(child)

    def check(self) -> None:
        """Raise what `pause` raises, without waiting."""
        if self._signal is not None:
            raise Interrupted(self._signal)
        helpers = [child for child in self._children if not child.is_vital]
        for child in self._children:
            if not child.is_running and (child.is_vital or not any(other.is_running for other in helpers)):
                raise CommandFailed(child.obituary())

    def newly_ended(self) -> list[Child]:
        """The children that have ended since the last call."""
        ended = [child for child in self._children if not child.is_running and child.process.pid not in self._told]
        self._told.update(child.process.pid for child in ended)
        return ended

    def stop(self) -> None:
        """End all children: those that are not vital first, so that they can still say good-bye to the service."""
        self._signal = None
        for group in ([c for c in self._children if not c.is_vital], [c for c in self._children if c.is_vital]):
            for child in group:
                if child.is_running:
                    child.process.terminate()
            deadline = time.monotonic() + self.grace_s
            while any(child.is_running for child in group):
                # A second signal means: at once.
                if self._is_asked_to_end() or time.monotonic() > deadline:
                    for child in group:
                        child.process.kill()
                self._woken.clear()
                self._woken.wait(_POLL_S)

    def _is_asked_to_end(self) -> bool:
        return self._signal is not None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        self._woken.set()


def end_with_parent(parent: int | None) -> None:
    """Have this process end when the one that started it ends, however that happens.

    Args:
        parent: Id of the process that started this one; None to do nothing.
    Raises:
        CommandFailed: The parent is gone already.
    Source: prctl(2), PR_SET_PDEATHSIG. Other systems than Linux have nothing like it; there only a parent that is
        killed at once leaves children behind.
    """
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise CommandFailed(f"the process {parent} that started this one has ended")
