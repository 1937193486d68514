"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.web import formats

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (0.123456, "0.1235"), (0.5, "0.5"), (12.3456, "12.35"), (1234.5, "1234"), (-0.25, "-0.25"),
        (0.00012345, "0.0001234"), (0.000012345, "1.234e-5"), (2.5e-7, "2.5e-7"), (1234567.0, "1.235e6"),
        (1e30, "1e30"), (100000.0, "100000"), (None, "–"),
    ],
)  # fmt: skip
def test_number_keeps_four_digits(value: float | None, shown: str) -> None:
    assert formats.number(value) == shown


@pytest.mark.parametrize(
    ("value", "scale", "shown"),
    [
        (0.99912, "reverse_log", "0.99912"), (0.999912, "reverse_log", "0.999912"), (0.95, "reverse_log", "0.95"),
        (0.9123456, "reverse_log", "0.9123"), (0.99996, "linear", "1"), (0.99996, "logit", "0.99996"),
        (True, "choice", "true"), (False, "choice", "false"), (12345, "linear", "12\u202f345"),
        ("adam", "choice", "adam"), (None, "log", "–"), (0.0, "reverse_log", "0"),
    ],
)  # fmt: skip
def test_parameter_keeps_what_its_scale_resolves(value: float | None, scale: str, shown: str) -> None:
    assert formats.parameter(value, scale) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"),
        (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (86_400, "1 d"), (86_461, "1 d"), (None, "–"),
    ],
)  # fmt: skip
def test_seconds_has_two_units(value: float | None, shown: str) -> None:
    assert formats.seconds(value).replace("\u202f", " ") == shown


@pytest.mark.parametrize(
    ("elapsed_s", "shown"),
    [(-3, "just now"), (4.9, "just now"), (5, "5 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"),
     (200_000, "2 d ago")],
)  # fmt: skip
def test_ago_has_one_unit(elapsed_s: float, shown: str) -> None:
    assert formats.ago(NOW - timedelta(seconds=elapsed_s), NOW).replace("\u202f", " ") == shown


@pytest.mark.parametrize(
    ("value", "places", "shown"),
    [
        (0.08912345, 5, "0.08912"),
        (2.3, 5, "2.30000"),
        (None, 5, "–"),
        (1e9, 5, "1e9"),
        (1e-9, 5, "1e-9"),
        (0.0, 3, "0.000"),
    ],
)
def test_aligned_has_the_places_of_its_column(value: float | None, places: int, shown: str) -> None:
    assert formats.aligned(value, places) == shown


def test_fact_is_one_line_for_any_json() -> None:
    assert formats.fact({"a": [1, None, "ä"]}) == '{"a": [1, null, "ä"]}'
    assert formats.fact(True) == "true"
    assert formats.fact(None) == "null"
    assert formats.fact(7) == "7"
    assert formats.fact(0.123456) == "0.1235"
    assert formats.fact("text") == "text"


def test_instant_is_in_utc() -> None:
    assert formats.instant(NOW) == "2026-05-04 12:00:00 UTC"
