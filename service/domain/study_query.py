"""Which studies of the list are asked for, and in which order."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from caviar.contract.states import StudyState


class StudySort(StrEnum):
    """What the list of studies is sorted by."""

    NAME = "name"
    CREATED = "created"
    ACTIVITY = "activity"
    BEST = "best"
    TRIALS = "trials"
    EPOCHS = "epochs"
    SLOT_TIME = "slot_time"


class SortOrder(StrEnum):
    """From the least to the greatest, or the other way round."""

    ASC = "asc"
    DESC = "desc"


class StudyQuery(BaseModel):
    """Which studies are asked for, in which order, and which part of them.

    Those without a best value come last, whichever way the best values are sorted; among equals, the newer one comes
    first where the order is descending.

    Attributes:
        q: Words, all of which must occur in the name, the objective or a tag (`name=value`).
        archived: Whether those are asked for that were archived, instead of the others.
        state: States, one of which the study must be in; all states if there is none.
        sort: What they are sorted by.
        order: Which way; names ascend and all else descends if it is left out.
        limit: At most this many.
        offset: Studies to pass over, counted after `after`.
        after: Name of the last study of the page before, in the same order.
    """

    q: Annotated[
        str,
        Field(
            max_length=200,
            description="Words, all of which must occur in the name, the objective or a tag (`name=value`).",
        ),
    ] = ""
    state: Annotated[
        list[StudyState], Field(max_length=10, description="Only studies in one of these states; may be repeated.")
    ] = Field(default_factory=list)
    archived: Annotated[bool, Field(description="Whether to list the archived studies instead of those in use.")] = (
        False
    )
    sort: Annotated[StudySort, Field(description="What the studies are sorted by.")] = StudySort.CREATED
    order: Annotated[
        SortOrder | None, Field(description="Which way; names ascend and all else descends if it is left out.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="At most this many items.")] = 100
    offset: Annotated[
        int, Field(ge=0, lt=2**53, description="Studies to pass over, counted after `after` where that is given.")
    ] = 0
    after: Annotated[
        str | None,
        Field(max_length=64, description="Name of the last study of the page before, which was in the same order."),
    ] = None

    @property
    def words(self) -> list[str]:
        """What is searched for."""
        return self.q.split()

    @property
    def is_descending(self) -> bool:
        """Whether the greatest come first."""
        return (self.sort is not StudySort.NAME) if self.order is None else self.order is SortOrder.DESC
