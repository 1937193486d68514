"""What is found out about a study on request: importances, replay, what pictures are drawn from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from caviar.contract.analysis import ImportanceMethod, Importances, ReplayView
from caviar.contract.points import Contour, Points
from caviar.contract.states import TrialState
from service.api.dependencies import CurrentService, StudyName
from service.use_cases import analysing, contours
from service.use_cases import points as sampling

router = APIRouter(tags=["studies"])


@router.get("/studies/{name}/importances")
def read_importances(
    service: CurrentService,
    name: StudyName,
    method: Annotated[
        ImportanceMethod, Query(description="`ped_anova`: what tells the best tenth from the rest; `fanova`: variance.")
    ] = ImportanceMethod.PED_ANOVA,
) -> Importances:
    """Read how much each parameter matters, from the trials so far. Needs 10 trials that can be compared."""
    return analysing.importances(service, name, method)


@router.get("/studies/{name}/replay")
def replay_study(service: CurrentService, name: StudyName) -> ReplayView:
    """Compute every suggestion of a study once more from its events, and say whether it comes out the same."""
    return analysing.replay(service, name)


@router.get("/studies/{name}/points")
def read_points(
    service: CurrentService,
    name: StudyName,
    limit: Annotated[
        int, Query(description="At most this many trials; fewer where they would take 500 kB.", ge=4, le=5000)
    ] = sampling.USUAL_POINTS,
    states: Annotated[
        list[TrialState], Query(description="Only trials in these states; repeat it for several.", max_length=7)
    ] = [],  # noqa: B006  # FastAPI copies it, and shows it in the document
) -> Points:
    """Read a sample of trials column by column, for pictures: the best ones, those that run, an even part of all."""
    with service.reading() as tx:
        return sampling.points(tx, name, limit=limit, states=states)


@router.get("/studies/{name}/contour")
def read_contour(
    service: CurrentService,
    name: StudyName,
    x: Annotated[str, Query(description="A parameter.", max_length=64, examples=["learning_rate"])],
    y: Annotated[str, Query(description="Another parameter.", max_length=64, examples=["units"])],
) -> Contour:
    """Read how the metric goes with two parameters: a grid smoothed over the trials. Needs 5 trials that have both."""
    with service.reading() as tx:
        return contours.contour(tx, name, x, y)
