"""Several service processes behind one address, looked after by the command that started them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from caviar.cli.children import Child, Children, Interrupted
from caviar.cli.console import show_note

_LOOK_S = 0.2
_BACKLOG = 2048
# Longer than a process takes to end its streams and to answer what it has begun to.
_GRACE_S = 30.0
_FIRST_REST_S = 0.5
_LONGEST_REST_S = 30.0
# A process that has served this long did not fail at its start.
_SETTLED_S = 60.0


@dataclass
class Post:
    """A place that one process after the other takes.

    Attributes:
        number: From 1; logs tell it.
        child: The process; None while nobody is there.
    """

    number: int
    child: Child | None = None
    _begun_s: float = 0.0
    _again_s: float = 0.0
    _rest_s: float = field(default=_FIRST_REST_S)

    def look(self, now_s: float, start: Callable[[int], Child]) -> str | None:
        """Fill the post if its process has ended, after a rest that gets longer if they fail one after the other.

        Args:
            now_s: By a clock that is never moved.
            start: Starts a process for a number.
        Returns:
            What happened, for people; None if nothing did.
        """
        if self.child is None:
            if now_s >= self._again_s:
                self.child, self._begun_s = start(self.number), now_s
            return None
        if self.child.is_running:
            return None
        self._rest_s = _FIRST_REST_S if now_s - self._begun_s >= _SETTLED_S else min(2 * self._rest_s, _LONGEST_REST_S)
        self._again_s = now_s + self._rest_s
        told = f"{self.child.obituary()}; it is started again in {self._rest_s:g} s, the others go on"
        self.child = None
        return told


def serve(host: str, port: int, num_processes: int, *, environment: Mapping[str, str]) -> int:
    """Serve by several processes until SIGTERM or SIGINT; all of them end with this one, however it ends.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        num_processes: How many.
        environment: Of the processes, with their settings.
    Returns:
        Exit status.
    """
    posts = [Post(number) for number in range(1, num_processes + 1)]
    with listening(host, port) as sockets, Children(grace_s=_GRACE_S) as children:
        descriptors = [one.fileno() for one in sockets]
        options = [part for number in descriptors for part in ("--listening-socket", str(number))]

        def start(number: int) -> Child:
            return children.start(
                f"service process {number}",
                ["serve", "--process-number", str(number), *options],
                environment=environment,
                shared=descriptors,
            )

        try:
            while True:
                for post in posts:
                    former = post.child
                    told = post.look(time.monotonic(), start)
                    if told is not None and former is not None:
                        children.forget(former)
                        show_note(told)
                children.rest(_LOOK_S)
        except Interrupted:
            return 0


@contextmanager
def listening(host: str, port: int) -> Iterator[Sequence[socket.socket]]:
    """Sockets on all addresses of a name. While they are open, nobody who connects is refused.

    Args:
        host: Name or address of this machine.
        port: The port.
    Raises:
        OSError: Another program listens there.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with ExitStack() as stack:
        sockets = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = stack.enter_context(socket.socket(family, kind, protocol))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # As one process alone does it: a name may stand for an address of either kind.
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(_BACKLOG)
            sockets.append(one)
        yield sockets
