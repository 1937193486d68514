"""Which learning curves of a study are asked for."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from caviar.contract.states import TrialState
from caviar.contract.study import MetricName

Finite = Annotated[float, Field(allow_inf_nan=False)]


class CurveQuery(BaseModel):
    """All curves page by page, or, with any parameter but `limit` and `after`, a sample of them that makes a picture.

    Attributes:
        limit: At most this many curves on a page.
        after: Number of the last trial of the page before.
        sample: At most this many trials; 400 if it is left out.
        points: At most this many points per curve; the first, the last and the extremes stay.
        metric: A metric that the trials report; the study's own if it is left out.
        state: States, one of which the trial must be in; all states if there is none.
        top: Only this many of the best trials.
        at: Only trials whose value at this epoch is between `from` and `to`.
        low: `from`: least value at that epoch.
        high: `to`: greatest value at that epoch.
    """

    model_config = ConfigDict(populate_by_name=True)

    limit: Annotated[int, Field(ge=1, le=1000, description="At most this many items.")] = 500
    after: Annotated[int | None, Field(ge=0, lt=2**31, description="Number of the last trial of the page before.")] = (
        None
    )
    sample: Annotated[
        int | None, Field(ge=4, le=1000, description="At most this many trials: best ones, running ones, an even rest.")
    ] = None
    points: Annotated[
        int | None,
        Field(ge=4, le=2000, description="At most this many points per curve; the ends and the extremes stay."),
    ] = None
    metric: Annotated[
        MetricName | None, Field(description="A metric that the trials report, in place of the study's own.")
    ] = None
    state: Annotated[
        list[TrialState], Field(max_length=10, description="Only trials in one of these states; may be repeated.")
    ] = Field(default_factory=list)
    top: Annotated[int | None, Field(ge=1, le=1000, description="Only this many of the best trials.")] = None
    at: Annotated[
        int | None, Field(ge=1, lt=2**31, description="Only trials whose value at this epoch is between the bounds.")
    ] = None
    low: Annotated[Finite | None, Field(alias="from", description="Least value at the epoch `at`.")] = None
    high: Annotated[Finite | None, Field(alias="to", description="Greatest value at the epoch `at`.")] = None

    @property
    def is_sample(self) -> bool:
        """Whether a sample is asked for, rather than a page of all."""
        return bool(self.model_fields_set - {"limit", "after"})
