"""The median stopping rule."""

from __future__ import annotations

from typing import ClassVar

from service.search.pruners.percentile import PeerOptions, PercentilePruner


class MedianPruner(PercentilePruner):
    """Stops a trial whose best value so far is worse than the median of complete trials at the same epoch.

    Decides as Optuna's `MedianPruner` does.

    Source: Golovin et al. 2017, "Google Vizier: A Service for Black-Box Optimization".
    """

    kind: ClassVar[str] = "median"
    Options: ClassVar[type[PeerOptions]] = PeerOptions  # type: ignore[assignment]  # the percentile is no option here

    def __init__(self, options: PeerOptions) -> None:
        super().__init__(PercentilePruner.Options(**options.model_dump(), percentile=50.0))
