"""Sets known by name: those shipped with scikit-learn, and those that Keras downloads."""

from __future__ import annotations

import fcntl
import importlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from caviar.contract.data import DATASETS
from worker.data.errors import DataError
from worker.data.table import Table, table

_SHIPPED = ", ".join(name for name, facts in DATASETS.items() if facts.source == "scikit-learn")


def load(name: str) -> Table:
    """Load a set by its name.

    Args:
        name: A key of `DATASETS`.
    Raises:
        DataError: It cannot be downloaded.
    """
    return _load_shipped(name) if DATASETS[name].source == "scikit-learn" else _load_downloaded(name)


def _load_shipped(name: str) -> Table:
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return table(name, x, y)


def _load_downloaded(name: str) -> Table:
    with _alone():
        (x, y), (x_test, y_test) = _download(name)
    return table(name, np.concatenate([x, x_test]), np.concatenate([y, y_test]), num_test=len(x_test))


def _download(name: str) -> Any:
    loader = importlib.import_module(f"keras.datasets.{name}")
    try:
        return loader.load_data()
    except Exception as error:
        # Keras raises a bare Exception when a download fails, and ValueError when what came is incomplete.
        if type(error) is not Exception and not isinstance(error, (OSError, ValueError)):
            raise
        raise DataError(
            f"{name} could not be downloaded by Keras: {error}. Connect the worker to the internet once, or put the "
            f"file into {_keras_home() / 'datasets'}, or use a set that is shipped: {_SHIPPED}"
        ) from error


@contextmanager
def _alone() -> Iterator[None]:
    # Keras downloads straight into the final file: two slots that begin at once would spoil each other's.
    home = _keras_home()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "caviar.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _keras_home() -> Path:
    # Where Keras itself looks, which is no public name of it.
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    parent = home if home.exists() else home.parent
    return home if os.access(parent, os.W_OK) else Path(tempfile.gettempdir()) / ".keras"
