"""Messages of the wire: studies, workers' messages, imports, annotations, and what addresses ask for."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from caviar.contract.curves import CurveQuery
from caviar.contract.errors import InvalidRequest, field_errors, from_problem
from caviar.contract.messages import Claim, Finish, Heartbeat, RegisterWorker, Release, Report
from caviar.contract.ranking import Annotation, Retest
from caviar.contract.space import Space
from caviar.contract.study import CloneStudy, ImportTrials, NewTrial, OpenRound, StudyEdit, StudySpec
from service.domain.board_query import parse
from service.domain.study_query import StudyQuery
from tests.caviar.contract import bodies
from tests.hostile import drawing
from tests.hostile.oracles import bounded, read, refused_well

_MESSAGES: dict[type[BaseModel], Any] = {
    Claim: {"request_id": "r", "max_trials": 2, "wait_s": 1.5, "leases": ["t0ken"]},
    Finish: {"lease": "t", "outcome": "failed", "error": bodies.ERROR, "facts": bodies.FACTS, "log_tail": "x"},
    Heartbeat: {"leases": ["t"], "devices": [bodies.DEVICE], "slots": [bodies.SLOT], "checkpoints": [3]},
    RegisterWorker: {"name": "w", "host": "h", "slots": 2, "labels": {"a": "b"}, "objectives": [bodies.OFFER]},
    Release: {"lease": "t", "is_checkpoint_missing": True},
    Report: {"items": [bodies.MEASUREMENT]},
    Annotation: {"tags": {"a": "b"}, "note": "n"},
    Retest: {"top": 2, "repeats": 3},
    CloneStudy: {"name": "a"},
    ImportTrials: {"items": [bodies.IMPORTED], "metric": bodies.METRIC, "objective": bodies.OBJECTIVE},
    NewTrial: {"params": bodies.PARAMS},
    OpenRound: {"windows": {"lr": bodies.EDITED_WINDOW}},
    StudyEdit: {"budget": bodies.LIMITS, "space": bodies.SPACE, "tags": {"a": "b"}, "requires": bodies.NEEDED},
}
_SPACE = Space.model_validate(bodies.SPACE)
_pairs = st.lists(st.one_of(st.sampled_from(["lr:1e-4..1e-2", "opt:sgd|1", "value:..0.5", "1..2"]), drawing.texts))
_damaged_text = st.text(st.sampled_from("lrvaueopt:.|\\-+e0123456789…,  naif٣"), max_size=60)


@given(drawing.damaged(bodies.STUDY))
def studies(body: Any) -> None:
    """A study body is refused in words, or stored and read back as it was."""
    with bounded():
        read(StudySpec, body)


@given(
    st.sampled_from(list(_MESSAGES)).flatmap(lambda kind: st.tuples(st.just(kind), drawing.damaged(_MESSAGES[kind])))
)
def messages(drawn: tuple[type[BaseModel], Any]) -> None:
    """So it is with all other bodies."""
    with bounded():
        read(*drawn)


@given(drawing.values, st.integers(100, 599))
def problems(body: Any, status: int) -> None:
    """Whatever a proxy puts in place of the service's answer, the client makes an error of it that can be shown."""
    error = from_problem(body, status)
    json.dumps(error.problem(), allow_nan=False).encode()
    str(error).encode(errors="strict")


@given(_pairs, drawing.texts, drawing.texts, _pairs, _pairs, _damaged_text)
def board_queries(  # noqa: PLR0917  # drawn in this order
    where: list[str], text: str, sort: str, columns: list[str], pins: list[str], condition: str
) -> None:
    """An address of a leaderboard is refused in words, or means the same once it is written anew."""
    with bounded():
        try:
            query = parse(_SPACE, where=[*where, condition], text=text, sort=sort, columns=columns, pins=pins)
        except InvalidRequest as error:
            refused_well(error)
            return
        told: dict[str, Any] = {"where": [], "columns": [], "pin": [], "state": []}
        for name, value in query.pairs():
            told.setdefault(name, []).append(value)
        again = parse(
            _SPACE, where=told["where"], text=(told.get("q") or [""])[0], sort=(told.get("sort") or ["rank"])[0],
            columns=told["columns"], pins=told["pin"], states=told["state"],
        )  # fmt: skip
        assert again == query
        query.address.encode()


@given(
    st.sampled_from((StudyQuery, CurveQuery)),
    st.dictionaries(
        st.sampled_from(
            ["q", "state", "sort", "order", "limit", "offset", "after", "top", "at", "from", "to", "metric"]
        ),
        st.one_of(drawing.texts, drawing.numbers.map(str)),
    ),
)
def cursors(kind: type[BaseModel], pairs: dict[str, str]) -> None:
    """Parameters of addresses, as FastAPI hands them over, are refused in words or read."""
    try:
        kind.model_validate(pairs)
    except ValueError as error:
        refused_well(InvalidRequest("refused", errors=field_errors(error, pairs)))  # type: ignore[arg-type]  # pydantic's
