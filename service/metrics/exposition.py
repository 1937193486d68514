"""The text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from prometheus_client.registry import Collector

from caviar.contract.errors import CaviarError
from service.metrics import process, stock
from service.metrics.process import Pages
from service.metrics.requests import Requests
from service.use_cases import inventory
from service.use_cases.inventory import Inventory
from service.use_cases.probing import Probe
from service.use_cases.service import Service

CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0
# Below the ten seconds that Prometheus waits by default: without the database it hears of the process at least.
_PATIENCE_S = 5.0
_KEPT_S = 2.0
_log = structlog.get_logger(__name__)


class _Given(Collector):
    """Families that were made before."""

    def __init__(self, make: Callable[[], Iterator[Metric]]) -> None:
        self._make = make

    def collect(self) -> Iterator[Metric]:
        return self._make()


class Exposition:
    """All metrics of one application; two in one process know nothing of each other."""

    def __init__(self, service: Service, requests: Requests, pages: Callable[[], Pages]) -> None:
        """Prepare to tell.

        Args:
            service: Whose counts are told.
            requests: Of the application.
            pages: Tells how much is done for open pages.
        """
        self._service = service
        self._inventory = Probe(self._take, kept_s=_KEPT_S)
        self._found: Inventory | None = None
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(_Given(lambda: process.families(service, requests, pages)))
        self._registry.register(_Given(lambda: stock.families(self._found)))

    async def text(self) -> bytes:
        """Everything as it is now, in the text format of Prometheus."""
        try:
            self._found = await self._inventory.answer(_PATIENCE_S)
        except (TimeoutError, CaviarError) as error:
            _log.warning("metrics.database_away", cause=repr(error))
            self._found = None
        return generate_latest(self._registry)

    def _take(self) -> Inventory:
        with self._service.reading() as tx:
            return inventory.take(tx, lease_ttl_s=self._service.lease_ttl_s)
