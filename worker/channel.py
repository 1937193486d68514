"""What the supervisor and a training process say to each other: JSON lines over a pair of sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from caviar.contract.fleet import CodeVersion
from caviar.contract.messages import Assignment, OfferedObjective, TrainingError
from caviar.contract.model import View
from caviar.contract.states import Outcome


class Setup(View):
    """To the training process, once and first.

    Attributes:
        objectives: The operator's own objectives, as `path/to/file.py` or `package.module`.
        data_dir: Folder of the data files that studies may name.
        checkpoints_dir: Folder for the best weights of every trial; None to keep none.
        resume_dir: Folder of the checkpoints from which trainings of this service go on.
        is_first: Whether no process of this worker was ever ready: then an objective that cannot be loaded is the end
            of the worker; later, it is the failure of its trials.
        whole_epochs: Whether small trainings run a whole epoch as one compiled function.
        device: Uuid of the device that the process is to train on; None for the CPU.
        cores: The cores that it may use; empty for all that the worker may use.
    """

    kind: Literal["setup"] = "setup"
    objectives: tuple[str, ...]
    data_dir: Path
    checkpoints_dir: Path | None
    resume_dir: Path
    is_first: bool = True
    whole_epochs: bool = True
    device: str | None = None
    cores: tuple[int, ...] = ()


class Train(View):
    """To the training process: train this when the one before is done."""

    kind: Literal["train"] = "train"
    assignment: Assignment


class Stop(View):
    """To the training process: end this training, if it is still going on.

    Attributes:
        lease: Which one.
        is_urgent: True to stop after the current batch, whose epoch then counts for nothing; False for after the
            current epoch.
    """

    kind: Literal["stop"] = "stop"
    lease: str
    is_urgent: bool


class Ready(View):
    """From the training process: everything is imported.

    Attributes:
        objectives: What it can train.
        memory_bytes: Resident memory now; 0 if it cannot be told.
        backend: Backend of Keras.
        versions: Versions of the packages that trainings depend on, by name.
    """

    kind: Literal["ready"] = "ready"
    objectives: list[OfferedObjective]
    memory_bytes: int
    backend: str = ""
    versions: dict[str, str] = Field(default_factory=dict)


class Broken(View):
    """From the training process: it cannot work, and trying again at once will not help.

    Attributes:
        message: Why.
        is_slots_own: Whether that is so in this slot, while others may do better.
    """

    kind: Literal["broken"] = "broken"
    message: str
    is_slots_own: bool = False


class Started(View):
    """From the training process: a training has begun.

    Attributes:
        lease: Of which training.
        code_version: Digest of the source of its objective; None for a built-in one.
    """

    kind: Literal["started"] = "started"
    lease: str
    code_version: CodeVersion | None = None


class Stale(View):
    """From the training process, in place of `Started`: the source of the objective has changed since it was loaded.

    The training is to be handed to a new process; this one is of no more use.
    """

    kind: Literal["stale"] = "stale"
    lease: str


class EpochDone(View):
    """From the training process: one epoch, with finite metrics only.

    Attributes:
        lease: Of which training.
        epoch: Completed epochs, absolute.
        metrics: By name.
        elapsed_s: Seconds since the attempt began.
        checkpoint: Whether a checkpoint of this epoch is complete on disk.
        checkpoint_error: Why there is none although the service wished for one.
        is_last: Whether the training ends by itself with this epoch.
    """

    kind: Literal["epoch"] = "epoch"
    lease: str
    epoch: int
    metrics: dict[str, float]
    elapsed_s: float
    checkpoint: bool = False
    checkpoint_error: str | None = None
    is_last: bool = False


class Ended(View):
    """From the training process: a training is over.

    Attributes:
        outcome: How it ended; None if it was stopped because it was asked to.
        error: What went wrong, unless the outcome is `complete` or None.
        missing_checkpoint: Why it could not go on from its checkpoint; then the outcome is None.
        memory_bytes: Resident memory now; 0 if it cannot be told.
        peak_memory_bytes: Most resident memory during this training; None if it cannot be told.
        peak_device_memory_bytes: Most memory of the device during this training, as the backend counts it; None on a
            CPU.
    """

    kind: Literal["ended"] = "ended"
    lease: str
    outcome: Outcome | None
    error: TrainingError | None
    missing_checkpoint: str | None = None
    memory_bytes: int
    peak_memory_bytes: int | None = None
    peak_device_memory_bytes: int | None = None


Message = Setup | Train | Stop | Ready | Broken | Started | Stale | EpochDone | Ended
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


class Channel:
    """One end of the connection; any thread may send, one thread receives."""

    def __init__(self, end: socket.socket) -> None:
        """Take over one end of a stream socket pair."""
        self._socket = end
        self._reader = end.makefile("rb")
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            OSError: The other end is gone.
        """
        line = message.model_dump_json().encode() + b"\n"
        with self._lock:
            self._socket.sendall(line)

    def __iter__(self) -> Iterator[Message]:
        """The messages of the other end, until it is gone."""
        while True:
            try:
                line = self._reader.readline()
            except ConnectionError:
                return
            # A line without its end was cut off by the death of its writer.
            if not line.endswith(b"\n"):
                return
            yield _MESSAGES.validate_json(line)

    def shut(self) -> None:
        """Tell the other end that there is nothing more to come, in both directions."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Free the file descriptors; no thread may be receiving any more."""
        self._reader.close()
        self._socket.close()
