"""Devices that are kept free for a training that waits."""

from __future__ import annotations


class Reservations:
    """Who waits for which device; at most one training per device, and one device per training.

    A training may be taken away while it waits, and nobody says so. It no longer waits if another one has been asked
    for twice since it was asked for itself.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._holders: dict[str, str] = {}
        self._asked_since: dict[str, set[str]] = {}

    def ask(self, lease: str) -> None:
        """A training is asked for: it still waits."""
        for device, holder in list(self._holders.items()):
            if holder == lease:
                self._asked_since[device].clear()
            elif lease in self._asked_since[device]:
                self._drop(device)
            else:
                self._asked_since[device].add(lease)

    def hold(self, device: str, lease: str) -> bool:
        """Keep a device free for a training.

        Returns:
            Whether it has it now: False if another one was first, or it waits for another device.
        """
        if device not in self._holders and self.of(lease) is None:
            self._holders[device], self._asked_since[device] = lease, set()
        return self._holders.get(device) == lease

    def of(self, lease: str) -> str | None:
        """The device that a training waits for."""
        return next((device for device, holder in self._holders.items() if holder == lease), None)

    def is_held(self, device: str, *, against: str | None) -> bool:
        """Whether a device is kept free for another training than this one."""
        return self._holders.get(device, against) != against

    def release(self, lease: str) -> None:
        """A training waits no more."""
        if (device := self.of(lease)) is not None:
            self._drop(device)

    def forsake(self, device: str) -> None:
        """A device is gone: nobody waits for it any more."""
        if device in self._holders:
            self._drop(device)

    def keep(self, leases: set[str]) -> None:
        """Forget all but these trainings, which are all that wait."""
        for device, holder in list(self._holders.items()):
            if holder not in leases:
                self._drop(device)

    def _drop(self, device: str) -> None:
        del self._holders[device], self._asked_since[device]
