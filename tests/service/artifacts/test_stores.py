"""Both kinds of store keep the same promises."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from structlog.testing import capture_logs

from caviar.contract.errors import InvalidRequest, StorageFull, Unavailable
from service.artifacts import folder
from service.artifacts.folder import FolderStore
from service.artifacts.opening import open_store
from service.artifacts.remote import RemoteStore
from service.artifacts.store import CHUNK_BYTES, ArtifactMissing, ArtifactStore

NAME = "caviar-1-t1-checkpoint-e2-0a"


@pytest.fixture(params=["folder", "memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """A store of each kind; `local` is fsspec's own way to this machine's files."""
    if request.param == "folder":
        return open_store(str(tmp_path / "files"), drafts=tmp_path)
    if request.param == "memory":
        return open_store(f"memory://{tmp_path.name}/files", drafts=tmp_path / "drafts")
    (tmp_path / "files").mkdir()
    return open_store(f"local://{tmp_path}/files", drafts=tmp_path / "drafts")


def _keep(store: ArtifactStore, name: str, *portions: bytes) -> None:
    draft = store.begin(name, None)
    for portion in portions:
        draft.write(portion)
    draft.keep()
    draft.discard()


def _names(store: ArtifactStore, prefix: str = "caviar-") -> list[str]:
    return sorted(file.name for file in store.files(prefix))


def test_a_file_comes_back_in_portions(store: ArtifactStore) -> None:
    data = os.urandom(2 * CHUNK_BYTES + 5)
    _keep(store, NAME, data[:10], data[10:])
    portions = list(store.read(NAME))
    assert b"".join(portions) == data
    assert len(portions) > 1
    assert store.size_bytes(NAME) == len(data)


def test_a_file_is_listed_with_its_time_until_it_is_removed(store: ArtifactStore) -> None:
    assert _names(store) == []
    _keep(store, NAME, b"a")
    _keep(store, "caviar-2-t1", b"b")
    [file] = store.files("caviar-1")
    assert file.name == NAME
    assert file.modified_at is not None
    assert abs(file.modified_at - datetime.now(UTC)) < timedelta(minutes=5)
    for _ in range(2):
        store.remove(NAME)
        assert _names(store) == ["caviar-2-t1"]


def test_what_is_discarded_leaves_nothing(store: ArtifactStore) -> None:
    draft = store.begin(NAME, 3)
    draft.write(b"abc")
    draft.discard()
    draft.discard()
    assert _names(store) == []


def test_what_is_not_there_is_missing(store: ArtifactStore) -> None:
    with pytest.raises(ArtifactMissing):
        store.size_bytes(NAME)
    with pytest.raises(ArtifactMissing):
        list(store.read(NAME))


@pytest.mark.parametrize("name", ["../a", "a/b", "/etc/passwd", "", ".hidden", "a\0", "A", "a" * 201, "a b"])
def test_names_lead_nowhere_else(store: ArtifactStore, name: str) -> None:
    steps: list[Callable[[], Any]] = [
        lambda: store.size_bytes(name),
        lambda: store.remove(name),
        lambda: store.begin(name, None),
        lambda: list(store.read(name)),
    ]
    for step in steps:
        with pytest.raises(ValueError, match="expected letters"):
            step()


def test_more_than_there_is_room_for_is_refused_at_once(store: ArtifactStore) -> None:
    with pytest.raises(StorageFull, match="make room"):
        store.begin(NAME, 2**60)
    assert _names(store) == []


def test_files_in_a_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    _keep(FolderStore(tmp_path / "files"), NAME, b"a")
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "files" / NAME).stat().st_mode) == 0o600


def test_a_draft_in_a_folder_is_seen_as_one(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    draft = store.begin(NAME, None)
    draft.write(b"a")
    assert _names(store) == [f"{NAME}.draft"]
    with pytest.raises(ArtifactMissing):
        store.size_bytes(NAME)
    store.remove(f"{NAME}.draft")
    assert _names(store) == []
    draft.discard()


class _Limited(io.FileIO):
    """A file on a disk that takes ten bytes more, then fails."""

    code = errno.ENOSPC
    left = 10

    def write(self, data: Any) -> int:
        taken = min(self.left, len(data))
        self.left -= taken
        if taken == 0:
            raise OSError(self.code, os.strerror(self.code))
        return int(super().write(bytes(data[:taken])) or 0)


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, Unavailable)]
)
def test_a_disk_that_fails_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    monkeypatch.setattr(_Limited, "code", code)
    monkeypatch.setattr(folder, "FileIO", _Limited)
    draft = FolderStore(tmp_path).begin(NAME, None)
    draft.write(b"0123456")
    with capture_logs() as logs, pytest.raises(kind):
        draft.write(b"789abcdef")
    draft.discard()
    assert list(tmp_path.iterdir()) == []
    assert [entry["log_level"] for entry in logs] == ["error"]


class _Broken:
    """A file system none of whose calls succeeds."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _name: str) -> Callable[..., Any]:
        def fail(*_arguments: Any, **_options: Any) -> Any:
            raise self._error

        return fail


@pytest.mark.parametrize("error", [RuntimeError("no credentials"), OSError(errno.EIO, "broken"), TimeoutError()])
def test_errors_of_a_file_system_are_outages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    store = RemoteStore(f"memory://{tmp_path.name}", tmp_path / "drafts")
    draft = store.begin(NAME, 1)
    draft.write(b"a")
    monkeypatch.setattr(store, "_files", _Broken(error))
    monkeypatch.setattr(draft, "_files", _Broken(error))
    steps: list[Callable[[], Any]] = [
        lambda: store.size_bytes(NAME),
        lambda: store.remove(NAME),
        lambda: list(store.read(NAME)),
        lambda: list(store.files("caviar-")),
        draft.keep,
    ]
    with capture_logs():
        for step in steps:
            with pytest.raises(Unavailable, match="does not answer"):
                step()
    draft.discard()


def test_a_remote_store_that_takes_only_a_part_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RemoteStore(f"memory://{tmp_path.name}", tmp_path / "drafts")

    def cut(source: Any, target: Any, _length: int) -> None:
        target.write(source.read()[:-1])

    monkeypatch.setattr(shutil, "copyfileobj", cut)
    draft = store.begin(NAME, 3)
    draft.write(b"abc")
    with capture_logs(), pytest.raises(Unavailable, match="only a part"):
        draft.keep()
    draft.discard()
    assert _names(store) == []


def test_a_bucket_may_hold_other_files_too(tmp_path: Path) -> None:
    store = RemoteStore(f"memory://{tmp_path.name}", tmp_path / "drafts")
    files = fsspec.filesystem("memory")
    files.pipe_file(f"/{tmp_path.name}/caviar-1 copy", b"x")
    files.pipe_file(f"/{tmp_path.name}/readme.txt", b"x")
    _keep(store, NAME, b"a")
    assert _names(store) == [NAME]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"LastModified": datetime(2026, 1, 2, tzinfo=UTC)}, datetime(2026, 1, 2, tzinfo=UTC)),
        ({"updated": "2026-01-02T00:00:00.000Z"}, datetime(2026, 1, 2, tzinfo=UTC)),
        ({"mtime": 86400.0}, datetime(1970, 1, 2, tzinfo=UTC)),
        ({"last_modified": datetime(2026, 1, 2)}, datetime(2026, 1, 2, tzinfo=UTC)),  # noqa: DTZ001  # Azure's
        ({"size": 3}, None),
    ],
)
def test_every_store_tells_the_time_in_its_own_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], expected: datetime | None
) -> None:
    store = RemoteStore(f"memory://{tmp_path.name}", tmp_path / "drafts")
    files = fsspec.filesystem("memory")
    monkeypatch.setattr(files, "ls", lambda _path, detail: [{"name": f"bucket/{NAME}", **entry}])
    monkeypatch.setattr(store, "_files", files)
    assert [file.modified_at for file in store.files("caviar-")] == [expected]


@pytest.mark.parametrize("url", ["s4://bucket/files", "hdfs3x://host/a"])
def test_addresses_of_unknown_kinds_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidRequest, match="artifact store") as refused:
        open_store(url, drafts=tmp_path)
    assert refused.value.errors[0].field == "artifacts_url"


def test_a_missing_package_is_named_and_secrets_are_not(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refused:
        open_store("s3://key:secret@bucket/files", drafts=tmp_path)
    assert "s3fs" in refused.value.errors[0].expected
    assert "secret" not in str(refused.value)


def test_a_folder_may_be_given_as_an_address(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/my%20files", drafts=tmp_path)
    _keep(store, NAME, b"a")
    assert (tmp_path / "my files" / NAME).read_bytes() == b"a"
