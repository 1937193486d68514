"""A service and workers on this machine, as processes of a command."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from caviar.cli.children import Children
from caviar.cli.console import CommandFailed
from caviar.client import Client
from caviar.contract.errors import Unauthorized, Unavailable

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8700
_READY_WITHIN_S = 180.0
_LOOK_S = 0.1
# An address to listen on that stands for all of the machine's, and the one to reach it by from here.
_REACHED_BY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((DEFAULT_HOST, 0))
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """See that a service could listen there.

    Raises:
        CommandFailed: Another program does, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CommandFailed(
            f"the service cannot listen on {host}, port {port}: {error.strerror}; "
            "choose another by --port, or end the program that listens there"
        ) from error


def local_url(host: str, port: int) -> str:
    """The address at which this machine reaches a service that listens there."""
    reached = _REACHED_BY.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def start_service(
    children: Children,
    client: Client,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path | None = None,
) -> None:
    """Start a service and wait until it answers.

    Args:
        children: The family it joins; it is vital there.
        client: Of the address at which it will listen.
        arguments: Options of `caviar serve`.
        environment: Of the new process.
        log: File of its output; None to share the terminal.
    Raises:
        CommandFailed: It ended, or did not answer within three minutes.
        Interrupted: The command was asked to end.
    """
    children.start("the service", ["serve", *arguments], environment=environment, log=log, is_vital=True)
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            client.workers()
        except (Unavailable, Unauthorized) as error:
            # At a first start the token file appears together with the service.
            if time.monotonic() > deadline:
                raise CommandFailed(f"the service was started but does not answer: {error.detail}") from error
            children.pause(_LOOK_S)
        else:
            children.check()
            return


def start_workers(
    children: Children,
    url: str,
    num_workers: int,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    log_folder: Path | None = None,
) -> None:
    """Start workers of a service.

    Args:
        children: The family they join.
        url: Address of the service.
        num_workers: How many.
        arguments: Options of `caviar work`, the same for all.
        environment: Of the new processes.
        log_folder: Folder of a log file for each; None to share the terminal.
    """
    for number in range(1, num_workers + 1):
        children.start(
            f"worker {number}",
            ["work", "--url", url, *arguments],
            environment=environment,
            log=None if log_folder is None else log_folder / f"worker-{number}.log",
        )


def shared_cpu_slots(num_workers: int) -> int | None:
    """CPU slots of each of several workers that share this machine; None to leave a single one its own choice.

    Args:
        num_workers: How many there are.
    """
    if num_workers == 1:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // num_workers)


def with_token(environment: Mapping[str, str], token: str | None) -> dict[str, str]:
    """An environment that carries a token: on a command line every user of the machine could read it."""
    return dict(environment) | ({} if token is None else {"CAVIAR_TOKEN": token})


def inherited() -> dict[str, str]:
    """The environment of this process, but for TLS: the processes of one machine talk to each other over http."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CAVIAR_TLS_")}
