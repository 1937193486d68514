"""Whether the service lives and can work."""

from __future__ import annotations

from fastapi import APIRouter, Request

from caviar.contract.errors import FieldError, Unavailable
from caviar.contract.views import Health, HealthCheck
from service.use_cases.readiness import EXPECTED, Check, Readiness

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def read_health() -> Health:
    """Whether the process answers."""
    return Health(status="ok")


@router.get("/readyz")
async def read_readiness(request: Request) -> Health:
    """Whether it can work: database, schema, writer and clockwork; 503 `unavailable` names those that cannot.

    It answers within two seconds. Ages and reasons are told to whoever sends the token of the metrics.
    """
    readiness: Readiness = request.app.state.readiness
    checks = await readiness.checks()
    is_told = request.app.state.scrapers.admit(request.headers)
    failed = [check for check in checks if not check.is_ok]
    if failed:
        names = ", ".join(check.name for check in failed)
        raise Unavailable(f"the service is not ready: {names}", errors=[_error(one, is_told) for one in failed])
    return Health(status="ok", checks=[_view(check, is_told) for check in checks])


def _view(check: Check, is_told: bool) -> HealthCheck:
    return HealthCheck(name=check.name, is_ok=check.is_ok, age_s=check.age_s if is_told else None)


def _error(check: Check, is_told: bool) -> FieldError:
    since = "never before" if check.age_s is None else f"{check.age_s:.0f} s ago"
    received = f"{check.detail}; it held {since}" if is_told else "not that"
    return FieldError(field=check.name, received=received, expected=EXPECTED[check.name])
