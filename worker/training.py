"""The training process: `python -m worker.training --channel FD`, started by a slot, never by hand.

One thread listens to the supervisor, the main thread trains. TensorFlow is imported once, for many trainings.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from caviar.contract.fleet import Device
from caviar.contract.messages import Assignment
from worker.channel import Broken, Channel, Ended, Message, Ready, Setup, Started, Stop, Train
from worker.objectives.errors import LoadError

if TYPE_CHECKING:
    from worker.callbacks import StopRequest

_STATM = Path("/proc/self/statm")


class Orders:
    """What the supervisor wants, as the listening thread hears it."""

    def __init__(self) -> None:
        """Begin without orders."""
        self.assignments: queue.SimpleQueue[Assignment] = queue.SimpleQueue()
        self._wanted: dict[str, Literal["epoch", "batch"]] = {}
        self._current: tuple[str, StopRequest] | None = None
        self._lock = threading.Lock()

    def stop(self, lease: str, *, is_urgent: bool) -> None:
        """End a training that runs or is still in the queue."""
        with self._lock:
            self._wanted[lease] = "batch" if is_urgent else "epoch"
            if self._current is not None and self._current[0] == lease:
                self._current[1].wanted = self._wanted[lease]

    def begin(self, lease: str, request: StopRequest) -> None:
        """From now on, `request` is told when this training is to end."""
        with self._lock:
            self._current = (lease, request)
            request.wanted = self._wanted.get(lease)

    def end(self, lease: str) -> None:
        """Forget a training that is over."""
        with self._lock:
            self._current = None
            self._wanted.pop(lease, None)


def listen(channel: Channel, orders: Orders) -> None:
    """Follow the supervisor; end the process when it is gone."""
    for message in channel:
        if isinstance(message, Train):
            orders.assignments.put(message.assignment)
        elif isinstance(message, Stop):
            orders.stop(message.lease, is_urgent=message.is_urgent)
    # The main thread may be deep in a long computation: no ordinary exit reaches it.
    os._exit(0)


def serve(channel: Channel, setup: Setup, orders: Orders) -> None:
    """Import, say what can be trained, then train whatever comes, for ever."""
    # Keras and its backend are imported here, once the listening thread notices the death of the supervisor.
    from worker.callbacks import StopRequest
    from worker.checkpoints.shelf import Shelf
    from worker.fitting import Trainer
    from worker.objectives.loading import load_all, offer

    objectives = load_all(list(setup.objectives))

    def tell(message: Message) -> None:
        try:
            channel.send(message)
        except OSError:
            os._exit(0)

    # What the imports made stays for ever: the collection after each trial need not walk through it, which took 0.3 s.
    gc.collect()
    gc.freeze()
    trainer = Trainer(objectives, setup.data_dir, setup.checkpoints_dir, Shelf(setup.resume_dir), tell)
    offers = [offer(name, kind) for name, kind in objectives.items()]
    tell(Ready(objectives=offers, devices=devices(), memory_bytes=memory_bytes()))
    while True:
        assignment = orders.assignments.get()
        request = StopRequest()
        orders.begin(assignment.lease, request)
        tell(Started(lease=assignment.lease))
        result = trainer.train(assignment, request)
        orders.end(assignment.lease)
        tell(
            Ended(
                lease=assignment.lease,
                outcome=result.outcome,
                error=result.error,
                missing_checkpoint=result.missing_checkpoint,
                memory_bytes=memory_bytes(),
            )
        )


def devices() -> list[Device]:
    """What this process trains on: GPUs by Keras's names, or the CPU with its threads."""
    import keras

    backend = keras.backend.backend()
    accelerators = [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]
    found = [Device(kind="gpu", name=name, facts={"backend": backend}) for name in accelerators]
    return found or [Device(kind="cpu", name="cpu", facts={"backend": backend})]


def memory_bytes() -> int:
    """Resident memory of this process, or 0 where the system does not tell (it is read from Linux's /proc)."""
    if not _STATM.exists():
        return 0
    return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Run until the supervisor is gone.

    Returns:
        1 if this process cannot start; else it does not return.
    """
    parser = argparse.ArgumentParser(prog="worker.training", description=__doc__)
    parser.add_argument("--channel", type=int, required=True, help="file descriptor of a connected stream socket")
    channel = Channel(socket.socket(fileno=parser.parse_args().channel))
    # Whoever signals the whole group means the supervisor, which lets this process end its epoch.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.enable()
    setup = next(iter(channel), None)
    if not isinstance(setup, Setup):
        return 1
    orders = Orders()
    threading.Thread(target=listen, args=(channel, orders), name="listen", daemon=True).start()
    try:
        serve(channel, setup, orders)
    except (LoadError, ImportError) as error:
        traceback.print_exc()
        channel.send(Broken(message=str(error)))
    return 1


if __name__ == "__main__":
    sys.exit(main())
