"""Where checkpoints lie: a folder for each service, shared by the workers of a machine, and in it one for each trial.

Importing this module does not load NumPy, so the supervising process stays light.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from caviar.contract.messages import MAX_CHECKPOINTS, Assignment

_log = structlog.get_logger(__name__)

_OWN = {"study", "trial_id", "params", "seed", "data_seed", "objective"}


@dataclass(frozen=True)
class Shelf:
    """The checkpoints of one service.

    Attributes:
        folder: Need not exist yet.
    """

    folder: Path

    def path(self, trial_id: int, epoch: int) -> Path:
        """The file of a trial's checkpoint after an epoch."""
        return self.folder / str(trial_id) / f"epoch-{epoch:07d}.npz"

    def trials(self) -> list[int]:
        """Trials that have checkpoints here, at most so many as fit into a heartbeat."""
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            _log.warning("checkpoints_not_listed", folder=str(self.folder), detail=str(error))
            return []
        return sorted(int(name) for name in names if name.isdecimal())[:MAX_CHECKPOINTS]

    def discard(self, trial_ids: Iterable[int]) -> None:
        """Remove all checkpoints of these trials; nothing happens to trials that have none."""
        for trial_id in trial_ids:
            try:
                shutil.rmtree(self.folder / str(trial_id))
            except FileNotFoundError:
                # Another worker of this machine removes it, or has done so.
                continue
            except OSError as error:
                _log.warning("checkpoint_not_removed", trial_id=trial_id, detail=str(error))


def shelf_of(root: Path, url: str) -> Shelf:
    """The checkpoints of the service at this address.

    Args:
        root: Folder of the checkpoints of all services.
        url: Trial ids are unique only within a service, which is known by its address as the operator writes it.
    """
    address = url.rstrip("/").lower()
    digest = hashlib.sha256(address.encode()).hexdigest()[:12]
    readable = re.sub(r"[^a-z0-9.]+", "-", address.partition("://")[2])[:60].strip("-.")
    return Shelf(root / f"{readable}-{digest}")


def identity(assignment: Assignment) -> str:
    """A digest of what makes a trial this one and no other, the same for all of its attempts."""
    own = assignment.model_dump(mode="json", include=_OWN)
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
