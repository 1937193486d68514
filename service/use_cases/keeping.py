"""Storing files of trials and handing them out: whole, checked by their digest, and never all of one in memory."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import structlog

from caviar.contract.errors import (
    CaviarError,
    FieldError,
    InvalidRequest,
    LeaseLost,
    NotFound,
    StateConflict,
    TooLarge,
    Unavailable,
)
from caviar.contract.states import TrialState
from caviar.contract.views import ArtifactView
from service.artifacts.store import CHUNK_BYTES, ArtifactMissing, ArtifactStore, Draft
from service.domain.principal import Principal
from service.store import artifacts, leases, studies
from service.store.artifacts import CHECKPOINT, WEIGHTS
from service.store.transaction import Record, Transaction
from service.use_cases import access, reading, retention
from service.use_cases.service import Service
from service.use_cases.specs import parsed

T = TypeVar("T")
_log = structlog.get_logger(__name__)
# Threads that wait for the store, apart from those that proposals and pages need.
_NUM_THREADS = 8
# Who is refused has mostly sent the file already, and hears the answer only once somebody has taken it.
_DRAINED_BYTES = 32 * CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that a worker announces.

    Attributes:
        trial_id: The trial.
        kind: What it is.
        epoch: The last epoch that it holds.
        lease: Token of the attempt that made it.
        sha256: Its digest, in hexadecimal digits.
        size_bytes: Its size; None if the worker does not know it yet.
    """

    trial_id: int
    kind: Literal["checkpoint", "weights"]
    epoch: int
    lease: str
    sha256: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file on its way out.

    Attributes:
        view: What it is.
        portions: Its content.
    """

    view: ArtifactView
    portions: AsyncIterator[bytes]


class Keeper:
    """Stores and hands out the files of trials."""

    def __init__(self, service: Service, store: ArtifactStore, *, max_bytes: int) -> None:
        """Join the rows of a service and the files of a store.

        Args:
            service: Holds the rows.
            store: Holds the files.
            max_bytes: How large one may be.
        """
        self.service = service
        self.store = store
        self._max_bytes = max_bytes
        self._prefix = artifacts.prefix(service.engine)
        self._threads = ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="caviar-artifacts")

    def acting_for(self, actor: Principal) -> Keeper:
        """The same keeper, for somebody who acts."""
        view = copy.copy(self)
        view.service = self.service.acting_for(actor)
        return view

    @property
    def prefix(self) -> str:
        """What the names of this service's files begin with."""
        return self._prefix

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown()

    async def run(self, step: Callable[..., T], *arguments: Any) -> T:
        """Let a thread do what waits for the store or the database."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, step, *arguments)

    async def keep(self, incoming: Incoming, body: AsyncIterator[bytes]) -> tuple[ArtifactView, bool]:
        """Store a file. The same one again changes nothing.

        Args:
            incoming: What it is.
            body: Its content.
        Returns:
            What is stored, and whether it was not before.
        Raises:
            LeaseLost: The token is not, or no longer, one that may store this (410).
            NotFound: There is no such trial (404).
            StateConflict: These weights are not among those that the study keeps (409).
            TooLarge: It has more bytes than are allowed (413).
            InvalidRequest: Its content does not fit its digest, or its epoch its attempt (422).
            StorageFull: The store has no room for it (507).
            Unavailable: The store or the database does not answer (503).
        """
        try:
            self._check_size(incoming.size_bytes or 0)
            found = await self.run(self._look_up, incoming)
        except CaviarError:
            await _drain(body)
            raise
        if found is not None:
            await _drain(body)
            return found, False
        name = f"{self._prefix}t{incoming.trial_id}-{incoming.kind}-e{incoming.epoch}-{secrets.token_hex(8)}"
        size_bytes = await self._receive(name, incoming, body)
        try:
            view, is_new = await self.service.submit(partial(_record, incoming=incoming, name=name, size=size_bytes))
        except (LeaseLost, NotFound, InvalidRequest, StateConflict):
            await self.run(self.store.remove, name)
            raise
        if not is_new:
            await self.run(self.store.remove, name)
        return view, is_new

    async def _receive(self, name: str, incoming: Incoming, body: AsyncIterator[bytes]) -> int:
        try:
            upload = _Upload(await self.run(self.store.begin, name, incoming.size_bytes))
        except CaviarError:
            await _drain(body)
            raise
        try:
            async for portion in _portions(body):
                await self.run(upload.add, portion)
                self._check_size(upload.size_bytes)
            _check_content(incoming, upload)
            await self.run(upload.keep)
        except CaviarError:
            await self.run(upload.discard)
            await _drain(body)
            raise
        except BaseException:
            # The worker hung up, or the service ends.
            await self.run(upload.discard)
            raise
        return upload.size_bytes

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise TooLarge(
                f"received {size_bytes} bytes or more, but a file may have {self._max_bytes}; "
                "the operator can allow more by CAVIAR_MAX_ARTIFACT_BYTES"
            )

    def _look_up(self, incoming: Incoming) -> ArtifactView | None:
        with self.service.reading() as tx:
            trial = access.leased_trial(tx, incoming.trial_id)
            _check_right(tx, trial, incoming)
            found = _stored(tx, incoming)
            return None if found is None else reading.artifact(found)

    async def checkpoint(self, trial_id: int, epoch: int, lease: str | None) -> Outgoing:
        """The newest checkpoint of an epoch, for the worker that holds the trial, or for a person.

        Args:
            trial_id: The trial.
            epoch: The last epoch that it holds.
            lease: Token of the worker; None for a person, who holds no trial.
        Raises:
            LeaseLost: The token is not the trial's current one (410).
            NotFound: There is no such trial, or no such file (any more) (404).
            Unavailable: The store or the database does not answer (503).
        """

        def find(tx: Transaction) -> Record | None:
            if lease is None:
                access.trial(tx, trial_id)
            else:
                _current_attempt(tx, access.leased_trial(tx, trial_id), lease)
            return artifacts.newest(tx, trial_id, CHECKPOINT, epoch=epoch)

        missing = f"the service keeps no checkpoint of epoch {epoch} of trial {trial_id}; release it as missing"
        return await self._open(find, missing)

    async def weights(self, trial_id: int) -> Outgoing:
        """The weights of a trial's best epoch.

        Raises:
            NotFound: There is no such trial, or its weights are not kept (404).
            Unavailable: The store or the database does not answer (503).
        """

        def find(tx: Transaction) -> Record | None:
            access.trial(tx, trial_id)
            return artifacts.newest(tx, trial_id, WEIGHTS)

        missing = f"the service keeps no weights of trial {trial_id}, only those of the best trials of a study"
        return await self._open(find, missing)

    async def _open(self, find: Callable[[Transaction], Record | None], missing: str) -> Outgoing:
        row = await self.run(self._find, find)
        if row is None:
            raise NotFound(missing)
        try:
            size_bytes = await self.run(self.store.size_bytes, row.name)
        except ArtifactMissing:
            size_bytes = None
        if size_bytes != row.size_bytes:
            await self._give_up(row, found_bytes=size_bytes)
            raise NotFound(missing)
        return Outgoing(reading.artifact(row), self._sent(row))

    def _find(self, find: Callable[[Transaction], Record | None]) -> Record | None:
        with self.service.reading() as tx:
            return find(tx)

    async def _sent(self, row: Record) -> AsyncIterator[bytes]:
        digest = hashlib.sha256()
        portions = self.store.read(row.name)
        # One portion is held back, so that a damaged file never arrives as a whole one.
        held = b""
        try:
            while portion := await self.run(_next_portion, portions):
                if held:
                    yield held
                held = portion
                await self.run(digest.update, portion)
        except ArtifactMissing:
            held = b""
        if digest.hexdigest() != row.sha256:
            await self._give_up(row, found_bytes=None)
            raise Unavailable(f"the file {row.name} is damaged")
        yield held

    async def _give_up(self, row: Record, *, found_bytes: int | None) -> None:
        _log.error("artifacts.damaged", name=row.name, size_bytes=row.size_bytes, found_bytes=found_bytes)
        await self.service.submit(lambda tx: artifacts.doom(tx, row.id))


class _Upload:
    """A draft with the digest of what was written to it."""

    def __init__(self, draft: Draft) -> None:
        self.size_bytes = 0
        self._draft = draft
        self._digest = hashlib.sha256()
        # A request that is given up may still be writing when its draft is to go.
        self._lock = threading.Lock()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, data: bytes) -> None:
        with self._lock:
            self._draft.write(data)
            self._digest.update(data)
            self.size_bytes += len(data)

    def keep(self) -> None:
        with self._lock:
            self._draft.keep()

    def discard(self) -> None:
        with self._lock:
            self._draft.discard()


def _check_content(incoming: Incoming, upload: _Upload) -> None:
    if upload.size_bytes == 0:
        field = FieldError(field="", received="0 bytes", expected="the content of a file")
        raise InvalidRequest("the file is empty", errors=[field])
    if upload.sha256 != incoming.sha256:
        expected = f"{upload.sha256}, the digest of the {upload.size_bytes} bytes that came; send the file again"
        field = FieldError(field="Caviar-SHA256", received=incoming.sha256, expected=expected)
        raise InvalidRequest("the file was damaged on its way; nothing was stored", errors=[field])


def _record(tx: Transaction, *, incoming: Incoming, name: str, size: int) -> tuple[ArtifactView, bool]:
    trial = access.leased_trial(tx, incoming.trial_id)
    attempt = _check_right(tx, trial, incoming)
    found = _stored(tx, incoming)
    if found is not None:
        return reading.artifact(found), False
    row = artifacts.add(
        tx,
        trial=trial,
        kind=incoming.kind,
        attempt=attempt.attempt,
        epoch=incoming.epoch,
        name=name,
        size_bytes=size,
        sha256=incoming.sha256,
    )
    study = studies.by_id(tx, trial.study_id)
    if incoming.kind == WEIGHTS and study is not None:
        retention.make_room(tx, study.id, parsed(study.spec_text))
    return reading.artifact(row), True


def _stored(tx: Transaction, incoming: Incoming) -> Record | None:
    found = artifacts.newest(tx, incoming.trial_id, incoming.kind, epoch=incoming.epoch)
    return found if found is not None and found.sha256 == incoming.sha256 else None


def _check_right(tx: Transaction, trial: Record, incoming: Incoming) -> Record:
    if incoming.kind == CHECKPOINT:
        attempt = _current_attempt(tx, trial, incoming.lease)
        if incoming.epoch < attempt.first_epoch:
            field = FieldError(
                field="epoch", received=incoming.epoch, expected=f"{attempt.first_epoch} or later, where it began"
            )
            raise InvalidRequest(
                f"epoch {incoming.epoch} of trial {trial.id} belongs to an earlier attempt", errors=[field]
            )
        return attempt
    attempt = _newest_attempt(tx, trial, incoming.lease)
    _check_weights(tx, trial, incoming)
    return attempt


def _check_weights(tx: Transaction, trial: Record, incoming: Incoming) -> None:
    if incoming.epoch > trial.num_epochs:
        field = FieldError(
            field="Caviar-Epoch",
            received=incoming.epoch,
            expected=f"at most {trial.num_epochs}, the last epoch that was reported; report first, then store",
        )
        raise InvalidRequest(f"epoch {incoming.epoch} of trial {trial.id} was not reported", errors=[field])
    study = studies.by_id(tx, trial.study_id)
    if study is None or not retention.is_among_best(tx, trial, parsed(study.spec_text)):
        raise StateConflict(f"trial {trial.id} is not among the trials of its study whose weights are kept")


def _current_attempt(tx: Transaction, trial: Record, lease: str) -> Record:
    attempt = leases.attempt_of_token(tx, trial.id, lease)
    if attempt is None or attempt.ended_at is not None:
        raise _lost(trial)
    return attempt


def _newest_attempt(tx: Transaction, trial: Record, lease: str) -> Record:
    # What a trial that has ended will not train again may still come, unlike that of one that waits.
    attempt = leases.attempt_of_token(tx, trial.id, lease)
    may_come = attempt is not None and attempt.attempt == trial.attempt
    if attempt is None or not may_come or (attempt.ended_at is not None and not TrialState(trial.state).is_finished):
        raise _lost(trial)
    return attempt


def _lost(trial: Record) -> LeaseLost:
    return LeaseLost(f"the lease of trial {trial.id} is not its current one; drop this run, nothing was changed")


async def _portions(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    # A server hands on what the network brings, mostly a few thousand bytes.
    held = bytearray()
    async for data in body:
        held += data
        if len(held) >= CHUNK_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _drain(body: AsyncIterator[bytes]) -> None:
    left = _DRAINED_BYTES
    async for data in body:
        left -= len(data)
        if left < 0:
            return


def _next_portion(portions: Iterator[bytes]) -> bytes:
    return next(portions, b"")
