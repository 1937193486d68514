"""Learning curves and how the best value of a study came about."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from caviar.contract.curves import CurveQuery
from caviar.contract.views import Curves
from service.api.dependencies import CurrentService, StudyName
from service.use_cases import curves, reading

router = APIRouter(tags=["studies"])


@router.get("/studies/{name}/curves")
def read_curves(service: CurrentService, name: StudyName, query: Annotated[CurveQuery, Query()]) -> Curves:
    """Read learning curves.

    Without parameters, or with `limit` and `after` alone, these are the whole curves of the study's metric in the order
    of trial numbers. With any other parameter they are a sample of trials with thinned curves, small enough to be drawn
    at once; `how` says which trials these are, and `num_trials` of how many.
    """
    with service.reading() as tx:
        if not query.is_sample:
            return reading.curves(tx, name, limit=query.limit, after=query.after)
        return curves.sampled(tx, name, curves.asked(query))
