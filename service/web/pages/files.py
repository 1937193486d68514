"""Scripts, styles and pictures."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from caviar.contract.errors import NotFound
from service.web import library
from service.web.assets import Asset, bundle
from service.web.rendering import HEADERS

router = APIRouter(include_in_schema=False)
_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


@router.get("/static/{digest}/{name}")
def send_asset(request: Request, digest: str, name: str) -> Response:
    """A script, style or picture; an address of an earlier version is gone, for it must never show another content."""
    found = bundle().files.get(name) if digest == bundle().digest else None
    if found is None:
        raise NotFound(f"there is no static file {name!r} of version {digest!r}; reload the page that names it")
    return _sent(request, found)


@router.get("/static/plotly/{version}/{name}")
def send_library(request: Request, version: str, name: str) -> Response:
    """The script of the charts' library."""
    if (version, name) != (library.version(), library.NAME):
        raise NotFound(f"there is no file {name!r} of version {version!r} of Plotly; reload the page that names it")
    return _sent(request, library.script())


def _sent(request: Request, found: Asset) -> Response:
    headers = HEADERS | _IMMUTABLE
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, media_type=found.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.media_type, headers=headers)
