"""A thin typed client of the worker wire."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from caviar.contract.errors import CaviarError, Unavailable, from_problem
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

Answer = TypeVar("Answer", bound=BaseModel)

PREFIX = "/api/v1"
_PATIENCE_S = 15.0


class WorkerApi:
    """What a worker asks of the service, one method per route; any number of threads may share it.

    Every method raises the error that the service's problem body describes, and `Unavailable` when the service cannot
    be reached, answers with a status of 500 or more, or does not answer as a Caviar service does.
    """

    def __init__(self, client: httpx2.Client) -> None:
        """Talk through a client that knows the address and the token.

        Args:
            client: Its connections are kept alive and reused; the caller closes it.
        """
        self._client = client

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

    def _post(self, path: str, body: BaseModel, answer: type[Answer], *, wait_s: float = 0.0) -> Answer:
        timeout = httpx2.Timeout(_PATIENCE_S, connect=5.0, read=wait_s + _PATIENCE_S)
        try:
            response = self._client.post(
                PREFIX + path,
                content=body.model_dump_json(),
                headers={"Content-Type": "application/json"},
                extensions={"timeout": timeout.as_dict()},
            )
        except httpx2.RequestError as error:
            raise Unavailable(f"the service cannot be reached: {type(error).__name__}: {error}") from error
        if response.is_success:
            return _understood(response, answer)
        raise _refusal(response)


def _understood(response: httpx2.Response, answer: type[Answer]) -> Answer:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise Unavailable(
            f"received an answer that is no {answer.__name__} from {response.request.url}, expected one of a Caviar "
            f"service; check the address: {error.errors(include_url=False, include_input=False)}"
        ) from error


def _refusal(response: httpx2.Response) -> CaviarError:
    try:
        body: Any = json.loads(response.content)
    except ValueError:
        body = response.text
    error = from_problem(body, response.status_code)
    # Even an answer of ours that blames itself may turn out well the next time.
    if response.status_code >= 500:
        return Unavailable(f"status {response.status_code}: {error.detail}", errors=error.errors)
    return error
