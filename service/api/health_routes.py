"""Whether the service lives and can work."""

from __future__ import annotations

from fastapi import APIRouter

from caviar.contract.views import Health
from service.api.dependencies import CurrentService
from service.store.engine import ping

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def read_health() -> Health:
    """Whether the process answers."""
    return Health(status="ok")


@router.get("/readyz")
def read_readiness(service: CurrentService) -> Health:
    """Whether the database answers too; 503 `unavailable` if it does not."""
    with service.reading() as tx:
        ping(tx)
    return Health(status="ok")
