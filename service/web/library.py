"""The charts' library: one script out of the `plotly` package, served by ourselves and only where it is needed."""

from __future__ import annotations

import gzip
import threading
from functools import cache
from importlib import metadata
from pathlib import Path

from service.web.assets import Asset

NAME = "plotly.min.js"
_PATH = "plotly/package_data/plotly.min.js"
_COMPRESS_LEVEL = 9
_reading = threading.Lock()


@cache
def version() -> str:
    """Release of the package, which is all that its script follows from."""
    return metadata.version("plotly")


def url() -> str:
    """Address of the script; another release has another one."""
    return f"/static/plotly/{version()}/{NAME}"


def script() -> Asset:
    """The script, read and compressed once per process. Takes half a second the first time: not for the event loop."""
    with _reading:
        return _read()


@cache
def _read() -> Asset:
    content = Path(str(metadata.distribution("plotly").locate_file(_PATH))).read_bytes()
    return Asset("text/javascript; charset=utf-8", content, gzip.compress(content, _COMPRESS_LEVEL, mtime=0))
