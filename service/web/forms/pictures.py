"""How the draws of each parameter are spread, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from caviar.contract.preview import Histogram
from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Params, Space
from service.web import formats
from service.web.pictures.axes import Tick
from service.web.pictures.ticks import scale_ticks

_SHOWN_CHOICES = 8
_HEADROOM = 1.15
_GAP, _WIDE_GAP = 0.15, 0.2
_FEW = 12
SCALES = {"linear": "linear", "log": "log", "reverse_log": "1−β", "logit": "logit"}
"""Names of the scales, as people call them."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram, in percent of width and height."""

    x: float
    width: float
    height: float
    label: str = ""
    share: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """The draws of one parameter.

    Attributes:
        name: Of the parameter.
        note: What a reader should see in it.
        bars: From the lower end of the scale to the upper one, or one per choice.
        ticks: Natural values, in percent of the width.
        median: Place of the value that half of the draws lie below, in percent; None for choices.
        is_choice: Whether the bars are choices.
    """

    name: str
    note: str
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    median: float | None
    is_choice: bool


def pictures(
    space: Space, histograms: dict[str, Histogram], configurations: Sequence[Params], max_pictures: int
) -> list[Picture]:
    """A picture of each of the first parameters.

    Args:
        space: Of the study.
        histograms: Of the draws.
        configurations: The draws.
        max_pictures: Of how many parameters.
    """
    return [
        _choices(name, parameter, histograms[name], len(configurations))
        if isinstance(parameter, CategoricalParameter)
        else _numbers(name, parameter, histograms[name], [draw[name] for draw in configurations if name in draw],
                      len(configurations))
        for name, parameter in islice(space.items(), max_pictures)
    ]  # fmt: skip


def _choices(name: str, parameter: CategoricalParameter, histogram: Histogram, num_draws: int) -> Picture:
    total, most = max(sum(histogram.counts), 1), max(*histogram.counts, 1)
    bars = [
        Bar(0, round(100 * count / most, 1), 100, formats.parameter(choice), f"{100 * count / total:.0f} %")
        for choice, count in list(zip(histogram.choices, histogram.counts, strict=True))[:_SHOWN_CHOICES]
    ]
    more = len(parameter.choices) - len(bars)
    note = f"and {formats.count(more)} more choices" if more > 0 else ""
    return Picture(name, _joined(note, _applies(total, num_draws, parameter)), bars, (), None, is_choice=True)


def _numbers(
    name: str, parameter: FloatParameter | IntParameter, histogram: Histogram, values: list[object], num_draws: int
) -> Picture:
    most = max(*histogram.counts, 1) * _HEADROOM
    width = 100 / len(histogram.counts)
    bars = [
        Bar(round(place * width, 3), round(width * 0.9, 3), round(100 * count / most, 1))
        for place, count in enumerate(histogram.counts)
    ]
    middle = parameter.from_unit(0.5)
    note = _joined(_spread(parameter, middle), _applies(len(values), num_draws, parameter))
    is_wide = parameter.type == "float" and parameter.scale == "log"  # 0.0001 is a long label.
    unit = None if _is_few(parameter) else round(100 * parameter.to_unit(middle), 2)
    return Picture(name, note, bars, scale_ticks(parameter, _WIDE_GAP if is_wide else _GAP), unit, is_choice=False)


def _is_few(parameter: FloatParameter | IntParameter) -> bool:
    return parameter.num_values is not None and parameter.num_values <= _FEW


def _spread(parameter: FloatParameter | IntParameter, middle: float) -> str:
    if _is_few(parameter):
        return f"{SCALES[parameter.scale]} scale, {parameter.num_values} values"
    if isinstance(middle, int):
        half = formats.count(middle)
    elif parameter.scale in ("reverse_log", "logit") and middle > 0.5:
        half = formats.near_one(middle, 2)
    else:
        half = formats.number(middle, 2)
    return f"{SCALES[parameter.scale]} scale: half of the draws lie above {half}"


def _applies(drawn: int, num_draws: int, parameter: FloatParameter | IntParameter | CategoricalParameter) -> str:
    if not parameter.when:
        return ""
    return f"applies to {100 * drawn / max(num_draws, 1):.0f} % of the trials"


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))
