"""A thin typed client of the worker wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from caviar.contract.errors import CaviarError, Forbidden, RequestError, Unauthorized, Unavailable, from_problem
from caviar.contract.messages import (
    Claim,
    Claimed,
    Finish,
    Heartbeat,
    HeartbeatAnswer,
    RegisterWorker,
    Release,
    Report,
    ReportAnswer,
    TrialStatus,
    WorkerRegistered,
)
from caviar.contract.views import ArtifactView
from worker.line import Line, LineError, Reply

Answer = TypeVar("Answer", bound=BaseModel)

RETRIED = (Unavailable, Unauthorized, Forbidden)
"""Not the request is at fault: it is repeated until the service is back, or the operator has mended the token."""

PREFIX = "/api/v1"
_PATIENCE_S = 15.0
# The service has a whole file to put on its disk, or to fetch from far away, before it answers.
_FILE_PATIENCE_S = 120.0
_SUCCESS, _REDIRECTION, _SERVER_ERROR = 200, 300, 500
_NO_ROOM, _GATEWAY_TIMEOUT = 507, 504
_CHUNK_BYTES = 1 << 20


class BrokenOff(Unavailable):
    """The service took the beginning of a file and then nothing more: it may be away, or refuse files of this size."""

    code = "broken_off"


class WorkerApi:
    """What a worker asks of the service, one method per route; any number of threads may share it.

    Every method raises the error that the service's problem body describes, and `Unavailable` when the service cannot
    be reached, answers with a status of 500 or more, or does not answer as a Caviar service does.
    """

    def __init__(self, client: httpx2.Client, line: Line | None = None) -> None:
        """Talk through a client that knows the address and the token.

        Args:
            client: Its connections are kept alive and reused; the caller closes it.
            line: Takes all but the files, where it can reach the service; the caller closes it too.
        """
        self._client = client
        self._line = line

    def register(self, body: RegisterWorker) -> WorkerRegistered:
        """Make the worker and what it can train known."""
        return self._post("/workers", body, WorkerRegistered)

    def claim(self, worker_id: str, body: Claim) -> Claimed:
        """Ask for trials; waits up to `body.wait_s` for work.

        Raises:
            NotFound: The service knows no such worker (404): register again.
        """
        return self._post(f"/workers/{worker_id}:claim", body, Claimed, wait_s=body.wait_s)

    def heartbeat(self, worker_id: str, body: Heartbeat) -> HeartbeatAnswer:
        """Renew the leases.

        Raises:
            NotFound: The service knows no such worker (404): register again.
        """
        return self._post(f"/workers/{worker_id}:heartbeat", body, HeartbeatAnswer)

    def report(self, body: Report) -> ReportAnswer:
        """Deliver measurements of any number of trials.

        Raises:
            CaviarError: All items were refused; the error is that of the first.
        """
        return self._post("/measurements", body, ReportAnswer)

    def finish(self, trial_id: int, body: Finish) -> TrialStatus:
        """Say how a training ended.

        Raises:
            LeaseLost: The trial is no longer this worker's (410).
        """
        return self._post(f"/trials/{trial_id}:finish", body, TrialStatus)

    def release(self, trial_id: int, body: Release) -> TrialStatus:
        """Give a trial back without charging its attempt.

        Raises:
            LeaseLost: The trial is no longer this worker's (410).
        """
        return self._post(f"/trials/{trial_id}:release", body, TrialStatus)

    def upload_checkpoint(self, trial_id: int, epoch: int, lease: str, file: IO[bytes], sha256: str) -> ArtifactView:
        """Send the file of a checkpoint.

        Args:
            trial_id: Of which trial.
            epoch: The last epoch that it holds.
            lease: Token of the trial.
            file: At its beginning; it is sent piece by piece.
            sha256: Digest of all that is in it.
        Raises:
            LeaseLost: The trial is no longer this worker's (410).
            BrokenOff: The connection ended before its end.
            RequestError: The service will not take it: it is too large (413), there is no room (507), or else.
        """
        headers = {"Caviar-Lease": lease, "Caviar-SHA256": sha256}
        return self._put(f"/trials/{trial_id}/checkpoints/{epoch}", file, headers)

    def upload_weights(self, trial_id: int, epoch: int, lease: str, file: IO[bytes], sha256: str) -> ArtifactView:
        """Send the weights of the best epoch of a trial, which may be over.

        Args:
            trial_id: Of which trial.
            epoch: Whose weights they are.
            lease: Token of the newest attempt.
            file: At its beginning; it is sent piece by piece.
            sha256: Digest of all that is in it.
        Raises:
            LeaseLost: The trial has been given to another worker (410).
            BrokenOff: The connection ended before their end.
            RequestError: The service will not take them: they are too large (413), there is no room (507), or else.
        """
        headers = {"Caviar-Lease": lease, "Caviar-SHA256": sha256, "Caviar-Epoch": str(epoch)}
        return self._put(f"/trials/{trial_id}/weights", file, headers)

    @contextmanager
    def checkpoint(self, trial_id: int, epoch: int, lease: str) -> Iterator[Iterator[bytes]]:
        """The file of a checkpoint, piece by piece, for the time of a block.

        Raises:
            NotFound: The service has none (404).
            LeaseLost: The trial is no longer this worker's (410).
        """
        url = f"{PREFIX}/trials/{trial_id}/checkpoints/{epoch}"
        timeout = httpx2.Timeout(_FILE_PATIENCE_S, connect=5.0)
        # The digest is that of the file as it is.
        headers = {"Caviar-Lease": lease, "Accept-Encoding": "identity"}
        try:
            with self._client.stream(
                "GET", url, headers=headers, extensions={"timeout": timeout.as_dict()}
            ) as response:
                if not response.is_success:
                    response.read()
                    raise _refusal(_reply(response))
                yield response.iter_raw(_CHUNK_BYTES)
        except httpx2.RequestError as error:
            raise _unreachable(error) from error

    def _put(self, path: str, file: IO[bytes], headers: dict[str, str]) -> ArtifactView:
        timeout = httpx2.Timeout(_FILE_PATIENCE_S, connect=5.0, write=_PATIENCE_S)
        sent = {**headers, "Content-Type": "application/octet-stream"}
        try:
            # The length of a real file goes ahead of it by itself.
            response = self._client.put(
                PREFIX + path, content=file, headers=sent, extensions={"timeout": timeout.as_dict()}
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise _unreachable(error) from error
        except httpx2.RequestError as error:
            raise BrokenOff(f"the connection broke off: {type(error).__name__}: {error}") from error
        reply = _reply(response)
        if response.is_success:
            return _understood(reply, ArtifactView, self._client.base_url)
        if response.status_code == _GATEWAY_TIMEOUT:
            raise BrokenOff("a proxy did not wait for the end of the upload (504)")
        if response.status_code == _NO_ROOM:
            raise RequestError(f"the service has no room: {_refusal(reply).detail}")
        raise _refusal(reply)

    def _post(self, path: str, body: BaseModel, answer: type[Answer], *, wait_s: float = 0.0) -> Answer:
        sent = body.model_dump_json().encode()
        reply = self._sent(PREFIX + path, sent, wait_s + _PATIENCE_S)
        if _SUCCESS <= reply.status < _REDIRECTION:
            return _understood(reply, answer, self._client.base_url)
        raise _refusal(reply)

    def _sent(self, path: str, body: bytes, patience_s: float) -> Reply:
        if self._line is not None:
            try:
                return self._line.post(path, body, patience_s=patience_s)
            except LineError as error:
                raise Unavailable(f"the service cannot be reached: {error}") from error
        timeout = httpx2.Timeout(_PATIENCE_S, connect=5.0, read=patience_s)
        try:
            response = self._client.post(
                path,
                content=body,
                headers={"Content-Type": "application/json"},
                extensions={"timeout": timeout.as_dict()},
            )
        except httpx2.RequestError as error:
            raise _unreachable(error) from error
        return _reply(response)


def _reply(response: httpx2.Response) -> Reply:
    return Reply(response.status_code, response.content, response.headers.get("retry-after"))


def _unreachable(error: httpx2.RequestError) -> Unavailable:
    return Unavailable(f"the service cannot be reached: {type(error).__name__}: {error}")


def _understood(reply: Reply, answer: type[Answer], origin: httpx2.URL) -> Answer:
    try:
        return answer.model_validate_json(reply.content)
    except ValidationError as error:
        raise Unavailable(
            f"received an answer that is no {answer.__name__} from {origin}, expected one of a Caviar "
            f"service; check the address: {error.errors(include_url=False, include_input=False)}"
        ) from error


def _refusal(reply: Reply) -> CaviarError:
    try:
        body: Any = json.loads(reply.content)
    except ValueError:
        body = reply.content.decode(errors="replace")
    error = from_problem(body, reply.status, reply.retry_after)
    # Even an answer of ours that blames itself may turn out well the next time.
    if reply.status >= _SERVER_ERROR:
        return Unavailable(f"status {reply.status}: {error.detail}", errors=error.errors)
    return error
