"""A disk that can be filled: a file system in memory, of a size that is taken away and given back."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_PRIVATE = "CAVIAR_CHAOS_MOUNTS"
_SIZE = "2g"
# Mounts of a namespace of its own end with its last process, however that ends, and nobody else sees them.
_AS_ROOT = ("unshare", "--mount")
_AS_USER = ("unshare", "--user", "--map-current-user", "--keep-caps", "--mount")


def _unshare() -> Sequence[str]:
    return _AS_ROOT if os.geteuid() == 0 else _AS_USER


def can_mount() -> bool:
    """Whether this user may mount a file system in a namespace of its own."""
    with tempfile.TemporaryDirectory() as place:
        command = [*_unshare(), "mount", "-t", "tmpfs", "tmpfs", place]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False


def enter_namespace(module: str, arguments: Sequence[str]) -> None:
    """Go on as the same module in a namespace of its own; returns at once if this is one."""
    if os.environ.get(_PRIVATE) == "yes":
        return
    command = [*_unshare(), sys.executable, "-m", module, *arguments]
    sys.stdout.flush()
    os.execvpe(command[0], command, {**os.environ, _PRIVATE: "yes"})


class Disk:
    """A folder on a file system of its own, in a namespace that `enter_namespace` has made.

    Attributes:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        """Make the folder; without a mount it is an ordinary one, which cannot be filled."""
        self.folder = folder
        folder.mkdir()
        if is_mounted:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0755", "tmpfs", folder],
                check=True,
                capture_output=True,
            )

    def fill(self) -> None:
        """Leave no byte free: from here on whatever needs room is told that there is none."""
        stat = os.statvfs(self.folder)
        used_bytes = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
        self._resize(str(max(used_bytes, stat.f_frsize)))

    def free(self) -> None:
        """Give the room back."""
        self._resize(_SIZE)

    def _resize(self, size: str) -> None:
        command = ["mount", "-o", f"remount,size={size}", str(self.folder)]
        # Somebody may take more between the look and the mount, which then fails: the disk was not full yet.
        subprocess.run(command, check=False, capture_output=True)
