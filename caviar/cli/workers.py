"""`caviar workers`: who is connected, and pausing, resuming and draining them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from caviar.cli import formats, options
from caviar.cli.console import CommandFailed, Line, out, piled, say
from caviar.client import Client
from caviar.contract.fleet import Device
from caviar.contract.states import SlotState
from caviar.contract.views import WorkerView

app = typer.Typer(help="List the workers, or pause, resume and drain one.")

Named = Annotated[
    str, typer.Argument(metavar="WORKER", help="Its name, or its id or the beginning of it where names are not unique.")
]
Verb = Callable[[str], WorkerView]
_GIB = 2**30
_COLOURS = {"working": "cyan", "paused": "yellow", "draining": "yellow", "gone": "dim"}


@app.callback(invoke_without_command=True)
def workers(
    context: typer.Context,
    *,
    everyone: Annotated[bool, typer.Option("--all", help="Also those that have gone.")] = False,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """List the connected workers, or steer one of them by a command."""
    if context.invoked_subcommand is not None:
        return
    with Client(url, token) as client:
        found, demand = client.workers().items, client.demand()
    present = [worker for worker in found if worker.is_alive]
    shown = found if everyone else present
    if shown:
        out().print(_table(shown))
    say(f"{len(present)} connected, {demand.num_running} trials in training, {demand.num_wanted} could be")


@app.command()
def pause(worker: Named, *, url: options.Url = None, token: options.Token = None) -> None:
    """Give a worker nothing new; what it trains goes on."""
    _steer(worker, url, token, lambda client: client.pause_worker)


@app.command()
def resume(worker: Named, *, url: options.Url = None, token: options.Token = None) -> None:
    """Give a worker trials again."""
    _steer(worker, url, token, lambda client: client.resume_worker)


@app.command()
def drain(worker: Named, *, url: options.Url = None, token: options.Token = None) -> None:
    """Give a worker nothing new; it ends once what it trains is done."""
    _steer(worker, url, token, lambda client: client.drain_worker)


def _steer(named: str, url: str | None, token: str | None, verb: Callable[[Client], Verb]) -> None:
    with Client(url, token) as client:
        view = verb(client)(_found(client.workers().items, named).worker_id)
    held = len(view.running)
    holds = f", it holds {held} {'trial' if held == 1 else 'trials'}" if held else ""
    say(f"worker {view.name} ({view.worker_id}) is {_state(view)}{holds}")


def _found(workers: list[WorkerView], named: str) -> WorkerView:
    by_id = [worker for worker in workers if worker.worker_id == named]
    by_name = [worker for worker in workers if worker.name == named]
    # A worker that was started again has another id; its forerunner of the same name is not meant.
    found = by_id or [worker for worker in by_name if worker.is_alive] or by_name
    found = found or [worker for worker in workers if worker.worker_id.startswith(named)]
    if not found:
        known = ", ".join(sorted({worker.name for worker in workers if worker.is_alive})) or "none"
        raise CommandFailed(f"received the worker {named!r}, expected a name or an id; connected: {known}")
    if len(found) > 1:
        ids = ", ".join(f"{worker.worker_id} on {worker.host}" for worker in found)
        raise CommandFailed(f"{len(found)} workers go by {named!r}; name one by its id: {ids}")
    return found[0]


def _state(worker: WorkerView) -> str:
    return str(worker.mode) if worker.is_alive else "gone"


def _table(workers: list[WorkerView]) -> Table:
    table = Table()
    for heading in ("worker", "state", "host", "slots", "training", "devices", "labels", "seen", "id"):
        table.add_column(heading, justify="right" if heading in ("slots", "training") else "left", overflow="fold")
    now = datetime.now(UTC)
    for worker in workers:
        table.add_row(
            Line(worker.name),
            Line(_state(worker), style=_COLOURS[_state(worker)]),
            Line(worker.host),
            Line(_slots(worker)),
            Line(str(len(worker.running))),
            piled(Line(_device(device)) for device in worker.devices),
            Line(" ".join(f"{name}={value}" for name, value in worker.labels.items())),
            Line(f"{formats.duration(max((now - worker.seen_at).total_seconds(), 0.0))} ago"),
            Line(worker.worker_id[:8]),
        )
    return table


def _slots(worker: WorkerView) -> str:
    paused = sum(slot.state is SlotState.PAUSED for slot in worker.slot_facts)
    return f"{worker.slots} ({paused} paused)" if paused else str(worker.slots)


def _device(device: Device) -> str:
    used, total = device.memory_used_bytes, device.memory_total_bytes
    if total is None:
        return device.name
    memory = f"{total / _GIB:.3g} GiB" if used is None else f"{used / _GIB:.3g} of {total / _GIB:.3g} GiB"
    return f"{device.name}, {memory}"
