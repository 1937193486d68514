"""The scripts, styles and pictures of the pages, under addresses that change with their content."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served.

    Attributes:
        media_type: Its content type.
        content: Its bytes.
        compressed: Its bytes after gzip.
    """

    media_type: str
    content: bytes
    compressed: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """All files of the pages.

    Attributes:
        digest: Hash over all names and contents. It stands before the name in an address, so that modules which import
            each other by relative paths are renewed together.
        files: The files by name.
    """

    digest: str
    files: Mapping[str, Asset]

    def url(self, name: str) -> str:
        """Address of a file.

        Raises:
            KeyError: There is no such file.
        """
        self.files[name]
        return f"/static/{self.digest}/{name}"


@cache
def bundle() -> Bundle:
    """Read the files once per process."""
    total = hashlib.sha256()
    files = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix not in _MEDIA_TYPES:
            continue
        content = path.read_bytes()
        total.update(f"{path.name}\0{len(content)}\0".encode() + content)
        files[path.name] = Asset(_MEDIA_TYPES[path.suffix], content, gzip.compress(content, mtime=0))
    return Bundle(total.hexdigest()[:_DIGEST_CHARACTERS], files)
