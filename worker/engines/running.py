"""`caviar work --engine ray`, from its settings to its exit status."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from types import FrameType

import httpx2
import structlog
from pydantic import SecretStr

from caviar import credentials
from caviar.contract.errors import InvalidRequest, Unavailable
from caviar.trust import verification
from worker import logs
from worker.engines.demand import Service
from worker.engines.driver import Driver
from worker.engines.ray_cluster import RayCluster, join
from worker.engines.scaling import Limits
from worker.engines.settings import EngineSettings, handed_on
from worker.settings import WorkerSettings

_log = structlog.get_logger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_WAIT_S = 0.5
_TIMEOUT = httpx2.Timeout(15.0, connect=5.0)


def run(engine: EngineSettings, worker: WorkerSettings) -> int:
    """Keep workers on a Ray cluster until a signal, or until all work is done if that is wanted.

    Args:
        engine: Where they run and how many.
        worker: What each of them is started with.
    Returns:
        Exit status: 0 after a graceful end, 1 if workers cannot work there.
    Raises:
        EngineUnavailable: Ray is not installed or its cluster cannot be reached.
        InvalidRequest: There is no access token, or a setting cannot hold for several workers.
        CaviarError: The service refuses, such as a token that is not the right one.
    """
    variables = {"CAVIAR_URL": worker.url, **handed_on(worker)}
    token = _token(worker)
    logs.configure(worker.log_level, "engine")
    with _client(worker.url, token) as client:
        service = Service(client)
        _check_access(service)
        grace_s = worker.stop_grace_s + worker.flush_s + worker.claim_wait_s
        cluster = join(
            engine.ray_address,
            variables=variables,
            token=None if engine.token_from_node else token,
            num_cpus=engine.ray_num_cpus,
            num_gpus=engine.ray_num_gpus,
            grace_s=grace_s,
        )
        try:
            _note_start(worker.url, engine, cluster)
            driver = Driver(
                cluster,
                service.standing,
                Limits(engine.min_workers, engine.max_workers, engine.worker_idle_s),
                slots_expected=1 if cluster.num_gpus else max(1, int(engine.ray_num_cpus)),
                grace_s=grace_s,
                exit_when_idle=worker.exit_when_idle,
            )
            return _drive(driver)
        finally:
            cluster.close()


def _drive(driver: Driver) -> int:
    num_signals = 0

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal num_signals
        num_signals += 1
        _log.info("ending", signal=signal.Signals(number).name)

    # Ray's own handler for SIGTERM ends the process at once, and its actors with it.
    with _handling(on_signal):
        while not driver.is_done:
            if num_signals and not driver.is_ending:
                driver.end()
            # A second signal means: at once. What is cut off comes back by its leases.
            if num_signals > 1:
                return 1
            driver.step(_WAIT_S)
    return driver.status


@contextmanager
def _handling(on_signal: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    former = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _check_access(service: Service) -> None:
    try:
        service.standing(lambda _: False)
    except Unavailable as error:
        # It may come up later; workers wait for it as well.
        _log.warning("service_away", detail=error.detail)


def _note_start(url: str, engine: EngineSettings, cluster: RayCluster) -> None:
    num_hosts = cluster.num_hosts()
    _log.info(
        "starting",
        url=url,
        num_hosts=num_hosts,
        num_cpus=cluster.num_cpus,
        num_gpus=cluster.num_gpus,
        min_workers=engine.min_workers,
        max_workers=engine.max_workers,
    )
    if num_hosts > 1 and _is_loopback(url):
        _log.warning(
            "address_of_this_machine_alone",
            detail=f"workers on other machines look for the service at {url}, which is their own machine; "
            "give an address that all nodes reach by --url",
        )


def _is_loopback(url: str) -> bool:
    host = httpx2.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _client(url: str, token: SecretStr) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    return httpx2.Client(base_url=url, headers=headers, timeout=_TIMEOUT, verify=verification())


def _token(settings: WorkerSettings) -> SecretStr:
    token = settings.token.get_secret_value() if settings.token else credentials.read_token()
    if token is None:
        raise InvalidRequest(
            "there is no access token; set CAVIAR_TOKEN, or start the command as the user whose service has stored one "
            f"in {credentials.home() / 'token'}"
        )
    return SecretStr(credentials.check_token(token))
