"""How a study went: what its pruner decided, and when its attempts ran."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from caviar.contract.rungs import Rungs
from caviar.contract.timeline import Timeline
from service.api.dependencies import CurrentService, Moment, StudyName
from service.use_cases import rungs, timeline

router = APIRouter(tags=["studies"])


@router.get("/studies/{name}/rungs")
def read_rungs(service: CurrentService, name: StudyName) -> Rungs:
    """Read who came to which rung, who went on, and on what grounds; for pruners without rungs, who was stopped."""
    with service.reading() as tx:
        return rungs.rungs(tx, name)


@router.get("/studies/{name}/timeline")
def read_timeline(
    service: CurrentService,
    name: StudyName,
    begin: Annotated[
        Moment | None, Query(alias="from", description="Begin of the window; the study's if left out.")
    ] = None,
    end: Annotated[
        Moment | None, Query(alias="to", description="End of the window; the study's, or now, if left out.")
    ] = None,
) -> Timeline:
    """Read when each attempt of a study ran and where, or of very many how busy each worker was."""
    with service.reading() as tx:
        return timeline.timeline(tx, name, begin=begin, end=end)
