"""What is found out about a study on request: importances, replay."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from caviar.contract.analysis import ImportanceMethod, Importances, ReplayView
from service.api.dependencies import CurrentService, StudyName
from service.use_cases import analysing

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
