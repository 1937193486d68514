"""What an address asks of a leaderboard: read, refused in words, and written back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.errors import InvalidRequest
from caviar.contract.space import Space
from caviar.contract.states import TrialState
from service.domain.board_query import BoardQuery, OneOf, Range, parse

SPACE = Space.model_validate(
    {
        "rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
        "units": {"type": "int", "low": 1, "high": 512},
        "epochs": {"type": "int", "low": 1, "high": 9},
        "kind": {"type": "categorical", "choices": ["a", "b", "a|b", True, 1, 2.5]},
    }
)


def test_nothing_asked_for_is_the_usual_view() -> None:
    assert parse(SPACE) == BoardQuery()
    assert BoardQuery().address == ""


def test_everything_is_read() -> None:
    query = parse(
        SPACE,
        states=["running,complete", "running"],
        where=["rate:1e-4..1e-2", "kind:b|true", "", "value:..0.5", "units: 3 "],
        text="  good ",
        sort="-rate",
        columns=["value,rate"],
        pins=["12, 15"],
        limit="20",
        after=40,
    )
    assert query == BoardQuery(
        states=(TrialState.RUNNING, TrialState.COMPLETE),
        conditions=(
            Range("params.rate", 1e-4, 1e-2),
            OneOf("params.kind", ("b", True)),
            Range("value", None, 0.5),
            Range("params.units", 3.0, 3.0),
        ),
        text="good",
        sort="params.rate",
        is_descending=True,
        columns=("value", "params.rate"),
        pins=(12, 15),
        limit=20,
        after=40,
    )


def test_a_parameter_named_like_a_column_is_reached_by_its_full_name() -> None:
    assert parse(SPACE, sort="epochs").sort == "epochs"
    assert parse(SPACE, sort="params.epochs").sort == "params.epochs"
    assert parse(SPACE, sort="params.epochs").pairs() == [("sort", "params.epochs")]


def test_a_choice_may_hold_the_sign_between_choices() -> None:
    query = parse(SPACE, where=[r"kind:a\|b|b"])
    assert query.conditions == (OneOf("params.kind", ("a|b", "b")),)
    assert query.conditions[0].text == r"a\|b|b"


@pytest.mark.parametrize(
    ("given", "field", "received", "expected"),
    [
        ({"states": ["don"]}, "state", "don", "one of waiting, running"),
        ({"where": ["rat:1..2"]}, "where", "rat:1..2", "did you mean 'rate'?"),
        ({"where": ["rate"]}, "where", "rate", "low..high"),
        ({"where": ["rate:x..2"]}, "where", "rate:x..2", "low..high"),
        ({"where": ["rate:.."]}, "where", "rate:..", "low..high"),
        ({"where": ["rate:nan..1"]}, "where", "rate:nan..1", "low..high"),
        ({"where": ["rate:2..1"]}, "where", "rate:2..1", "exchange the two"),
        ({"where": ["kind:c"]}, "where", "kind:c", "some of a, b, a|b, true, 1, 2.5"),
        ({"sort": "valu"}, "sort", "valu", "did you mean 'value'?"),
        ({"columns": ["value,x"]}, "columns", "x", "one of rank, trial"),
        ({"pins": ["-3"]}, "pin", "-3", "numbers of trials"),
        ({"pins": [",".join(map(str, range(30)))]}, "pin", "30 entries", "at most 20"),
        ({"text": "x" * 300}, "q", "300 characters", "at most 200"),
        ({"limit": "0"}, "limit", "0", "a whole number from 1 to 1000"),
        ({"after": "-1"}, "after", "-1", "a whole number from 0"),
        ({"after": "1e3"}, "after", "1e3", "a whole number from 0"),
    ],
)
def test_what_cannot_be_had_is_refused_in_words(
    given: dict[str, Any], field: str, received: str, expected: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(SPACE, **given)
    [error] = refused.value.errors
    assert (error.field, error.received) == (field, received)
    assert expected in error.expected


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(SPACE, states=["x"], where=["y"], sort="z")
    assert [error.field for error in refused.value.errors] == ["state", "where", "sort"]


@given(
    low=st.one_of(st.none(), st.floats(-1e12, 1e12)),
    width=st.one_of(st.none(), st.floats(0, 1e9)),
    kinds=st.lists(st.sampled_from(["a", "b", "a|b", True, 2.5]), min_size=1, max_size=4, unique_by=str),
    states=st.lists(st.sampled_from(list(TrialState)), unique=True),
    sort=st.sampled_from(["rank", "value", "params.rate", "params.epochs", "tags"]),
    is_descending=st.booleans(),
    after=st.integers(0, 10**9),
)
def test_an_address_says_what_it_was_made_of(
    *,
    low: float | None,
    width: float | None,
    kinds: list[Any],
    states: list[TrialState],
    sort: str,
    is_descending: bool,
    after: int,
) -> None:
    high = None if width is None else (low or 0.0) + width
    ranges = () if low is None and high is None else (Range("params.rate", low, high),)
    query = BoardQuery(
        states=tuple(states),
        conditions=(*ranges, OneOf("params.kind", tuple(kinds))),
        sort=sort,
        is_descending=is_descending,
        after=after,
    )
    told: dict[str, list[str]] = {}
    for name, value in query.pairs():
        told.setdefault(name, []).append(value)
    again = parse(
        SPACE,
        states=told.get("state", []),
        where=told.get("where", []),
        sort=told.get("sort", ["rank"])[0],
        after=told.get("after", ["0"])[0],
    )
    assert again == query
