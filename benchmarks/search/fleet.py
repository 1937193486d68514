"""Slots that train one after the other, an epoch at a time, without training anything."""

from __future__ import annotations

import time

from benchmarks.search.in_process import InProcess
from caviar.contract.messages import Assignment
from caviar.contract.states import Decision

_GOLDEN = 0.6180339887


class Fleet:
    """Slots that always have a trial, and the CPU time of the claims that gave them new configurations.

    Attributes:
        proposed_s: CPU seconds, all threads together, of each claim that was answered with a new configuration.
    """

    def __init__(self, service: InProcess, num_slots: int) -> None:
        """Fill all slots.

        Args:
            service: Has a study whose budget will not be spent.
            num_slots: Trials that run at the same time.
        """
        self.proposed_s: list[float] = []
        self._service = service
        self._slots: list[tuple[Assignment, int]] = []
        self._turn = 0
        while len(self._slots) < num_slots:
            assignment = self._claim()
            self._slots.append((assignment, assignment.first_epoch))

    def step(self) -> None:
        """Train an epoch in the slot whose turn it is; a trial that ends or pauses makes room for the next one."""
        assignment, epoch = self._slots[self._turn]
        self._service.clock.advance(1.0)
        # Spread evenly over what the trials before have reached.
        value = (assignment.number * _GOLDEN) % 1 + 1 / epoch
        decision = self._service.report(assignment, epoch, value, elapsed_s=float(epoch))
        if decision is Decision.CONTINUE and epoch == assignment.max_epochs:
            self._service.finish(assignment)
        if decision is not Decision.CONTINUE or epoch == assignment.max_epochs:
            assignment = self._claim()
            epoch = assignment.first_epoch - 1
        self._slots[self._turn] = assignment, epoch + 1
        self._turn = (self._turn + 1) % len(self._slots)

    def _claim(self) -> Assignment:
        started = time.process_time()
        assignment = self._service.claim()
        spent = time.process_time() - started
        if assignment is None:
            raise RuntimeError("the service has no work; give the study a larger budget")
        if assignment.first_epoch == 1:
            self.proposed_s.append(spent)
        return assignment
