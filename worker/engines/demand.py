"""What the service says of its work and of the workers that do it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from caviar.contract.errors import Unavailable, from_problem
from caviar.contract.states import WorkerMode
from caviar.contract.views import Demand, Workers, WorkerView
from worker.api import PREFIX

Answer = TypeVar("Answer", bound=BaseModel)

MEMBER_LABEL = "engine_member"
"""Label by which an engine finds its own among the workers of the service."""


@dataclass(frozen=True)
class Seen:
    """A worker of the engine as the service sees it.

    Attributes:
        name: Its name for people.
        num_slots: Trainings at the same time.
        is_idle: Whether it holds no trial.
    """

    name: str
    num_slots: int
    is_idle: bool


@dataclass(frozen=True)
class Standing:
    """Work and workers at one moment.

    Attributes:
        num_wanted: Trials for the engine's workers: what could be in training, less what others train.
        members: The engine's workers that are alive, by what the engine calls them.
    """

    num_wanted: int
    members: dict[str, Seen]

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do."""
        return self.num_wanted == 0 and all(member.is_idle for member in self.members.values())


class Service:
    """The service, asked for what there is to do and by whom it is done."""

    def __init__(self, client: httpx2.Client) -> None:
        """Talk through a client that knows the address and the token; the caller closes it."""
        self._client = client

    def standing(self, is_ours: Callable[[str], bool]) -> Standing:
        """Work and workers now.

        Args:
            is_ours: Whether the engine knows a member of this id.
        Raises:
            Unavailable: The service does not answer, or not as one of this version does.
            CaviarError: It refuses, such as a token that is not the right one.
        """
        demand = self._get("/workers:demand", Demand)
        members: dict[str, Seen] = {}
        num_elsewhere = 0
        # The newest come first: of a member that was placed anew, the worker of today counts.
        for worker in self._get("/workers", Workers).items:
            member_id = worker.labels.get(MEMBER_LABEL, "")
            if not worker.is_alive:
                continue
            if not is_ours(member_id):
                num_elsewhere += len(worker.running)
            elif member_id not in members:
                members[member_id] = _seen(worker)
        return Standing(max(0, demand.num_wanted - num_elsewhere), members)

    def _get(self, path: str, answer: type[Answer]) -> Answer:
        try:
            response = self._client.get(PREFIX + path)
        except httpx2.RequestError as error:
            raise Unavailable(f"the service cannot be reached: {type(error).__name__}: {error}") from error
        try:
            if response.is_success:
                return answer.model_validate_json(response.content)
            raise from_problem(json.loads(response.content), response.status_code)
        except ValidationError as error:
            raise Unavailable(
                f"the answer from {response.request.url} is no {answer.__name__}; check the address, and that the "
                f"service is of this version: {error.errors(include_url=False, include_input=False)}"
            ) from error
        except json.JSONDecodeError:
            raise from_problem(response.text, response.status_code) from None


def _seen(worker: WorkerView) -> Seen:
    # One that takes nothing new cannot be counted on for what waits.
    num_slots = worker.slots if worker.mode is WorkerMode.WORKING else len(worker.running)
    return Seen(worker.name, num_slots, not worker.running)
