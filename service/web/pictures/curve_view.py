"""Which picture of a study's learning curves an address asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.states import TrialState
from caviar.contract.study import MetricName
from service.use_cases import curves
from service.web.pictures.axes import Scale

HIDEABLE = (
    TrialState.RUNNING,
    TrialState.PAUSED,
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAILED,
    TrialState.CANCELLED,
)
"""States whose trials can have a curve, in the order of the legend."""

# Names that Python keeps for itself.
_NAMES = {"low": "from", "high": "to"}
_METRIC: TypeAdapter[str] = TypeAdapter(MetricName)
_MAX_WHOLE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CurveView:
    """What the reader chose; every field is a parameter of the address, and absent ones are the usual.

    Attributes:
        metric: A metric; empty for the study's own.
        also: A second metric, drawn dashed for the best trial or the chosen one.
        bold: Number of a trial that is drawn bold.
        hide: States that are left out.
        scale: Of the vertical axis.
        at: Epoch of the filter.
        low: `from`: least value there.
        high: `to`: greatest value there.
        top: Only this many of the best trials.
        x: What the history goes along: `epochs` or `time`.
    """

    metric: str = ""
    also: str = ""
    bold: int | None = None
    hide: tuple[TrialState, ...] = ()
    scale: Scale = "auto"
    at: int | None = None
    low: float | None = None
    high: float | None = None
    top: int | None = None
    x: str = "epochs"

    @property
    def gate(self) -> curves.Gate | None:
        """The filter by the value at an epoch.

        Raises:
            InvalidRequest: Only a part of it is given, or its ends are the wrong way round (422).
        """
        return curves.gate(self.at, self.low, self.high)

    @property
    def is_filtered(self) -> bool:
        """Whether trials are left out on demand."""
        return bool(self.hide) or self.at is not None or self.top is not None

    def query(self, **changes: Any) -> str:
        """The query string of this view with changes, `?` included; empty for the usual view."""
        found = asdict(self) | changes
        usual = {field.name: field.default for field in fields(self)}
        pairs = [(_NAMES.get(name, name), _written(value)) for name, value in found.items() if value != usual[name]]
        return f"?{urlencode(pairs, safe=',/')}" if pairs else ""

    def toggled(self, state: TrialState) -> str:
        """The query string with a state hidden that is shown, or the reverse."""
        hidden = set(self.hide) ^ {state}
        return self.query(hide=tuple(one for one in HIDEABLE if one in hidden))


def parse(query: Mapping[str, str]) -> CurveView:
    """Read the parameters of an address; empty ones, as forms send them, count as absent.

    Raises:
        InvalidRequest: One of them cannot be used (422).
    """
    given = {name: value.strip() for name, value in query.items() if value.strip()}
    refused: list[FieldError] = []

    def read(name: str, convert: Any, expected: str, usual: Any) -> Any:
        if name not in given:
            return usual
        try:
            return convert(given[name])
        except (ValueError, OverflowError):
            refused.append(FieldError(field=name, received=given[name], expected=expected))
            return usual

    positive = "a whole number from 1 on, or leave it out"
    number = "a finite number, or leave it out"
    metric = "the name of a metric that the trials report, or leave it out"
    view = CurveView(
        metric=read("metric", _metric, metric, ""),
        also=read("also", _metric, metric, ""),
        bold=read("bold", lambda text: _whole(text, 0), "the number of a trial, from 0 on, or leave it out", None),
        hide=read("hide", _states, f"some of {', '.join(HIDEABLE)}, with commas between them", ()),
        scale=read("scale", lambda text: _word(text, get_args(Scale)), "auto, linear or log", "auto"),
        at=read("at", lambda text: _whole(text, 1), positive, None),
        low=read("from", _finite, number, None),
        high=read("to", _finite, number, None),
        top=read("top", lambda text: _whole(text, 1), positive, None),
        x=read("x", lambda text: _word(text, ("epochs", "time")), "epochs or time", "epochs"),
    )
    if refused:
        raise InvalidRequest("the address asks for a picture that there is not", errors=refused)
    return view


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _whole(text: str, least: int) -> int:
    number = int(text)
    if not least <= number <= _MAX_WHOLE:
        raise ValueError(number)
    return number


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(number)
    return number


def _word(text: str, words: tuple[Any, ...]) -> Any:
    if text not in words:
        raise ValueError(text)
    return text


def _metric(text: str) -> str:
    try:
        return _METRIC.validate_python(text)
    except ValidationError as error:
        raise ValueError(text) from error


def _states(text: str) -> tuple[TrialState, ...]:
    wanted = {TrialState(part.strip()) for part in text.split(",") if part.strip()}
    if not wanted <= set(HIDEABLE):
        raise ValueError(text)
    return tuple(state for state in HIDEABLE if state in wanted)
