"""`caviar up`: a service and workers on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from caviar.cli import machine, options
from caviar.cli.children import Children, Interrupted
from caviar.cli.console import say, show_note
from caviar.client import Client

# A worker that is asked to end lets each training come to the end of its epoch, which it gives a minute.
_GRACE_S = 75.0
_LOOK_S = 1.0


def up(
    *,
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="Worker processes.")] = 1,
    database: options.Database = None,
    host: options.Host = None,
    port: options.Port = None,
    token: options.AdminToken = None,
    lease_ttl_s: options.LeaseTtl = None,
    label: options.Labels = None,
    devices: options.Devices = None,
    slots_per_gpu: options.SlotsPerGpu = None,
    cpu_slots: options.CpuSlots = None,
    threads_per_slot: options.ThreadsPerSlot = None,
    backend: options.Backend = None,
    objective: options.Objectives = None,
    data_dir: options.DataDir = None,
) -> None:
    """Run the service and workers together; Ctrl-C ends all of them."""
    address = (host or machine.DEFAULT_HOST, port or machine.DEFAULT_PORT)
    machine.check_port(*address)
    url = machine.local_url(*address)
    environment = machine.with_token(machine.inherited(), token)
    serving = options.arguments(database=database, host=address[0], port=address[1], lease_ttl_s=lease_ttl_s)
    working = options.arguments(
        label=label,
        devices=devices,
        slots_per_gpu=slots_per_gpu,
        cpu_slots=cpu_slots or machine.shared_cpu_slots(workers),
        threads_per_slot=threads_per_slot,
        backend=backend,
        objective=objective,
        data_dir=data_dir,
    )
    try:
        with Children(grace_s=_GRACE_S) as children, Client(url, token) as client:
            machine.start_service(children, client, serving, environment=environment)
            machine.start_workers(children, url, workers, working, environment=environment)
            say(
                f"Caviar is up with {workers} worker{'s' if workers > 1 else ''}: {url} "
                "(caviar token link prints a link that signs a browser in)"
            )
            while True:
                children.pause(_LOOK_S)
                for child in children.newly_ended():
                    show_note(f"{child.obituary()}; the others go on")
    except Interrupted:
        say("Caviar has ended")
