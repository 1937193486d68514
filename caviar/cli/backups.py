"""`caviar db backup`, `caviar db verify` and `caviar db restore`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from caviar.cli import options
from caviar.cli.console import CommandFailed, say, show_note
from caviar.showing import visible

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder that caviar db backup made.")]
_SHOWN = 10


def backup(
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A folder that does not exist yet.")],
    *,
    with_artifacts: Annotated[
        bool, typer.Option("--with-artifacts", help="Copy the files of checkpoints and weights too.")
    ] = False,
    database: options.Database = None,
    artifacts: options.Artifacts = None,
) -> None:
    """Back the database up, of either kind, while the service runs. Any database can be filled from it."""
    settings, store = _places(database, artifacts)
    backing_up = options.optional_module("service.use_cases.backing_up", "service")
    kept = backing_up.back_up(
        settings.database_url, target, store=store if with_artifacts else None, now=datetime.now(UTC)
    )
    _tell_missing(kept.missing, "are not in the artifact store any more, or are damaged there")
    say(f"{target}: {describe(kept)}")


def verify(source: Source) -> None:
    """End with status 1 unless a backup is what was written, to the last byte."""
    backing_up = options.optional_module("service.use_cases.backing_up", "service")
    kept = backing_up.verify(source)
    _tell_missing(kept.missing, "were not to be had when the backup was made")
    say(f"{source} is whole: {describe(kept)}")


def restore(
    source: Source,
    *,
    database: options.Database = None,
    artifacts: options.Artifacts = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let the database hold something; it is replaced, after a question.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Answer the question of --replace with yes.")] = False,
    accept_missing: Annotated[
        bool,
        typer.Option(
            "--accept-missing", help="Go on without files that are neither in the backup nor in the artifact store."
        ),
    ] = False,
) -> None:
    """Fill an empty database, of either kind, from a backup; its studies go on where they stood then."""
    settings, store = _places(database, artifacts)
    restoring = options.optional_module("service.use_cases.restoring", "service")
    engine = options.optional_module("service.store.engine", "service")
    place = engine.parse_url(settings.database_url).render_as_string()
    question = f"Remove everything that {place} holds, and put the backup in its place?"
    if replace and not yes and not typer.confirm(visible(question), err=True):
        raise CommandFailed("nothing was changed")
    done = restoring.restore(
        source, settings.database_url, store=store, is_replacing=replace, accepts_loss=accept_missing
    )
    _tell_missing(done.lost, "are lost; their trials go on from older checkpoints, or from their first epoch")
    if done.former is not None:
        show_note(f"the former database lies at {done.former}; remove it when you do not need it any more")
    say(f"{place} holds {describe(done.manifest)}")
    say(
        f"{done.num_requeued} trials were in training and wait for a worker; {done.num_files} files were put into "
        "the artifact store; what was reported after the backup is gone"
    )


def describe(manifest: Any) -> str:
    """A backup in a line.

    Args:
        manifest: Of the backup.
    """
    rows = manifest.rows
    files = f", {manifest.num_files} files ({manifest.files_bytes:,} bytes)" if manifest.has_files else ""
    return (
        f"{rows.get('studies', 0):,} studies, {rows.get('trials', 0):,} trials, {rows.get('measurements', 0):,} epochs "
        f"as of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC, schema {manifest.revision}, "
        f"{manifest.database_bytes:,} bytes{files}"
    )


def _places(database: str | None, artifacts: str | None) -> tuple[Any, Any]:
    module = options.optional_module("service.settings", "service")
    opening = options.optional_module("service.artifacts.opening", "service")
    given = options.given(database_url=database, artifacts_url=artifacts)
    settings = options.settings(module.ServiceSettings, given)
    return settings, opening.open_store(settings.artifacts_url, drafts=settings.drafts_path)


def _tell_missing(names: list[str], what: str) -> None:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        show_note(f"{len(names)} files {what}: {', '.join(names[:_SHOWN])}{more}")
