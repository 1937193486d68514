"""Removing files that nobody needs from the artifact store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import islice

from caviar.contract.errors import Unavailable
from service.artifacts.store import StoredFile
from service.store import artifacts
from service.store.transaction import Record
from service.use_cases.keeping import Keeper

# A download that has begun goes on meanwhile.
_GRACE = timedelta(seconds=60)
# An upload takes less, so what has no row by then was left behind by a crash.
_ORPHAN_AGE = timedelta(days=1)
_PORTION = 100


async def remove_doomed(keeper: Keeper) -> int:
    """Remove the files that were given up a minute ago, then their rows; what fails is tried again the next time.

    Returns:
        How many files were removed.
    Raises:
        Unavailable: The database does not answer.
    """
    num_removed, after = 0, 0
    while rows := await keeper.run(_doomed, keeper, after):
        after = rows[-1].id
        gone = [row.id for row in rows if await _is_removed(keeper, row.name)]
        if gone:
            await keeper.service.submit(partial(artifacts.remove, artifact_ids=gone))
        num_removed += len(gone)
    return num_removed


def _doomed(keeper: Keeper, after: int) -> list[Record]:
    with keeper.service.reading() as tx:
        return list(artifacts.doomed(tx, until=tx.now - _GRACE, after=after, limit=_PORTION))


async def remove_orphans(keeper: Keeper) -> int:
    """Remove the files of this service that are a day old and that no row tells of.

    Returns:
        How many files were removed.
    Raises:
        Unavailable: The store or the database does not answer.
    """
    num_removed = 0
    files = keeper.store.files(keeper.prefix)
    while (names := await keeper.run(_orphans, keeper, files)) is not None:
        for name in names:
            num_removed += await _is_removed(keeper, name)
    return num_removed


def _orphans(keeper: Keeper, files: Iterator[StoredFile]) -> list[str] | None:
    portion = list(islice(files, _PORTION))
    if not portion:
        return None
    until = keeper.service.clock() - _ORPHAN_AGE
    old = [file.name for file in portion if file.modified_at is not None and file.modified_at <= until]
    with keeper.service.reading() as tx:
        return artifacts.unknown(tx, old)


async def _is_removed(keeper: Keeper, name: str) -> bool:
    try:
        await keeper.run(keeper.store.remove, name)
    except Unavailable:  # The store has logged why.
        return False
    return True
