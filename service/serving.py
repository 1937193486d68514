"""A process that serves the application: what it makes ready, says and keeps to until it is asked to stop."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import structlog
import uvicorn

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.credentials import write_token
from service import logs
from service.api.guards.connections import SWEEP_S, Patience, connection_class, make_descriptors, sweep
from service.api.guards.tls import server_context
from service.api.leaving import Leaving
from service.app import create_app, sign_on_of
from service.settings import ServiceSettings
from service.store import migrations
from service.store.engine import connect, parse_url, write
from service.store.sole import alone
from service.use_cases import identity
from service.use_cases.service import Clock, Service, utc_now

_log = structlog.get_logger(__name__)

# Small portions of what is new, so that none takes long, and all of it hardly ever.
_GC_THRESHOLDS = 700, 5, 5_000
_SHUTDOWN_S = 5
_TICKS_PER_SWEEP = round(SWEEP_S / 0.1)
# Longer than workers keep an idle connection, so that it is not closed just when one of them uses it.
_KEEP_ALIVE_S = 75
_READABLE = (
    "tokens and results travel over the network so that others can read them; give --tls-cert and --tls-key, or put a "
    "proxy with TLS in front and name its address in CAVIAR_TRUSTED_PROXIES"
)


def run(settings: ServiceSettings, *, clock: Clock | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: Of the process.
        clock: As for `create_app`.
    Returns:
        Exit status: 0 after a graceful end.
    Raises:
        InvalidRequest: The settings cannot be used.
        StateConflict: Another process serves this SQLite file.
    """
    with alone(settings.database_url):
        announce(settings)
        return _serve(settings, clock)


def run_one(settings: ServiceSettings, descriptors: Sequence[int], number: int) -> int:
    """Serve as one of several processes, for which `announce` was called; else as `run`.

    Args:
        settings: Of all of them.
        descriptors: Of the sockets to listen on.
        number: Which of them this is.
    """
    logs.configure(settings.log_level, settings.log_format, process=number)
    return _serve(settings, sockets=[socket.socket(fileno=descriptor) for descriptor in descriptors])


def announce(settings: ServiceSettings) -> None:
    """Prepare the database, and say where the service can be reached.

    Raises:
        InvalidRequest: The settings cannot be used.
    """
    logs.configure(settings.log_level, settings.log_format)
    if settings.processes > 1 and parse_url(settings.database_url).drivername == "sqlite":
        expected = "1 with SQLite, which one process serves; set CAVIAR_DATABASE_URL to a Postgres database for more"
        field = FieldError(field="processes", received=settings.processes, expected=expected)
        raise InvalidRequest("several processes cannot share the database", errors=[field])
    tls = server_context(settings.tls_cert, settings.tls_key)
    # What is missing is said before anything begins.
    sign_on_of(settings)
    made = prepare(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{'http' if tls is None else 'https'}://{host}:{settings.port}"
    if tls is None and not settings.is_loopback and not settings.proxy_networks:
        _log.warning("service.readable", address=address, reason=_READABLE)
    _log.info("service.starting", address=address, database=parse_url(settings.database_url).render_as_string())
    # The link is printed once, at the first start; `caviar token link` prints it again.
    sys.stdout.write(f"Sign in at {address}/login?token={made}\n" if made else f"Serving at {address}\n")
    sys.stdout.flush()


def prepare(settings: ServiceSettings) -> str | None:
    """Upgrade the database and see to it that somebody can sign in.

    The administrator's token is the one of the settings, else the one that this user keeps in a file; without either,
    a new one is made and kept there, readable by its owner only.

    Returns:
        A token that was made just now, to be shown once; None otherwise.
    Raises:
        InvalidRequest: The database address or the token cannot be used, or the service would be reachable from other
            machines by a token that nobody has chosen or seen.
    """
    migrations.upgrade(settings.database_url)
    given = settings.token.get_secret_value() if settings.token else None
    kept = settings.token_path.read_text().strip() if settings.token_path.is_file() else None
    if not (given or kept) and not settings.is_loopback:
        field = FieldError(
            field="host",
            received=settings.host,
            expected="an address of this machine only, such as 127.0.0.1, as long as there is no access token; "
            f"set CAVIAR_TOKEN (at least {identity.MIN_TOKEN_LENGTH} characters) to listen on others",
        )
        raise InvalidRequest("the service will not listen for other machines without an access token", errors=[field])
    made = None if given or kept else identity.new_secret()
    engine = connect(settings.database_url)
    try:
        with write(engine, utc_now()) as tx:
            identity.ensure_access(tx, given or kept or str(made))
    finally:
        engine.dispose()
    if made:
        write_token(made)
    return made


def _serve(settings: ServiceSettings, clock: Clock | None = None, *, sockets: list[socket.socket] | None = None) -> int:
    app = create_app(settings, clock=clock)
    tls = server_context(settings.tls_cert, settings.tls_key)
    config = uvicorn.Config(
        Leaving(app),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        server_header=False,
        http=connection_class(_patience(settings)),
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        # The guard believes proxies itself, and only those that the operator names.
        proxy_headers=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    # What is loaded by now stays. To look through all of it for garbage time and again would hold up all requests, by a
    # third of a second each time; and what studies add to it stays as well, so it is looked through seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    server = _Server(config, app.state.service)
    server.run(sockets=sockets)
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    """A server whose endless streams end when it is asked to stop; otherwise they would hold up the shutdown."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def on_tick(self, counter: int) -> bool:
        # It is called ten times a second.
        if counter % _TICKS_PER_SWEEP == 0:
            sweep(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.feed.close_soon()
        super().handle_exit(sig, frame)


def _patience(settings: ServiceSettings) -> Patience:
    return Patience(
        head_s=settings.client_timeout_s,
        body_s=settings.client_timeout_s,
        max_connections=make_descriptors(settings.max_connections),
    )
