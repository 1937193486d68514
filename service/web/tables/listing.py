"""What the list of studies shows: its rows, its filters, and the addresses that lead to other parts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from caviar.contract.states import StudyState
from caviar.contract.views import Improvement, StudyPage, StudyView
from service.domain.study_query import SortOrder, StudyQuery, StudySort
from service.web.pictures.sparkline import Sparkline, sparkline
from service.web.tables import board

STUDIES_PER_PAGE = 50

_LABELS = {
    StudySort.NAME: "Study",
    StudySort.TRIALS: "Trials",
    StudySort.BEST: "Best value",
    StudySort.EPOCHS: "Epochs",
    StudySort.SLOT_TIME: "Slot time",
    StudySort.ACTIVITY: "Active",
    StudySort.CREATED: "Created",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the list.

    Attributes:
        study: The study.
        shares: Parts of its trials by state.
        line: Its best value over its epochs; None while it has none.
    """

    study: StudyView
    shares: list[board.Share]
    line: Sparkline | None


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column that studies can be sorted by.

    Attributes:
        sort: Its word in the address.
        label: Its name.
        address: Leads to the list sorted by it; sorted the other way round if it is sorted by it already.
        direction: `ascending` or `descending` if the list is sorted by it, else empty.
    """

    sort: StudySort
    label: str
    address: str
    direction: str


@dataclass(frozen=True, slots=True)
class StateFilter:
    """A state that studies can be filtered by.

    Attributes:
        state: The state.
        count: Studies in it, as far as they are searched for.
        address: Leads to the list with it, or without it if it is chosen already.
        is_on: Whether it is chosen.
    """

    state: StudyState
    count: int
    address: str
    is_on: bool


def address(query: StudyQuery, path: str = "/", **changes: Any) -> str:
    """The address of a list. What the defaults say is left out.

    Args:
        query: Which studies.
        path: Where the list is.
        changes: Other values of fields of the query.
    """
    changed = query.model_copy(update=changes)
    fields = changed.model_dump(mode="json")
    blank = StudyQuery(limit=STUDIES_PER_PAGE).model_dump(mode="json")
    told = [
        (name, str(value).lower() if isinstance(value, bool) else value)
        for name, value in fields.items()
        if value != blank[name]
    ]
    return f"{path}?{urlencode(told, doseq=True)}" if told else path


def entries(page: StudyPage, histories: Mapping[str, Sequence[Improvement]]) -> list[Entry]:
    """The rows of a page."""
    return [
        Entry(
            study,
            board.shares(study.counts, board.expected_trials(study)),
            sparkline(study, histories.get(study.name, ())),
        )
        for study in page.items
    ]


def columns(query: StudyQuery) -> dict[str, Column]:
    """Heads of the columns that studies can be sorted by, by their words."""
    return {sort.value: _column(query, sort) for sort in StudySort}


def filters(query: StudyQuery, counts: Mapping[StudyState, int]) -> list[StateFilter]:
    """The states, each with how many studies are in it."""
    return [
        StateFilter(
            state,
            counts.get(state, 0),
            address(query, state=_toggled(query.state, state), offset=0, after=None),
            state in query.state,
        )
        for state in StudyState
    ]


def _column(query: StudyQuery, sort: StudySort) -> Column:
    is_current = query.sort is sort
    direction = ("descending" if query.is_descending else "ascending") if is_current else ""
    other = SortOrder.ASC if query.is_descending else SortOrder.DESC
    order = other if is_current else None
    if order is not None and StudyQuery(sort=sort).is_descending is (order is SortOrder.DESC):
        order = None
    return Column(sort, _LABELS[sort], address(query, sort=sort, order=order, offset=0, after=None), direction)


def _toggled(states: Sequence[StudyState], state: StudyState) -> list[StudyState]:
    return [one for one in StudyState if (one in states) != (one is state)]
