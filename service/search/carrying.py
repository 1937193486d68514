"""Windows of a round in a search space that was edited since."""

from __future__ import annotations

from collections.abc import Mapping

from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Space
from caviar.contract.views import WindowView
from service.search.windows import whole_space


def carried_windows(space: Space, windows: Mapping[str, WindowView]) -> dict[str, WindowView]:
    """The same windows, in natural units, as far as a space allows; else the whole range of a parameter.

    Args:
        space: The search space as it is now.
        windows: What a round draws from, by parameter, laid on the space as it was when the round was opened.
    """
    whole = whole_space(space)
    return {name: _carried(space, name, windows.get(name)) or whole[name] for name in space.names}


def natural_window(parameter: FloatParameter | IntParameter, low: float, high: float, reason: str) -> WindowView:
    """The window between two natural values of a parameter, both inclusive.

    Args:
        parameter: The parameter.
        low: Lower end, within the parameter's range.
        high: Upper end, within the parameter's range.
        reason: Why, for people.
    """
    # The ends of a range that has a step lie half a step beyond its values: those of a window do as well.
    margin = (parameter.step or 0) / 2
    bottom, top = parameter.axis.edges
    return WindowView(
        low=low,
        high=high,
        unit_low=parameter.axis.to_unit(max(low - margin, bottom)),
        unit_high=parameter.axis.to_unit(min(high + margin, top)),
        reason=reason,
    )


def _carried(space: Space, name: str, window: WindowView | None) -> WindowView | None:
    parameter = space[name]
    if window is None:
        return None
    if isinstance(parameter, CategoricalParameter):
        return window if window.weights is not None and len(window.weights) == len(parameter.choices) else None
    if window.low is None or window.high is None:
        return None
    low, high = max(window.low, parameter.low), min(window.high, parameter.high)
    return natural_window(parameter, low, high, window.reason) if low < high else None
