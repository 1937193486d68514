"""`caviar work`: put a worker together from its settings and run it."""

from __future__ import annotations

import os
import queue

import httpx2
import structlog

from caviar import credentials
from caviar.contract.errors import InvalidRequest
from worker import cores, home, logs
from worker.api import WorkerApi
from worker.channel import Setup
from worker.checkpoints.shelf import shelf_of
from worker.crew import Crew
from worker.events import Event
from worker.outbox import Outbox
from worker.settings import WorkerSettings
from worker.slot import Slot, training_environment
from worker.supervisor import Habits, Supervisor

_log = structlog.get_logger(__name__)

_KEEP_ALIVE_S = 60.0


def run(settings: WorkerSettings) -> int:
    """Run a worker until a signal, a refusal by the service, or the end of all work.

    Returns:
        Exit status: 0 after a graceful end, 1 if the worker cannot work.
    Raises:
        StateInUse: Another worker has this name or state folder.
        InvalidRequest: There is no access token.
    """
    token = _token(settings)
    place = home.settle(settings.name, settings.state_dir, credentials.home() / "worker")
    logs.configure(settings.log_level, place.name)
    outbox = Outbox(place.folder / "outbox.db")
    try:
        with _client(settings.url, token) as client:
            return _work(settings, place, outbox, WorkerApi(client))
    finally:
        outbox.close()
        place.close()


def _work(settings: WorkerSettings, place: home.Home, outbox: Outbox, api: WorkerApi) -> int:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    threads = settings.threads_per_slot or max(1, cores.usable_cores() // settings.slots)
    environment = training_environment(os.environ, cores.thread_environment(threads))
    shelf = shelf_of(settings.resume_dir or credentials.home() / "resume", settings.url)
    setup = Setup(
        objectives=settings.objectives,
        data_dir=settings.data_dir or credentials.home() / "data",
        checkpoints_dir=settings.checkpoints_dir,
        resume_dir=shelf.folder,
    )
    slots = [
        Slot(index, setup, environment, place.folder / f"slot-{index}.log", events.put)
        for index in range(settings.slots)
    ]
    crew = Crew(slots, outbox, stop_grace_s=settings.stop_grace_s, max_growth_bytes=settings.max_slot_growth_bytes)
    habits = Habits(
        name=place.name,
        host=home.machine_name(),
        num_slots=settings.slots,
        claim_wait_s=settings.claim_wait_s,
        flush_s=settings.flush_s,
        exit_when_idle=settings.exit_when_idle,
    )
    _log.info("starting", url=settings.url, slots=settings.slots, threads_per_slot=threads, state_dir=str(place.folder))
    return Supervisor(habits, api, outbox, crew, shelf=shelf, events=events).run()


def _client(url: str, token: str) -> httpx2.Client:
    # Claim, heartbeat and reports may be under way at the same time, each on its own connection.
    limits = httpx2.Limits(max_connections=4, max_keepalive_connections=4, keepalive_expiry=_KEEP_ALIVE_S)
    return httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, limits=limits)


def _token(settings: WorkerSettings) -> str:
    token = settings.token.get_secret_value() if settings.token else credentials.read_token()
    if token is None:
        raise InvalidRequest(
            "there is no access token; pass --token, set CAVIAR_TOKEN, or start the worker as the "
            f"user whose service has stored one in {credentials.home() / 'token'}"
        )
    return token
