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
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from caviar.contract.messages import Assignment
from worker.channel import Broken, Channel, Ended, Message, Ready, Setup, Stale, Started, Stop, Train
from worker.circumstances import Circumstances, DeviceMissing, circumstances, versions
from worker.cores import pin
from worker.logs import naming, steady
from worker.memory import MachineMemory
from worker.objectives.errors import LoadError
from worker.slot import TRACE_SIGNAL

if TYPE_CHECKING:
    from worker.callbacks import StopRequest
    from worker.fitting import Trainer


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
    """Import, say what can be trained, then train whatever comes, for ever.

    Raises:
        LoadError: An objective cannot be loaded.
        ImportError: A package is missing.
        DeviceMissing: The device of the slot cannot be used.
    """
    # Keras and its backend are imported here, once the listening thread notices the death of the supervisor.
    from worker.checkpoints.shelf import Shelf
    from worker.fitting import Trainer
    from worker.objectives.catalogue import open_catalogue
    from worker.programs.cache import PROGRAMS

    PROGRAMS.is_on = setup.whole_epochs
    here = circumstances(setup.device)
    here.check_seen()
    catalogue = open_catalogue(setup.objectives, is_first=setup.is_first)

    def tell(message: Message) -> None:
        try:
            channel.send(message)
        except OSError:
            os._exit(0)

    # What the imports made stays for ever: the collection after each trial need not walk through it, which took 0.3 s.
    gc.collect()
    gc.freeze()
    shelf = Shelf(setup.resume_dir)
    trainer = Trainer(catalogue.objectives, setup.data_dir, setup.checkpoints_dir, shelf, tell, catalogue.failure)
    offers = catalogue.offers
    tell(Ready(objectives=offers, memory_bytes=memory_bytes(), backend=here.backend, versions=versions(here.backend)))
    while True:
        assignment = orders.assignments.get()
        name = assignment.objective.name
        if catalogue.is_stale(name):
            tell(Stale(lease=assignment.lease))
        else:
            # A device that fails now is not the trial's fault, as long as it has not started.
            here.begin()
            tell(Started(lease=assignment.lease, code_version=catalogue.code_version(name)))
            with naming(assignment):
                train(assignment, orders, trainer, here, tell)


def train(
    assignment: Assignment, orders: Orders, trainer: Trainer, here: Circumstances, tell: Callable[[Message], None]
) -> None:
    """Train one trial, and tell its end.

    Args:
        assignment: What to train.
        orders: Where the supervisor asks for the end.
        trainer: Trains it.
        here: Measures it.
        tell: Sends to the supervisor.
    """
    from worker.callbacks import StopRequest

    request = StopRequest()
    orders.begin(assignment.lease, request)
    result = trainer.train(assignment, request)
    orders.end(assignment.lease)
    tell(
        Ended(
            lease=assignment.lease,
            outcome=result.outcome,
            error=result.error,
            missing_checkpoint=result.missing_checkpoint,
            memory_bytes=memory_bytes(),
            peak_memory_bytes=here.peak_memory_bytes(),
            peak_device_memory_bytes=here.peak_device_memory_bytes(),
        )
    )


def memory_bytes() -> int:
    """Resident memory of this process, or 0 where the system does not tell."""
    used = MachineMemory().of_process(os.getpid())
    return 0 if used is None else used.resident_bytes


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
    faulthandler.register(TRACE_SIGNAL, all_threads=True)
    sys.stdout, sys.stderr = steady(sys.stdout), steady(sys.stderr)
    setup = next(iter(channel), None)
    if not isinstance(setup, Setup):
        return 1
    # Before anything is imported that starts threads of its own.
    if setup.cores:
        pin(setup.cores)
    orders = Orders()
    threading.Thread(target=listen, args=(channel, orders), name="listen", daemon=True).start()
    try:
        serve(channel, setup, orders)
    except (LoadError, ImportError) as error:
        traceback.print_exc()
        channel.send(Broken(message=str(error)))
    except DeviceMissing as error:
        traceback.print_exc()
        channel.send(Broken(message=str(error), is_slots_own=True))
    return 1


if __name__ == "__main__":
    sys.exit(main())
