"""What a study's pruner has decided."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.use_cases import reading
from service.use_cases.rungs import rungs
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.pages.parameters import Context, StudyName
from service.web.pictures.rungs import FATE_WORDS, ladders
from service.web.rendering import page
from service.web.tables.evidence import grounds

router = APIRouter(include_in_schema=False)


@router.get("/studies/{name}/rungs")
def show_rungs(request: Request, name: StudyName) -> Response:
    """Who came to which rung, and who went on."""
    return page("rungs.html", **_rungs(service_of(request), name))


@router.get("/studies/{name}/fragments/rungs")
def show_rungs_fragment(request: Request, name: StudyName) -> Response:
    """The live part of the rungs."""
    return page("fragments/rungs.html", **_rungs(service_of(request), name))


def _rungs(service: Service, name: str) -> Context:
    with service.reading() as tx:
        study, found = reading.study(tx, name), rungs(tx, name)
    return {
        "study": study,
        "rungs": found,
        "ladders": ladders(found),
        "fate_words": {fate.value: words for fate, words in FATE_WORDS.items()},
        "stops": [(stop, grounds(stop.evidence, found.metric)) for stop in found.newest_stops],
        "num_stopped": sum(stop.num_stopped for stop in found.stops),
        "now": service.clock(),
    }
