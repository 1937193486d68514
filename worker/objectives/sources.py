"""The source files behind an objective: whether they have changed since they were loaded, and their digest."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from worker.objectives.errors import LoadError
from worker.objectives.importing import Place

_OWN = frozenset({"caviar", "service", "worker"})
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_VERSION_DIGITS = 16


class Sources:
    """The files of one module that an operator named, and of the modules that it imports from beside it.

    For a file, those are the modules in its folder and below; for `package.module`, those of the same top-level
    package. What is installed in site-packages, Python's own library and Caviar itself do not count.
    """

    def __init__(self, place: Place, module: ModuleType | None, error: LoadError | None = None) -> None:
        """Note the files as they are now.

        Args:
            place: What the operator named.
            module: The module, just imported; None if that failed.
            error: Why it failed: it is worth another try when one of the files that it speaks of has changed.
        """
        self._place = place
        self._root = _root(place, module)
        self._marks: dict[Path, tuple[tuple[int, int], str] | None] = {}
        self._looked_at: set[str] = set()
        files = set(self._modules())
        if module is not None and module.__file__:
            files.add(Path(module.__file__).resolve())
        if error is not None:
            files |= self._suspects(error)
        self._note(files)
        self.version = self._digest() if module is not None else None

    def have_changed(self) -> bool:
        """Whether a file has another content than when it was noted, or is gone.

        A module that was imported since then is noted first.
        """
        self._note(file for file in self._modules() if file not in self._marks)
        return any(self._has_changed(file) for file in self._marks)

    def _modules(self) -> list[Path]:
        """Those that were not looked at before: there are thousands, and this is done before every training."""
        new = sys.modules.keys() - self._looked_at
        self._looked_at |= new
        files = {str(getattr(sys.modules[name], "__file__", None)) for name in new if self._may_belong(name)}
        return [path for file in files if file.endswith(".py") and self._belongs(path := Path(file).resolve())]

    def _may_belong(self, name: str) -> bool:
        top = name.partition(".")[0]
        return top not in _OWN and (self._place.is_file or top == self._place.module.partition(".")[0])

    def _belongs(self, path: Path) -> bool:
        return _is_own(path) and (not self._place.is_file or path.is_relative_to(self._root))

    def _suspects(self, error: LoadError) -> set[Path]:
        # A neighbour that could not be imported is no module, so the names in the traceback tell.
        cause = error.__cause__ or error
        named = [Path(frame.filename) for frame in traceback.extract_tb(cause.__traceback__)]
        if isinstance(cause, SyntaxError) and cause.filename:
            named.append(Path(cause.filename))
        beside = [self._place.file, *self._root.glob("*.py")] if self._root.is_dir() else []
        return {path for file in (*named, *beside) if _is_own(path := file.resolve()) and path.suffix == ".py"}

    def _note(self, files: Iterable[Path]) -> None:
        for file in files:
            stamp = _stamp(file)
            self._marks[file] = None if stamp is None else (stamp, _content(file))

    def _has_changed(self, file: Path) -> bool:
        before, stamp = self._marks[file], _stamp(file)
        if before is None or stamp is None:
            return (before is None) != (stamp is None)
        if stamp == before[0]:
            return False
        # Only saved again, or checked out at another time.
        if _content(file) == before[1]:
            self._marks[file] = (stamp, before[1])
            return False
        return True

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for file in sorted(self._marks):
            mark = self._marks[file]
            name = file.relative_to(self._root) if file.is_relative_to(self._root) else Path(file.name)
            digest.update(f"{name.as_posix()}\0{mark[1] if mark else ''}\n".encode())
        return digest.hexdigest()[:_VERSION_DIGITS]


def _root(place: Place, module: ModuleType | None) -> Path:
    if place.is_file:
        return place.file.parent
    top = sys.modules.get(place.module.partition(".")[0])
    file = getattr(top, "__file__", None) or getattr(module, "__file__", None)
    if file is None:
        return Path.cwd()
    return Path(file).resolve().parent.parent if Path(file).name == "__init__.py" else Path(file).resolve().parent


def _is_own(path: Path) -> bool:
    return not _INSTALLED.intersection(path.parts) and not path.is_relative_to(sysconfig.get_path("stdlib"))


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _content(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
