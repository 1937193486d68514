"""Import the file or the module that an operator names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from worker.objectives.errors import LoadError


@dataclass(frozen=True)
class Place:
    """Where objectives are: `path/to/file.py` or `package.module`, each with `:name` for one of them only.

    Attributes:
        module: Path of the file or name of the module.
        name: What stands after the colon; empty for all objectives of the module.
    """

    module: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether it is a file rather than the name of a module."""
        return self.module.endswith(".py")

    @property
    def file(self) -> Path:
        """The path of the file."""
        return Path(self.module).expanduser().resolve()


def divide(spec: str) -> Place:
    """Tell the module from the name after the colon."""
    # A colon is part of some paths, so only one in front of a Python name divides.
    before, colon, after = spec.rpartition(":")
    return Place(before, after) if colon and after.isidentifier() else Place(spec, "")


def import_place(place: Place) -> ModuleType:
    """The module, imported now or before.

    The folder of a file, or the working directory for a module, is put on Python's path, as for `python file.py`.

    Raises:
        LoadError: There is no such file or module, or it cannot be imported; the cause is what it raised.
    """
    return _import_file(place.file) if place.is_file else _import_module(place.module)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise LoadError(f"no file {path}, expected the path of a Python file")
    _put_on_path(path.parent)
    # Two files may have the same name; the folder tells them apart, and a second load finds the first.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"caviar_objectives_{digest}_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    if name in sys.modules:
        return sys.modules[name]
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise LoadError(f"{path} cannot be imported as Python code")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, Exception):
            raise LoadError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
        raise
    return module


def _import_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise LoadError(f"{name!r} is neither the path of a .py file nor the name of a module")
    _put_on_path(Path.cwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise LoadError(f"module {name} cannot be imported: {type(error).__name__}: {error}") from error


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
