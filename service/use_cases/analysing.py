"""What is found out about a study on request; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Iterator

from caviar.contract.analysis import ImportanceMethod, Importances, ImportanceView, ReplayDifference, ReplayView
from caviar.contract.errors import NotFound, StateConflict
from caviar.contract.study import StudySpec
from service.search import importances as weighing
from service.search import replaying
from service.store.transaction import Record, Transaction
from service.use_cases import access
from service.use_cases import history as feed
from service.use_cases.service import Service

_PORTION = 5000


def importances(service: Service, name: str, method: ImportanceMethod) -> Importances:
    """How much each parameter of a study matters.

    Raises:
        NotFound: There is no such study (404).
        StateConflict: Too few of its trials can be compared yet (409).
    """
    with service.reading() as tx:
        study = access.study(tx, name)
    try:
        search = service.searches.up_to(study.id, study.last_event_seq)
    except LookupError:
        raise NotFound(f"the study {name!r} was just deleted") from None
    # What is compared is taken out at once; the computation holds up neither claims nor reports.
    compared = search.examine(weighing.compared_trials)
    if len(compared.trials) < weighing.MIN_TRIALS:
        raise StateConflict(
            f"received {len(compared.trials)} trials of study {name!r} that can be compared, expected at least "
            f"{weighing.MIN_TRIALS}: trials count once they have ended or paused with a value; ask again later"
        )
    found = weighing.importances(compared, method)
    items = [ImportanceView(name=item.name, importance=item.importance, num_trials=item.num_trials) for item in found]
    return Importances(study=name, method=method, num_trials=len(compared.trials), items=items)


def replay(service: Service, name: str) -> ReplayView:
    """Compute every suggestion of a study once more from its events.

    Raises:
        NotFound: There is no such study (404).
        EventsGone: Its events were removed, because it ended long ago (410).
        StateConflict: Its events do not say how it began, or contradict each other (409).
    """
    with service.reading() as tx:
        row = access.study(tx, name)
        history = list(_history(tx, row))
    spec = _first_spec(name, row.spec, history)
    try:
        result = replaying.replay(spec, history)
    except (ValueError, LookupError) as error:
        raise StateConflict(f"the events of study {name!r} contradict each other: {error}") from error
    difference = result.first_difference
    return ReplayView(
        study=name,
        num_checked=result.num_checked,
        num_identical=result.num_identical,
        num_unchecked=result.num_unchecked,
        first_difference=None
        if difference is None
        else ReplayDifference(number=difference.number, stored=difference.stored, recomputed=difference.recomputed),
        is_identical=result.num_identical == result.num_checked,
    )


def _history(tx: Transaction, study: Record) -> Iterator[replaying.Happening]:
    last = 0
    while portion := feed.since(tx, study, last, _PORTION):
        yield from ((event.seq, event.kind, event.data) for event in portion)
        last = portion[-1].seq


def _first_spec(name: str, current: object, history: list[replaying.Happening]) -> StudySpec:
    created = next((data for _, kind, data in history if kind == "study_created"), {})
    if created.get("spec") is not None:
        return StudySpec.model_validate(created["spec"])
    if any(kind == "study_edited" for _, kind, _ in history):
        raise StateConflict(f"study {name!r} was edited, and was created by a version that did not keep its first body")
    return StudySpec.model_validate(current)
