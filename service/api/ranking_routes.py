"""The leaderboard, trials side by side, repeats, and what people say of trials."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, status
from pydantic import Field
from starlette.responses import Response

from caviar.contract.ranking import (
    MAX_COMPARED,
    MIN_COMPARED,
    Annotation,
    Comparison,
    Leaderboard,
    LeaderboardRow,
    Retest,
    Retested,
)
from caviar.contract.space import Space
from caviar.contract.views import TrialDetail
from service.api.dependencies import CurrentService, Limit, Offset, StudyName, TrialId
from service.api.tables import CSV, csv_lines
from service.domain.board_query import COLUMNS, BoardQuery, parse
from service.use_cases import annotating, comparing_trials, ranking, reading, retesting

router = APIRouter(tags=["studies"])

_PARAMS = "params."
_TABLE = {"schema": {"type": "string"}}
_FIELDS = {"trial": "number", "epochs": "num_epochs", "duration": "duration_s", "memory": "peak_memory_bytes"}
_SEVERAL = {"repeats": ("repeats.num", "repeats.mean", "repeats.sd"), "state": ("state", "stop_reason")}
_SEVERAL |= {"tags": ("tags", "note")}
_States = Annotated[list[str], Query(description="Only trials in one of these states.", examples=[["complete"]])]
_Where = Annotated[
    list[str],
    Query(
        description="Only trials with a number in a range, `learning_rate:1e-4..1e-2`, or with one of some choices, "
        "`optimizer:adam|sgd`. Names are those of parameters, or `value`, `best_epoch`, `epochs`, `duration`, "
        "`memory`, `round` and `trial`; all conditions must hold.",
        examples=[["value:..0.5"]],
    ),
]
_Text = Annotated[str, Query(description="Only trials with this text in a tag or in the note.")]
_Sort = Annotated[
    str,
    Query(description="A column or parameter; `rank` is best first, `-` before a name turns the order round."),
]
_Columns = Annotated[
    list[str],
    Query(description=f"Columns of the CSV, of the parameters and of {', '.join(COLUMNS)}; all if left out."),
]
_Pins = Annotated[list[str], Query(description="Numbers of trials to tell first, whatever the filters.")]


@router.get("/studies/{name}/leaderboard", response_model=Leaderboard, responses={200: {"content": {CSV: _TABLE}}})
def read_leaderboard(
    service: CurrentService,
    name: StudyName,
    *,
    state: _States = [],  # noqa: B006  # FastAPI copies it
    where: _Where = [],  # noqa: B006  # FastAPI copies it
    q: _Text = "",
    sort: _Sort = "rank",
    columns: _Columns = [],  # noqa: B006  # FastAPI copies it
    pin: _Pins = [],  # noqa: B006  # FastAPI copies it
    limit: Limit = 50,
    after: Offset = 0,
    kind: Annotated[Literal["json", "csv"], Query(alias="format", description="Kind of answer.")] = "json",
) -> Leaderboard | Response:
    """Read the trials of a study, best first or in another order, all of them or those that match.

    Several states, conditions, columns and pins are given by repeating the parameter or, but for conditions, with
    commas.
    """
    with service.reading() as tx:
        space = reading.study(tx, name).space
        query = parse(
            space, states=state, where=where, text=q, sort=sort, columns=columns, pins=pin, limit=limit, after=after
        )
        board = ranking.leaderboard(tx, name, query)
    if kind == "json":
        return board
    headers = {"Content-Disposition": f'attachment; filename="{name}-leaderboard.csv"'}
    return Response(_csv(board, space, query), media_type=CSV, headers=headers)


@router.get("/studies/{name}/trials:compare")
def compare_trials(
    service: CurrentService,
    name: StudyName,
    trial: Annotated[
        list[Annotated[int, Field(ge=0, lt=2**31)]],
        Query(
            description="Numbers of two to six trials.",
            examples=[[0, 1]],
            max_length=100,
            json_schema_extra={"minItems": MIN_COMPARED, "maxItems": MAX_COMPARED},
        ),
    ],
) -> Comparison:
    """Read two to six trials of a study side by side: what differs, and their curves."""
    with service.reading() as tx:
        return comparing_trials.compare(tx, name, trial)


@router.post("/studies/{name}:retest", status_code=status.HTTP_201_CREATED)
def retest_study(service: CurrentService, name: StudyName, body: Retest) -> Retested:
    """Train the best configurations again, each time with another seed, to tell luck from merit."""
    return service.write(lambda tx: retesting.retest(tx, name, body))


@router.patch("/trials/{trial_id:segment}", tags=["trials"])
def annotate_trial(service: CurrentService, trial_id: TrialId, body: Annotation) -> TrialDetail:
    """Set what people say of a trial: its tags, all at once, and its note. What is left out stays."""
    return service.write(lambda tx: annotating.annotate(tx, trial_id, body))


def _csv(board: Leaderboard, space: Space, query: BoardQuery) -> str:
    columns = query.columns or (*COLUMNS, *(_PARAMS + name for name in space.names))
    names = [name for column in columns for name in _SEVERAL.get(column, (column,))]
    rows = [[cell for column in columns for cell in _cells(row, column)] for row in [*board.pinned, *board.items]]
    return csv_lines([names, *rows])


def _cells(row: LeaderboardRow, column: str) -> tuple[object, ...]:
    match column:
        case "repeats":
            told = row.repeats
            return (told.num, told.mean, told.sd) if told else (None, None, None)
        case "state":
            return row.state.value, row.stop_reason and row.stop_reason.value
        case "tags":
            return "; ".join(f"{name}: {text}" if text else name for name, text in row.tags.items()), row.note
        case "created":
            return (row.created_at.isoformat(),)
    if column.startswith(_PARAMS):
        return (row.params.get(column.removeprefix(_PARAMS)),)
    return (getattr(row, _FIELDS.get(column, column)),)
