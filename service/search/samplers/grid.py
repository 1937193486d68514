"""Grid search."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from caviar.contract.model import Model
from caviar.contract.space import ParamName, Space
from service.search.grid import Grid, NumPoints, Points, shuffled
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.sampler import Proposal, SpaceExhausted


class _TakenIndex(Index):
    """Configurations of a grid that have a trial."""

    def __init__(self, mirror: Mirror, grid: Grid) -> None:
        super().__init__(mirror)
        self._grid = grid
        self.taken: set[tuple[float | None, ...]] = set()

    def update(self, trial: TrialRecord) -> None:
        """Take in a trial; its configuration never changes."""
        if trial.fits and self._grid.holds(trial.params):
            self.taken.add(tuple(trial.units))


class GridSampler:
    """Takes every configuration of a grid once, in an order that the study's seed shuffles.

    So a study that ends early has still seen the whole range of every parameter. Where a parameter does not apply, the
    configurations that would differ in it alone are one. Once all have a trial, the space is exhausted.
    """

    kind: ClassVar[str] = "grid"
    learns: ClassVar[bool] = False

    class Options(Model):
        """Options.

        Attributes:
            points: By parameter: how many values to try, or a list of them.
            default_points: How many values to try of other parameters that have more than ten: evenly spread in the
                scale's coordinate, both ends among them. Of parameters with fewer, and of categorical ones, all are.
        """

        points: Annotated[dict[ParamName, Points], Field(max_length=256)] = Field(default_factory=dict)
        default_points: NumPoints = 5

    def __init__(self, options: Options) -> None:
        self.options = options
        self._laid: tuple[Space, Grid] | None = None

    def propose(self, mirror: Mirror, number: int) -> Proposal:
        """The next configuration that has no trial."""
        grid = self.grid(mirror.space)
        if len(mirror.index(_TakenIndex, grid).taken) < grid.size:
            first = mirror.num_proposed_before(number)
            for position in range(first, first + grid.size):
                params = grid.params(shuffled(mirror.spec.seed, position % grid.size, grid.size))
                if not mirror.is_taken(params):
                    return Proposal(params)
        raise SpaceExhausted(f"all {grid.size} configurations of the grid of study {mirror.spec.name!r} have a trial")

    def num_configurations(self, space: Space) -> int:
        """How many configurations the grid has.

        Raises:
            InvalidRequest: There are over a million, or the options do not fit the space.
        """
        return self.grid(space).size

    def grid(self, space: Space) -> Grid:
        """The grid on a space, laid once."""
        if self._laid is None or self._laid[0] is not space:
            self._laid = space, Grid(space, self.options.points, self.options.default_points)
        return self._laid[1]
