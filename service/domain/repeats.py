"""Trials of equal parameters: the same configuration trained again with another seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_CHARACTERS = 16


def params_digest(params: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that are equal for equal parameters, whatever their order.

    Args:
        params: Natural values by name. 1, 1.0 and true are three different values here.
    """
    text = json.dumps(dict(params), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_CHARACTERS]
