"""How numbers, times and configurations look to people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from caviar.contract.space import ParamValue

_DASH = "–"
_BARS = "▁▂▃▄▅▆▇█"


def number(value: float | None) -> str:
    """A number with four significant digits; close below 1 the digits count from where it differs from 1."""
    if value is None:
        return _DASH
    if isinstance(value, int):
        return str(value)
    if 0.99 < value < 1.0:
        # Of 0.99987 four digits would leave 0.9999: on the 1−β scale that is another value.
        places = math.ceil(-math.log10(1.0 - value)) + 2
        return f"{value:.{places}f}".rstrip("0").rstrip(".")
    return f"{value:.4g}"


def param(value: ParamValue) -> str:
    """The value of a parameter."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else number(value)


def configuration(params: Mapping[str, ParamValue]) -> str:
    """A configuration on one line."""
    return "  ".join(f"{name}={param(value)}" for name, value in params.items())


def duration(seconds: float | None) -> str:
    """A time span in the units that fit it: `0.83 s`, `42 s`, `2 min 05 s`, `3 h 12 min`, `2 d 4 h`."""
    if seconds is None:
        return _DASH
    if seconds < 10:
        return f"{max(seconds, 0.0):.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def sparkline(values: Sequence[float], width: int = 32) -> str:
    """Numbers as a row of bars, on a logarithmic scale if all are positive.

    Args:
        values: Finite numbers, any count.
        width: Most characters; of more values, evenly spaced ones are drawn, the last among them.
    """
    if len(values) > width:
        values = [values[(position + 1) * len(values) // width - 1] for position in range(width)]
    if not values:
        return ""
    if min(values) > 0:
        # Losses fall by factors: on a linear scale the first bar would dwarf all others.
        values = [math.log(value) for value in values]
    low, high = min(values), max(values)
    span = high - low or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)
