"""Studies: create, preview, list, read, edit, control, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from caviar.contract.catalogue import MAX_COMPARED, StudyComparison
from caviar.contract.messages import TrialStatus
from caviar.contract.preview import Preview
from caviar.contract.study import CloneStudy, ImportTrials, NewTrial, OpenRound, StudyEdit, StudySpec
from caviar.contract.views import (
    History,
    Imported,
    Rounds,
    RoundView,
    Spaces,
    StudyPage,
    StudyView,
    TrialPage,
)
from service.api.dependencies import CurrentService, Limit, Number, StudyName
from service.domain.study_query import StudyQuery
from service.search.preview import preview
from service.use_cases import (
    archiving,
    comparing,
    controlling,
    finishing,
    fleet,
    importing,
    overview,
    reading,
    steering,
    submitting,
)

router = APIRouter(tags=["studies"])


@router.post("/studies", status_code=status.HTTP_201_CREATED, responses={200: {"model": StudyView}})
def create_study(service: CurrentService, body: StudySpec, response: Response) -> StudyView:
    """Start a study. The same body again answers 200 with the study that it started; another body 409."""
    study, is_new = service.write(lambda tx: submitting.create(tx, body))
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return study


@router.post("/studies:preview")
def preview_study(
    service: CurrentService,
    body: StudySpec,
    samples: Annotated[int, Query(description="How many configurations to draw.", ge=1, le=10_000)] = 20,
) -> Preview:
    """Show what a study would propose, drawn by the code that will propose it. Nothing is stored."""
    with service.reading() as tx:
        checked = submitting.check(tx, body)
        importing.check_warm_start(tx, checked)
    return preview(checked, samples)


@router.get("/studies")
def list_studies(service: CurrentService, query: Annotated[StudyQuery, Query()]) -> StudyPage:
    """List studies, the newest first unless another order is asked for.

    `after` is the surer way through pages: `offset` may skip a study or repeat one when others come or go.
    """
    with service.reading() as tx:
        found = overview.find(tx, query)
        items = fleet.with_able_workers(tx, found.items, lease_ttl_s=service.lease_ttl_s)
        return found.model_copy(update={"items": items})


@router.get("/studies:compare")
def compare_studies(
    service: CurrentService,
    study: Annotated[
        list[str],
        Query(
            description="Name of a study; 2 to 6 different ones.",
            max_length=100,
            json_schema_extra={"minItems": 2, "maxItems": MAX_COMPARED, "uniqueItems": True},
        ),
    ],
) -> StudyComparison:
    """Compare studies: their best values over time, the distribution of their trials' values, what differs in set-up.

    Values of studies with different metrics or directions say nothing about each other.
    """
    with service.reading() as tx:
        return comparing.compare(tx, study)


@router.get("/studies/{name:segment}")
def read_study(service: CurrentService, name: StudyName) -> StudyView:
    """Read a study and where it stands."""
    with service.reading() as tx:
        return fleet.with_able_workers(tx, [reading.study(tx, name)], lease_ttl_s=service.lease_ttl_s)[0]


@router.patch("/studies/{name:segment}")
def edit_study(service: CurrentService, name: StudyName, body: StudyEdit) -> StudyView:
    """Change limits, search space, priority, requirements, checkpoints or tags of a live study.

    Limits that are left out stay; null lifts a limit. A search space is given whole and becomes a new version of it;
    trials that do not fit it stay, but the strategy learns nothing from them.
    """
    return service.write(lambda tx: submitting.edit(tx, name, body))


@router.delete("/studies/{name:segment}", status_code=status.HTTP_204_NO_CONTENT)
def delete_study(service: CurrentService, name: StudyName) -> None:
    """Delete a study with all its trials. Its running trials are lost to their workers."""
    study_id = service.write(lambda tx: controlling.delete(tx, name))
    service.forget(study_id)


@router.post("/studies/{name}:pause")
def pause_study(service: CurrentService, name: StudyName) -> StudyView:
    """Hand out no more trials; those that run go on."""
    return service.write(lambda tx: controlling.pause(tx, name))


@router.post("/studies/{name}:resume")
def resume_study(service: CurrentService, name: StudyName) -> StudyView:
    """Hand out trials again."""
    return service.write(lambda tx: controlling.resume(tx, name))


@router.post("/studies/{name}:stop")
def stop_study(service: CurrentService, name: StudyName) -> StudyView:
    """End a study now; what was measured stays."""
    return service.write(lambda tx: controlling.stop(tx, name))


@router.post("/studies/{name}:archive")
def archive_study(service: CurrentService, name: StudyName) -> StudyView:
    """Keep an ended study out of lists; nothing of it changes any more, its checkpoints go."""
    return service.write(lambda tx: archiving.archive(tx, name))


@router.post("/studies/{name}:unarchive")
def unarchive_study(service: CurrentService, name: StudyName) -> StudyView:
    """Take a study out of the archive."""
    return service.write(lambda tx: archiving.unarchive(tx, name))


@router.post("/studies/{name}:clone", status_code=status.HTTP_201_CREATED)
def clone_study(service: CurrentService, name: StudyName, body: CloneStudy) -> StudyView:
    """Start the same study afresh under another name."""
    return service.write(lambda tx: submitting.clone(tx, name, body.name))


@router.get("/studies/{name}/trials")
def list_trials(service: CurrentService, name: StudyName, limit: Limit = 100, after: Number = None) -> TrialPage:
    """List the trials of a study in the order of their numbers."""
    with service.reading() as tx:
        return reading.list_trials(tx, name, limit=limit, after=after)


@router.post("/studies/{name}/trials", status_code=status.HTTP_201_CREATED)
def enqueue_trial(service: CurrentService, name: StudyName, body: NewTrial) -> TrialStatus:
    """Enqueue a hand-made configuration; it is trained before new proposals."""
    trial_id = service.write(lambda tx: submitting.enqueue(tx, name, body.params))
    with service.reading() as tx:
        return finishing.status(tx, trial_id)


@router.post("/studies/{name}/trials:import")
def import_trials(service: CurrentService, name: StudyName, body: ImportTrials) -> Imported:
    """Begin with the results of another study, or with trials in full.

    Taken is what fits the search space, has a value and is not there already; of the rest, the answer says why.
    Imported trials count against no limit.
    """
    return importing.import_trials(service, name, body)


@router.get("/studies/{name}/history")
def read_history(service: CurrentService, name: StudyName) -> History:
    """Read how the best value of a study came about: every epoch that was better than all before it."""
    with service.reading() as tx:
        return reading.history(tx, name)


@router.get("/studies/{name}/rounds")
def read_rounds(service: CurrentService, name: StudyName) -> Rounds:
    """Read the rounds of the study's strategy, with what each draws from and why."""
    with service.reading() as tx:
        return reading.rounds(tx, name)


@router.post("/studies/{name}/rounds", status_code=status.HTTP_201_CREATED)
async def open_round(service: CurrentService, name: StudyName, body: OpenRound) -> RoundView:
    """Set the windows that the strategy draws from next. Parameters that are left out keep their windows."""
    return await steering.open_by_hand(service, name, body)


@router.get("/studies/{name}/spaces")
def read_spaces(service: CurrentService, name: StudyName) -> Spaces:
    """Read the search spaces that the study has had, and how many of its trials fit the one in force."""
    with service.reading() as tx:
        return reading.spaces(tx, name)
