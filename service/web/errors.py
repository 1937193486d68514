"""Errors as pages, for browsers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from caviar.contract.errors import CaviarError
from service.web import rendering


def error_page(request: Request, error: CaviarError) -> Response:
    """The page that tells a person what went wrong.

    Args:
        request: The request that failed.
        error: Why.
    """
    headers = {"Cache-Control": "no-store"}
    return rendering.page("error.html", status=error.status, headers=headers, error=error, path=request.url.path)
