"""What a form sent, for forms whose fields depend on what they show."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from service.web.acting import FORM_FIELD

_MAX_FIELDS = 1000


async def _fields(request: Request) -> dict[str, str]:
    async with request.form(max_fields=_MAX_FIELDS, max_files=0) as form:
        return {name: value for name, value in form.items() if isinstance(value, str) and name != FORM_FIELD}


Fields = Annotated[dict[str, str], Depends(_fields)]
"""Texts by name; of repeated names the last one."""
