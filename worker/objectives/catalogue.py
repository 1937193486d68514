"""What a training process can train, from which version of the code, and whether that code has changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from caviar.contract.messages import OfferedObjective
from worker.objectives.errors import LoadError
from worker.objectives.importing import divide, import_place
from worker.objectives.loading import BUILTIN, Target, add, load, offer
from worker.objectives.sources import Sources


@dataclass
class Catalogue:
    """The objectives of a process.

    Attributes:
        objectives: By name.
        offers: How they are presented to the service.
    """

    objectives: dict[str, Target] = field(default_factory=lambda: dict(BUILTIN))
    offers: list[OfferedObjective] = field(default_factory=lambda: [offer(*item) for item in BUILTIN.items()])
    _sources: dict[str, Sources] = field(default_factory=dict)
    _broken: list[tuple[LoadError, Sources]] = field(default_factory=list)

    def is_stale(self, name: str) -> bool:
        """Whether the source of an objective has changed since it was loaded, or may now have one of this name.

        Takes some file system calls for each source file.
        """
        if name in BUILTIN:
            return False
        if name in self._sources:
            return self._sources[name].have_changed()
        others = [*self._sources.values(), *(sources for _, sources in self._broken)]
        return any(sources.have_changed() for sources in others)

    def code_version(self, name: str) -> str | None:
        """A digest of the source of an objective, 16 hexadecimal digits; None for a built-in or an unknown one."""
        return self._sources[name].version if name in self._sources else None

    def failure(self, name: str) -> LoadError | None:
        """Why there is no objective of this name; None if there is one, or if nothing failed."""
        if name in self.objectives or not self._broken:
            return None
        return self._broken[0][0]

    def take(self, spec: str, *, should_read: bool) -> None:
        """Add the objectives of a file or module.

        Args:
            spec: Of `worker.objectives.loading.load`.
            should_read: Whether to read spaces by running what was written for KerasTuner.
        Raises:
            LoadError: One cannot be loaded, or there is one of its name.
        """
        found = load(spec)
        offers = [offer(name, target, should_read=should_read) for name, target in found.items()]
        place = divide(spec)
        sources = Sources(place, import_place(place))
        add(self.objectives, spec, found)
        self.offers += offers
        self._sources |= dict.fromkeys(found, sources)

    def note(self, spec: str, error: LoadError) -> None:
        """Remember that a file or module cannot be loaded."""
        self._broken.append((error, Sources(divide(spec), None, error)))


def open_catalogue(specs: Sequence[str], *, is_first: bool) -> Catalogue:
    """The built-in objectives, and those of an operator's files and modules.

    Args:
        specs: Of `worker.objectives.loading.load`.
        is_first: Whether a file that cannot be loaded is an error; else it is the error of the trials that need it.
    Raises:
        LoadError: One cannot be loaded at the first start.
    """
    catalogue = Catalogue()
    for spec in specs:
        try:
            # What later processes offer, nobody asks for.
            catalogue.take(spec, should_read=is_first)
        except LoadError as error:
            if is_first:
                raise
            catalogue.note(spec, error)
    return catalogue


def no_failure(_name: str) -> LoadError | None:
    """The `failure` of a catalogue in which everything could be loaded."""
    return None
