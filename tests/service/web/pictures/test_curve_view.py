"""Addresses of pictures of learning curves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.errors import InvalidRequest
from caviar.contract.states import TrialState
from service.use_cases.curves import Gate
from service.web.pictures.curve_view import HIDEABLE, CurveView, parse

numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.sampled_from(["", "val_loss", "a/b"])
views = st.builds(
    CurveView,
    metric=names,
    also=names,
    bold=st.none() | st.integers(0, 99),
    hide=st.sets(st.sampled_from(HIDEABLE)).map(lambda hidden: tuple(one for one in HIDEABLE if one in hidden)),
    scale=st.sampled_from(["auto", "linear", "log"]),
    at=st.none() | st.integers(1, 99),
    low=st.none() | numbers,
    high=st.none() | numbers,
    top=st.none() | st.integers(1, 99),
    x=st.sampled_from(["epochs", "time"]),
)


def pairs(query: str) -> dict[str, str]:
    return dict(part.split("=") for part in query.removeprefix("?").split("&") if part)


@given(views)
def test_an_address_tells_its_view(view: CurveView) -> None:
    assert parse({name: value.replace("%2B", "+") for name, value in pairs(view.query()).items()}) == view


def test_the_usual_view_needs_no_query() -> None:
    assert CurveView().query() == ""
    assert parse({}) == parse({"at": "", "from": " ", "scale": ""}) == CurveView()


def test_the_names_of_the_address() -> None:
    view = CurveView(hide=(TrialState.PRUNED, TrialState.FAILED), at=5, low=0.1, high=0.3, top=20)
    assert view.query() == "?hide=pruned,failed&at=5&from=0.1&to=0.3&top=20"
    assert view.gate == Gate(5, 0.1, 0.3)
    assert view.is_filtered


def test_states_go_and_come_back() -> None:
    view = parse({"hide": "failed,pruned"})
    assert view.toggled(TrialState.PRUNED) == "?hide=failed"
    assert view.toggled(TrialState.RUNNING) == "?hide=running,pruned,failed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", "0"),
        ("at", "2.5"),
        ("top", "-1"),
        ("bold", "-1"),
        ("bold", "99999999999"),
        ("from", "low"),
        ("to", "inf"),
        ("hide", "waiting"),
        ("hide", "pruned,lost"),
        ("scale", "cubic"),
        ("x", "day"),
        ("metric", "a b"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse({name: value})
    [error] = refused.value.errors
    assert (error.field, error.received) == (name, value)


def test_half_a_filter_is_refused_when_it_is_used() -> None:
    with pytest.raises(InvalidRequest, match="the epoch at which"):
        _ = parse({"from": "1"}).gate
