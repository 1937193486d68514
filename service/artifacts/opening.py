"""The store at an address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from service.artifacts.folder import FolderStore
from service.artifacts.remote import RemoteStore
from service.artifacts.store import ArtifactStore


def open_store(url: str, *, drafts: Path) -> ArtifactStore:
    """The store at an address; nothing is written yet.

    Args:
        url: A folder, also as `file:///folder`, or an address that fsspec knows, such as `s3://bucket/folder`.
        drafts: Folder of this machine for what is on its way to another one.
    Raises:
        InvalidRequest: The address is of no kind that is known here.
    """
    if "://" not in url:
        return FolderStore(Path(url).expanduser().absolute())
    if url.startswith("file://"):
        return FolderStore(Path(unquote(urlsplit(url).path)))
    return RemoteStore(url, drafts)
