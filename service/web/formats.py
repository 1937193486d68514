"""Numbers, times and words as people read them."""

from __future__ import annotations

import json
import math
from datetime import datetime

from caviar.contract.space import ParamValue

ABSENT = "–"
_THIN_SPACE = "\u202f"
_MAX_PLAIN = 1e6
_MIN_PLAIN = 1e-4
_MAX_DECIMALS = 9


def count(number: int) -> str:
    """A whole number with its thousands set apart."""
    return f"{number:,}".replace(",", _THIN_SPACE)


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits, without trailing zeros."""
    if value is None:
        return ABSENT
    if value == 0:
        return "0"
    if not _MIN_PLAIN <= abs(value) < _MAX_PLAIN:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    return _trimmed(f"{value:.{decimals(value, digits)}f}")


def decimals(value: float, digits: int = 4) -> int:
    """Decimal places that show so many significant digits of a value."""
    if value == 0 or not math.isfinite(value):
        return digits - 1
    return min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), _MAX_DECIMALS)


def aligned(value: float | None, places: int) -> str:
    """A number of a column that has so many decimal places; one that would be too wide for it keeps 4 digits."""
    if value is None:
        return ABSENT
    is_out_of_place = abs(value) >= _MAX_PLAIN or (value != 0 and abs(value) < 10.0**-places)
    return number(value) if is_out_of_place else f"{value:.{places}f}"


def near_one(value: float, digits: int = 3) -> str:
    """A number below 1 with so many significant digits of its distance to 1."""
    return _trimmed(f"{value:.{decimals(1 - value, digits)}f}") if 0 < value < 1 else number(value)


def parameter(value: ParamValue | None, scale: str = "linear") -> str:
    """A value of a parameter, short.

    Args:
        value: The natural value; None for a parameter that does not apply.
        scale: Its scale: near 1, values on the scales that resolve it keep the digits of 1 - x.
    """
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return near_one(value) if scale in ("reverse_log", "logit") and value > 0.9 else number(value)
    return value


def seconds(value: float | None) -> str:
    """A duration in its two largest units."""
    if value is None:
        return ABSENT
    if value < 10:
        return f"{value:.1f}{_THIN_SPACE}s"
    parts: list[str] = []
    rest = round(value)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, rest = divmod(rest, size)
        if amount or (parts and len(parts) < 2):
            parts.append(f"{amount}{_THIN_SPACE}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0")) or f"0{_THIN_SPACE}s"


def ago(at: datetime, now: datetime) -> str:
    """How long ago something happened, in one unit."""
    elapsed_s = (now - at).total_seconds()
    if elapsed_s < 5:
        return "just now"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if elapsed_s >= size:
            return f"{int(elapsed_s // size)}{_THIN_SPACE}{unit} ago"
    raise AssertionError(elapsed_s)


def instant(at: datetime) -> str:
    """A moment in UTC, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def size(num_bytes: int | None) -> str:
    """An amount of memory in the unit that fits it."""
    if num_bytes is None:
        return ABSENT
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        amount = num_bytes / 1024**power
        if amount >= 1:
            return f"{amount:.{0 if amount >= 100 else 1}f}".removesuffix(".0") + f"{_THIN_SPACE}{unit}"
    return f"{num_bytes}{_THIN_SPACE}B"


def words(name: str) -> str:
    """An identifier as words."""
    return name.replace("_", " ")


def fact(value: object) -> str:
    """A free-form JSON value on one line."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
