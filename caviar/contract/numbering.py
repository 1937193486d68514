"""Numbering: how many distinct configurations there are where every parameter has finitely many values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caviar.contract.space import ParamValue, Space

_MAX_CASES = 20_000


@dataclass(frozen=True)
class _Family:
    """Values of a parent that switch on the same children.

    Attributes:
        count: How many values.
        children: Names of the parameters whose condition on this parent they meet.
        listed: Positions of the values; None for all but `others`.
        others: Positions of the values that belong to other families, rising.
    """

    count: int
    children: frozenset[str]
    listed: tuple[int, ...] | None
    others: tuple[int, ...] = ()

    def position(self, place: int) -> int:
        """Position of the value at a place within the family."""
        if self.listed is not None:
            return self.listed[place]
        for other in self.others:
            place += place >= other
        return place


@dataclass(frozen=True)
class _Case:
    """Configurations of one group that differ in values, not in which parameters apply.

    Attributes:
        families: Family of every parent that applies.
        leaves: How many values there are of every other parameter that applies.
    """

    families: Mapping[str, _Family]
    leaves: Mapping[str, int | None]

    @property
    def size(self) -> int | None:
        counts = [family.count for family in self.families.values()]
        for count in self.leaves.values():
            if count is None:
                return None
            counts.append(count)
        return prod(counts)

    def positions(self, place: int) -> dict[str, int]:
        found = {}
        for name, family in self.families.items():
            place, within = divmod(place, family.count)
            found[name] = family.position(within)
        for name, count in self.leaves.items():
            place, found[name] = divmod(place, count or 1)
        return found


class Numbering:
    """Numbers the distinct configurations of a space, of which each parameter may take part of its values only.

    A parameter counts only where it applies, so no two numbers mean the same configuration. Parameters bound together
    by conditions form a group, whose cases are counted by what its parents switch on: the work depends on the
    conditions, not on the number of values.

    Attributes:
        size: How many configurations; None if there is no limit, or if the conditions make more than 20,000 cases.
    """

    def __init__(
        self,
        space: Space,
        counts: Mapping[str, int | None],
        position: Callable[[str, ParamValue], int | None],
    ) -> None:
        """Number the configurations.

        Args:
            space: The space.
            counts: How many values each parameter takes; None for no limit.
            position: Position of a parameter's value among those that it takes, from 0; None if it does not take it.
        """
        self._space, self._counts, self._position = space, counts, position
        groups = [self._cases(group) for group in _groups(space)]
        self._groups = [group for group in groups if group is not None]
        sizes = [None if group is None else _sum([case.size for case in group]) for group in groups]
        known = [size for size in sizes if size is not None]
        self._sizes = known
        self.size = prod(known) if len(known) == len(groups) else None

    def positions(self, number: int) -> dict[str, int]:
        """Positions of the values of the parameters that apply in a configuration, by its number below `size`."""
        found: dict[str, int] = {}
        for cases, size in zip(self._groups, self._sizes, strict=True):
            number, place = divmod(number, size)
            ends = list(accumulate(case.size or 0 for case in cases))
            index = bisect_right(ends, place)
            found |= cases[index].positions(place - (ends[index - 1] if index else 0))
        return found

    def _cases(self, group: Sequence[str]) -> list[_Case] | None:
        children = {name: [child for child in group if name in (self._space[child].when or {})] for name in group}
        families = {name: self._families(name, children[name]) for name in group if children[name]}
        cases = [_Case({}, {})]
        for name in group:
            grown: list[_Case] = []
            for case in cases:
                if not self._applies(name, case):
                    grown.append(case)
                elif name in families:
                    grown += [_Case({**case.families, name: family}, case.leaves) for family in families[name]]
                else:
                    grown.append(_Case(case.families, {**case.leaves, name: self._counts[name]}))
            if len(grown) > _MAX_CASES:
                return None
            cases = grown
        return cases

    def _applies(self, name: str, case: _Case) -> bool:
        parents = self._space[name].when or {}
        return all(parent in case.families and name in case.families[parent].children for parent in parents)

    def _families(self, name: str, children: Sequence[str]) -> list[_Family]:
        met: dict[int, set[str]] = {}
        for child in children:
            for value in (self._space[child].when or {})[name]:
                position = self._position(name, value)
                if position is not None:
                    met.setdefault(position, set()).add(child)
        families: dict[frozenset[str], list[int]] = {}
        for position in sorted(met):
            families.setdefault(frozenset(met[position]), []).append(position)
        found = [_Family(len(listed), key, tuple(listed)) for key, listed in families.items()]
        rest = (self._counts[name] or 0) - len(met)
        return [*found, _Family(rest, frozenset(), None, tuple(sorted(met)))] if rest else found


def _sum(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _groups(space: Space) -> list[list[str]]:
    """Parameters that conditions bind together, each group with parents first."""
    group_of: dict[str, list[str]] = {}
    for name in space.parents_first:
        bound = [name]
        for parent in space[name].when or {}:
            if parent not in bound:
                bound = [*group_of[parent], *(other for other in bound if other not in group_of[parent])]
        for member in bound:
            group_of[member] = bound
    order = {name: place for place, name in enumerate(space.parents_first)}
    distinct = {id(group): group for group in group_of.values()}
    return [sorted(group, key=order.__getitem__) for group in distinct.values()]
