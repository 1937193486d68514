"""What a backup says of itself, under a seal that a damaged one does not keep."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from caviar.contract.errors import CaviarError, FieldError

FORMAT = 1
"""Of the backups that this version writes, and the newest that it reads."""


class BackupDamaged(CaviarError):
    """A backup is not what was written, or is none."""

    code, status, title = "backup_damaged", 422, "Backup damaged"


class Manifest(BaseModel):
    """The content of a backup, written last.

    Attributes:
        format: Of the backup's folder.
        caviar: Version that wrote it.
        revision: Schema of the database.
        taken_at: Everything that was committed before is in it.
        source: Kind of the database that it was made of.
        database_bytes: Size of the file with all rows.
        database_sha256: Its digest, in hexadecimal digits.
        rows: Rows by table.
        has_files: Whether it holds the files of the artifact store too.
        num_files: How many it holds.
        files_bytes: Their size together.
        missing: Names of files that the rows tell of and that were not in the store, or were damaged there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    caviar: str
    revision: str
    taken_at: AwareDatetime
    source: str
    database_bytes: int = Field(ge=0)
    database_sha256: str
    rows: dict[str, int]
    has_files: bool = False
    num_files: int = 0
    files_bytes: int = 0
    missing: list[str] = Field(default_factory=list)

    def sealed(self) -> str:
        """The manifest as it is stored, with the digest of its content."""
        body = self.model_dump(mode="json")
        return json.dumps({**body, "seal": _seal(body)}, indent=2) + "\n"


def read(text: str) -> Manifest:
    """The manifest of a stored text.

    Raises:
        BackupDamaged: It is none, its seal does not fit, or a newer version wrote it.
    """
    try:
        body = json.loads(text)
    except ValueError as error:
        raise BackupDamaged(f"the manifest of the backup is no JSON ({error})") from error
    if not isinstance(body, dict) or "seal" not in body:
        raise BackupDamaged("the manifest of the backup is cut off: it has no seal")
    if isinstance(body.get("format"), int) and body["format"] > FORMAT:
        field = FieldError(field="format", received=body["format"], expected=f"{FORMAT} or lower")
        raise BackupDamaged("a newer version of Caviar has written this backup; restore it with that", errors=[field])
    seal = body.pop("seal")
    if seal != _seal(body):
        raise BackupDamaged("the manifest of the backup was changed after it was written: its seal does not fit")
    try:
        return Manifest.model_validate(body)
    except ValidationError as error:
        raise BackupDamaged(f"the manifest of the backup cannot be read: {error.errors()[0]['msg']}") from error


def _seal(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def age_s(manifest: Manifest, now: datetime) -> float:
    """Seconds since a backup was begun: what was acknowledged since then is not in it."""
    return max(0.0, (now - manifest.taken_at).total_seconds())
