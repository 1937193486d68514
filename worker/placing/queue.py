"""Trainings that wait: since when, and for which device."""

from __future__ import annotations

from collections.abc import Callable

from worker.placing.reservations import Reservations


class Queue:
    """Who was asked for and not placed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with nobody.

        Args:
            clock: Seconds of a monotonic clock.
        """
        self._clock = clock
        self._since: dict[str, float] = {}
        self._turns: dict[str, float] = {}
        self._reservations = Reservations()

    def ask(self, lease: str) -> None:
        """A training is asked for."""
        self._since.setdefault(lease, self._clock())
        self._reservations.ask(lease)

    def waited_s(self, lease: str) -> float:
        """Seconds since it was asked for first."""
        return self._clock() - self._since.get(lease, self._clock())

    def turn_s(self, lease: str) -> float:
        """Seconds since this was asked first: since it was its turn, but for memory that is to come free."""
        return self._clock() - self._turns.setdefault(lease, self._clock())

    def hold(self, device: str, lease: str) -> bool:
        """Keep a device free for a training; whether it has it now."""
        return self._reservations.hold(device, lease)

    def device_of(self, lease: str) -> str | None:
        """The device that is kept free for a training."""
        return self._reservations.of(lease)

    def is_held(self, device: str, *, against: str | None) -> bool:
        """Whether a device is kept free for another training than this one."""
        return self._reservations.is_held(device, against=against)

    def leave(self, lease: str) -> None:
        """A training begins."""
        self._since.pop(lease, None)
        self._turns.pop(lease, None)
        self._reservations.release(lease)

    def forsake(self, device: str) -> None:
        """A device is gone."""
        self._reservations.forsake(device)

    def keep(self, leases: set[str]) -> None:
        """Forget all but these, which are all that wait."""
        self._since = {lease: since for lease, since in self._since.items() if lease in leases}
        self._turns = {lease: since for lease, since in self._turns.items() if lease in leases}
        self._reservations.keep(leases)
