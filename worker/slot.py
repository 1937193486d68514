"""The parent's side of a training process: start it, talk to it, notice its death."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

from caviar.contract.messages import Assignment, TrainingError
from worker.channel import Broken, Channel, Ended, EpochDone, Message, Ready, Setup, Stale, Started, Stop, Train
from worker.events import SlotExited, SlotSaid
from worker.failures import writable

_log = structlog.get_logger(__name__)

TRACE_SIGNAL = signal.SIGUSR1
_MAX_LOG_BYTES = 10 * 1024**2
_LAST_WORDS_BYTES = 8 * 1024
_LOG_TAIL_BYTES = 16 * 1024
_EXIT_S = 5.0
# User code runs in these processes: the access token is none of its business.
_WITHHELD = frozenset({"CAVIAR_TOKEN"})
_FIXED = {
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # Several slots may share one GPU: none of them takes all of its memory at once.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}


def training_environment(outer: Mapping[str, str], threads: Mapping[str, str]) -> dict[str, str]:
    """The environment of a training process.

    Args:
        outer: The worker's own environment; what it says about the Keras backend and TensorFlow's log counts.
        threads: Variables that limit threads.
    """
    kept = {name: value for name, value in outer.items() if name not in _WITHHELD}
    return {"KERAS_BACKEND": "tensorflow", **_FIXED, **kept, **threads}


@dataclass
class Slot:
    """A place where one training runs at a time, in a process of its own that lives for many trainings.

    Attributes:
        index: Its number within the worker, from 0.
        setup: What every process of this slot is told first.
        environment: Variables of the process.
        log_path: Where the process writes its standard output and error.
        emit: Called from another thread with everything that the process says, and with its end.
        device_name: Model of its device, for people.
    """

    index: int
    setup: Setup
    environment: Mapping[str, str]
    log_path: Path
    emit: Callable[[SlotSaid | SlotExited], None]
    device_name: str = "cpu"
    process_id: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _channel: Channel | None = field(default=None, repr=False)
    _listener: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start a new process in place of the former one, if there was one."""
        self.close()
        ours, theirs = socket.socketpair()
        log_start = self.mark_log()
        with theirs, _appended(self.log_path) as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.training", "--channel", str(theirs.fileno())],
                env=dict(self.environment),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal is for the supervisor alone.
                start_new_session=True,
            )
        self.process_id = self._process.pid
        self._channel = Channel(ours)
        self._listener = threading.Thread(
            target=self._listen, args=(self._process, self._channel, log_start), name=f"slot-{self.index}", daemon=True
        )
        self._listener.start()
        self._send(self.setup)

    def mark_log(self) -> int:
        """Size of the log now: what is written from here on begins there. A log that has grown long begins anew."""
        size = 0
        try:
            self.log_path.parent.mkdir(parents=True, exist_ok=True)
            size = self.log_path.stat().st_size if self.log_path.exists() else 0
            if size > _MAX_LOG_BYTES:
                shutil.copyfile(self.log_path, self.log_path.with_suffix(".old.log"))
                # The process writes at the end of the file, wherever that is.
                os.truncate(self.log_path, 0)
                return 0
        except OSError as error:
            _log.warning("log_not_rotated", slot=self.index, detail=str(error))
        return size

    def log_tail(self, start: int) -> str:
        """The last lines of the log, 16 KiB of them at most.

        Args:
            start: What `mark_log` said: nothing before it counts.
        """
        return _tail(self.log_path, start, _LOG_TAIL_BYTES)

    def train(self, assignment: Assignment) -> None:
        """Hand over a training; if the process dies, that is told by `SlotExited`."""
        self._send(Train(assignment=assignment))

    def stop(self, lease: str, *, is_urgent: bool) -> None:
        """Ask a training to end after the current batch (urgent) or epoch."""
        self._send(Stop(lease=lease, is_urgent=is_urgent))

    def trace(self) -> None:
        """Have the process write to its log where each of its threads is, even if it hears nothing else any more."""
        if self._process is not None:
            self._process.send_signal(TRACE_SIGNAL)

    def kill(self) -> None:
        """End the process at once; its `SlotExited` follows."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process and forget it; it has five seconds to go by itself."""
        if self._process is None or self._channel is None or self._listener is None:
            return
        self._channel.shut()
        try:
            self._process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        self._channel.close()
        self._process = self._channel = self._listener = None

    def _send(self, message: Message) -> None:
        if self._channel is None:
            raise RuntimeError(f"slot {self.index} has no process; start it first")
        try:
            self._channel.send(message)
        except OSError:
            # The process is dead; its listener tells.
            return

    def _listen(self, process: subprocess.Popen[bytes], channel: Channel, log_start: int) -> None:
        for message in channel:
            if isinstance(message, (Ready, Broken, Started, Stale, EpochDone, Ended)):
                self.emit(SlotSaid(self.index, process.pid, message))
        try:
            status = process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        self.emit(SlotExited(self.index, process.pid, status, _tail(self.log_path, log_start, _LAST_WORDS_BYTES)))


def crash(status: int, last_words: str) -> TrainingError:
    """The error of a trial whose process died.

    Args:
        status: Exit status of the process; negative for the number of the signal that killed it.
        last_words: The end of its log.
    """
    if status < 0:
        name = signal.Signals(-status).name if -status in signal.valid_signals() else f"signal {-status}"
        return TrainingError(kind="killed", message=f"the training process was killed by {name}", traceback=last_words)
    return TrainingError(
        kind="exited", message=f"the training process exited with status {status}", traceback=last_words
    )


def _appended(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except OSError as error:
        # A training without a log is better than none.
        _log.warning("log_not_written", path=str(path), detail=str(error))
        return Path(os.devnull).open("ab")


def _tail(path: Path, start: int, max_bytes: int) -> str:
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            first = max(start, end - max_bytes)
            log.seek(first)
            written = log.read()
    except OSError:
        return ""
    if first > start:
        # What was cut off in the middle is no line.
        written = written.partition(b"\n")[2] or written
    return writable(written.decode("utf-8", errors="replace"))
