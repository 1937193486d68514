"""Numbers and choices as people write them into an address."""

from __future__ import annotations

import math

from caviar.contract.space import ParamValue


def number_in(text: str) -> float | None:
    """The finite number that a text is; None if it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def choice_text(choice: ParamValue) -> str:
    """A choice as it is written: true and false as in JSON."""
    if isinstance(choice, bool):
        return "true" if choice else "false"
    return str(choice)
