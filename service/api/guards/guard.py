"""The outermost guard: the first that sees a request, and the last that sees an answer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caviar.contract.errors import CaviarError, RequestError, TooManyHeaders, WrongHost, shown
from service.api.guards import addresses, facts
from service.api.guards.bodies import watched
from service.api.guards.facts import Facts
from service.api.guards.headers import complete, only_by_tls
from service.api.guards.proxies import Proxies
from service.api.guards.sites import Headers, Sites
from service.api.problems import answer
from service.domain.hosts import Hosts, host_name

# What probes of load balancers ask, which call by whatever name they have.
PROBES = frozenset({"/healthz", "/readyz"})
MAX_HEADERS = 100
_MAX_KNOWN_HOSTS = 1000


class Guard:
    """ASGI middleware that refuses what is aimed at browsers or at the service itself, and completes every answer.

    It works on the raw headers, once, before anything else: what it refuses has cost nothing yet.
    """

    def __init__(self, app: ASGIApp, *, hosts: Hosts, sites: Sites, proxies: Proxies) -> None:
        """Guard an application.

        Args:
            app: What is guarded.
            hosts: By which names the service may be called.
            sites: Which other sites' pages may call it.
            proxies: Whom to believe about the client.
        """
        self._app = app
        self._hosts = hosts
        self._sites = sites
        self._proxies = proxies
        self._known: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = scope[facts.KEY] = facts.read(scope["headers"])
        further = found.further
        has_begun = False

        async def completing(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                complete(message, further)
            await send(message)

        app: ASGIApp
        try:
            host = self._called_host(scope, found)
            if scope["scheme"] == "https":
                further += only_by_tls(scope, host)
            app = self._checked(scope, found, host, further)
            receive = watched(scope, found, receive)
        except CaviarError as error:
            app = answer(Request(scope), error)
        try:
            await app(scope, receive, completing)
        except CaviarError as error:
            # What is wrong with a body shows while somebody reads it, which may be a middleware.
            if has_begun:
                raise
            await answer(Request(scope), error)(scope, receive, completing)

    def _checked(self, scope: Scope, found: Facts, host: bytes, further: Headers) -> ASGIApp:
        addresses.check(scope)
        if found.num_headers > MAX_HEADERS:
            raise TooManyHeaders(f"received {found.num_headers} headers, expected at most {MAX_HEADERS}")
        if self._sites.is_preflight(scope, found):
            further += self._sites.preflight(scope, found)
            return Response(status_code=204)
        further += self._sites.check(scope, found, host)
        return self._app

    def _called_host(self, scope: Scope, found: Facts) -> bytes:
        """The host by which the client called, after it was found to be one of ours."""
        forwarded = self._proxies.believe(scope, found)
        host = found.get(b"host") or b""
        if scope["path"] in PROBES:
            return host
        if found.num_hosts != 1:
            raise RequestError(f"received {found.num_hosts or 'no'} headers Host, expected one")
        # What a trusted proxy says counts beside the plain header, not in its place: a page that has bound its name to
        # the address of a proxy on the same machine could say it too.
        for called in (host, forwarded):
            if called is not None and called not in self._known:
                self._check_host(called)
        if forwarded is None:
            return host
        # All that comes after knows one host only.
        scope["headers"] = [(name, forwarded if name == b"host" else value) for name, value in scope["headers"]]
        return forwarded

    def _check_host(self, called: bytes) -> None:
        text = called.decode("latin-1")
        name = host_name(text)
        if name is None:
            raise RequestError(f"received the host {shown(text)!r}, expected a name or an address, and perhaps a port")
        if not self._hosts.allow(name):
            raise WrongHost(
                f"received a request for the host {name!r}, expected {self._hosts.expected}; if the service is to be "
                "called by this name, add it to CAVIAR_ALLOWED_HOSTS"
            )
        if len(self._known) >= _MAX_KNOWN_HOSTS:
            self._known.clear()
        self._known.add(called)
