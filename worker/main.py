"""`caviar work`: put a worker together from its settings and run it."""

from __future__ import annotations

import importlib.util
import os
import queue
import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import structlog

from caviar import credentials
from caviar.contract.errors import InvalidRequest
from caviar.trust import verification
from worker import home, logs, tracing
from worker.api import WorkerApi
from worker.backoff import Backoff
from worker.channel import Setup
from worker.checkpoints.fetching import Fetcher
from worker.checkpoints.shelf import Shelf, shelf_of
from worker.crew import Crew
from worker.events import Event
from worker.line import Line, is_direct
from worker.outbox import Outbox, open_outbox
from worker.placing.planning import SlotPlan, Wishes, plan
from worker.settings import WorkerSettings
from worker.slot import Slot, training_environment
from worker.supervisor import Habits, Supervisor
from worker.watching import Limits

_log = structlog.get_logger(__name__)

_KEEP_ALIVE_S = 60.0


def run(settings: WorkerSettings) -> int:
    """Run a worker until a signal, a refusal by the service, or the end of all work.

    Returns:
        Exit status: 0 after a graceful end, 1 if the worker cannot work.
    Raises:
        StateInUse: Another worker has this name or state folder.
        InvalidRequest: There is no access token, no such device, or the backend of Keras is not installed.
    """
    token = _token(settings)
    place = home.settle(settings.name, settings.state_dir, credentials.home() / "worker")
    logs.configure(settings.log_level, place.name)
    outbox = open_outbox(place.folder)
    try:
        with _client(settings.url, token, place.name) as client, _line(settings.url, token) as line:
            return _work(settings, place, outbox, WorkerApi(client, line))
    finally:
        outbox.close()
        place.close()


def _work(settings: WorkerSettings, place: home.Home, outbox: Outbox, api: WorkerApi) -> int:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    backend = _backend(settings)
    planned = plan(_wishes(settings, backend), state_dir=place.folder)
    if planned.word is not None:
        (_log.info if planned.is_normal else _log.warning)("devices", detail=planned.word)
    shelf = shelf_of(settings.resume_dir or credentials.home() / "resume", settings.url, settings.max_cache_bytes)
    fetcher = Fetcher(api, shelf, outbox, emit=events.put, make_backoff=lambda: Backoff(random.Random()))
    slots = [
        _slot(index, slot_plan, settings, shelf, backend=backend, folder=place.folder, emit=events.put)
        for index, slot_plan in enumerate(planned.slots)
    ]
    crew = Crew(slots, planned.placing, outbox, _limits(settings), fetch=fetcher.fetch)
    habits = Habits(
        name=place.name,
        host=home.machine_name(),
        num_slots=len(slots),
        labels=settings.labels,
        devices=planned.placing.devices,
        claim_wait_s=settings.claim_wait_s,
        flush_s=settings.flush_s,
        exit_when_idle=settings.exit_when_idle,
    )
    _log.info(
        "starting",
        url=settings.url,
        slots=len(slots),
        devices=sorted({slot.device_name for slot in slots}),
        backend=backend,
        state_dir=str(place.folder),
    )
    try:
        return Supervisor(habits, api, outbox, crew, shelf=shelf, events=events).run()
    finally:
        fetcher.stop()


def _slot(
    index: int,
    slot_plan: SlotPlan,
    settings: WorkerSettings,
    shelf: Shelf,
    *,
    backend: str,
    folder: Path,
    emit: Callable[[Event], None],
) -> Slot:
    setup = Setup(
        objectives=settings.objectives,
        data_dir=settings.data_dir or credentials.home() / "data",
        checkpoints_dir=settings.checkpoints_dir,
        resume_dir=shelf.folder,
        whole_epochs=settings.whole_epochs,
        device=slot_plan.device,
        cores=tuple(sorted(slot_plan.cores or ())),
    )
    environment = training_environment(os.environ, {**slot_plan.environment, "KERAS_BACKEND": backend})
    return Slot(index, setup, environment, folder / f"slot-{index}.log", emit, device_name=slot_plan.device_name)


def _wishes(settings: WorkerSettings, backend: str) -> Wishes:
    return Wishes(
        devices=settings.devices,
        slots_per_gpu=settings.slots_per_gpu,
        cpu_slots=settings.cpu_slots,
        threads_per_slot=settings.threads_per_slot,
        pin_cores=settings.pin_cores,
        gpu_margin_bytes=settings.gpu_margin_bytes,
        backend=backend,
    )


def _limits(settings: WorkerSettings) -> Limits:
    return Limits(
        stop_grace_s=settings.stop_grace_s,
        max_epoch_s=settings.max_epoch_s,
        max_growth_bytes=settings.max_slot_growth_bytes,
        max_memory_bytes=settings.max_slot_memory_bytes,
        memory_floor_bytes=settings.memory_floor_bytes,
    )


def _backend(settings: WorkerSettings) -> str:
    backend = settings.backend or os.environ.get("KERAS_BACKEND") or "tensorflow"
    # To look for a package does not import it, which would take seconds and hundreds of megabytes.
    if importlib.util.find_spec(backend) is None:
        raise InvalidRequest(
            f"the backend {backend} needs the package {backend}, which is not installed; install it with pip, "
            "or choose another by --backend or CAVIAR_BACKEND"
        )
    return backend


@contextmanager
def _line(url: str, token: str) -> Iterator[Line | None]:
    if tracing.is_wanted() or not is_direct(url):
        yield None
        return
    with closing(Line(url, token)) as line:
        yield line


def _client(url: str, token: str, worker: str) -> httpx2.Client:
    # Claim, heartbeat, reports, an upload and some downloads may be under way at once, each on its own connection.
    limits = httpx2.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=_KEEP_ALIVE_S)
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(
        base_url=url,
        headers=headers,
        limits=limits,
        transport=tracing.transport(limits, worker),
        verify=verification(),
    )


def _token(settings: WorkerSettings) -> str:
    token = settings.token.get_secret_value() if settings.token else credentials.read_token()
    if token is None:
        raise InvalidRequest(
            "there is no access token; pass --token, set CAVIAR_TOKEN, or start the worker as the "
            f"user whose service has stored one in {credentials.home() / 'token'}"
        )
    return credentials.check_token(token)
