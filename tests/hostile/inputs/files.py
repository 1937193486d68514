"""Files that people hand over: studies and tables of trials."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from caviar.client.files import read_trials
from caviar.contract import study_text
from caviar.contract.errors import InvalidRequest
from caviar.contract.space import Space
from service.api.tables import csv_lines
from tests.caviar.contract import bodies
from tests.hostile import drawing
from tests.hostile.oracles import bounded, refused_well

_SPACE = Space.model_validate(bodies.SPACE)
_STUDY = yaml.safe_dump(bodies.STUDY).encode()
_TABLE = b"number,state,value,params.lr,params.units,params.opt\n1,complete,0.5,0.01,32,sgd\n2,pruned,0.7,,16,True\n"
_DOCUMENT = {"study": {"metric": bodies.METRIC}, "trials": [{**bodies.TRIAL, "measurements": [bodies.STORED]}]}
_ALIASES = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [*{former}, *{former}, *{former}, *{former}, *{former}, *{former}]\n"
    for former, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@given(
    st.one_of(
        drawing.bytes_damaged(_STUDY),
        drawing.bytes_damaged(_ALIASES.encode()),
        st.text().map(lambda t: t.encode(errors="replace")),
    )
)
def study_files(content: bytes) -> None:
    """A study file is YAML, or it is said why not."""
    with bounded():
        try:
            study_text.load(content.decode(errors="replace"))
        except yaml.YAMLError as error:
            str(error).encode(errors="replace")


@given(
    st.one_of(drawing.bytes_damaged(_TABLE), drawing.bytes_damaged(json.dumps(_DOCUMENT).encode())),
    st.sampled_from(("csv", "json")),
)
def import_files(content: bytes, format: Any) -> None:
    """A file of trials is read, or it is said which line is wrong."""
    _import(content.decode(errors="replace"), format)


@given(drawing.damaged(_DOCUMENT))
def exported_files(document: Any) -> None:
    """So it is with what looks like an export."""
    try:
        text = json.dumps(document)
    except ValueError:
        return
    _import(text, "json")


def _import(text: str, format: Any) -> None:
    with bounded():
        try:
            read_trials(text, format, _SPACE)
        except InvalidRequest as error:
            refused_well(error)


@given(
    st.lists(
        drawing.texts.filter(lambda text: text.isprintable() or text.isascii()), min_size=1, max_size=6, unique=True
    )
)
def tables(choices: list[str]) -> None:
    """A table that was exported is imported as it was, and no cell of it is run by a spreadsheet."""
    try:
        space = Space.model_validate({"c": {"type": "categorical", "choices": choices}})
    except ValueError:
        return
    rows: list[list[object]] = [["value", "params.c"], *([0.5, choice] for choice in choices)]
    found = read_trials(csv_lines(rows), "csv", space)
    assert [item.params["c"] for item in found.items or ()] == choices
