"""What the addresses of pages hold, and what pages hand to their templates."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query

Context = dict[str, Any]
"""What a template shows, by name."""

Offset = Annotated[int, Query(ge=0, lt=2**53)]
StudyName = Annotated[str, Path(max_length=64)]
TrialId = Annotated[int, Path(ge=1, lt=2**53)]
WorkerId = Annotated[str, Path(max_length=36)]
