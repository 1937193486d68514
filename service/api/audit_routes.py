"""The audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from caviar.contract.identity import AuditPage
from service.api.dependencies import CurrentService, Limit, Moment
from service.use_cases import auditing
from service.use_cases.auditing import AuditQuery

router = APIRouter(tags=["audit"])

Actor = Annotated[str | None, Query(description="Name of who acted.", max_length=200)]
Action = Annotated[
    str | None, Query(description="What was done, such as `study.create`, or `study` for all of it.", max_length=64)
]
Thing = Annotated[
    str | None, Query(alias="object", description="What it was done to, such as `study:digits-mlp`.", max_length=200)
]
Since = Annotated[Moment | None, Query(description="Not before this time.")]
Until = Annotated[Moment | None, Query(description="Before this time.")]
After = Annotated[int | None, Query(description="`next_after` of the page before.", ge=0, lt=2**31)]


@router.get("/audit")
def read_audit(
    service: CurrentService,
    *,
    actor: Actor = None,
    action: Action = None,
    about: Thing = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    after: After = None,
) -> AuditPage:
    """Read who did what, the newest first. For administrators."""
    query = AuditQuery(actor, action, about, since, until, after, limit)
    with service.reading() as tx:
        return auditing.page(tx, query)
