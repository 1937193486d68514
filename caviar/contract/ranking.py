"""The leaderboard: trials in their order, repeats of a configuration, noise, trials side by side."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from caviar.contract.errors import refusal
from caviar.contract.messages import TrialStatus
from caviar.contract.model import STORABLE, Model, View
from caviar.contract.study import Metric
from caviar.contract.views import TrialView

MAX_TAGS = 20
MAX_TAG_CHARACTERS = 60
MAX_NOTE_CHARACTERS = 2000
MAX_RETESTED = 100
MAX_REPEATS = 20
MIN_COMPARED, MAX_COMPARED = 2, 6


class Repeats(View):
    """What the trials of one configuration reached that were trained to their end.

    Attributes:
        num: Trials of exactly these parameters whose state is `complete`.
        mean: Of their values.
        sd: Sample standard deviation of their values; None for a single one.
    """

    num: int
    mean: float
    sd: float | None = None


class Noise(View):
    """How much values of a study differ when nothing but the seed does.

    Estimated from the repeated configurations among the 200 best trials.

    Attributes:
        num_configurations: Configurations with two complete trials or more.
        num_trials: Their complete trials.
        sd: Pooled standard deviation of a value.
        margin: Distance to the best value up to which two single trials do not differ (two-sided t test, 5 %).
    """

    num_configurations: int
    num_trials: int
    sd: float
    margin: float


class LeaderboardRow(TrialView):
    """A trial of a leaderboard.

    Attributes:
        rank: From 1; None while it has no value.
        gap: Distance of its value to the best one, never negative; None while it has no value.
        is_tied: Whether that distance is within the noise; false for the best one, and while no noise is known.
        repeats: What the complete trials of its configuration reached; None without any.
        device: What its newest attempt ran on, for people.
        peak_memory_bytes: Most memory of the device that its newest attempt held; of a CPU, of its process.
    """

    rank: int | None = None
    gap: float | None = None
    is_tied: bool = False
    repeats: Repeats | None = None
    device: str | None = None
    peak_memory_bytes: int | None = None


class Leaderboard(View):
    """Trials of a study, by default best first; those without a value last, in the order of their numbers.

    Attributes:
        total: Trials in the study.
        num_matching: Trials that match the filters; None if that is more than 10,000, which are not counted.
        pinned: The rows that were asked for by number, whatever the filters; they are not among the items.
        next_after: Goes into `after` for the next page; None on the last.
        noise: How much values differ by the seed alone; None while no configuration has been repeated.
    """

    study: str
    metric: Metric
    total: int
    num_matching: int | None = None
    pinned: list[LeaderboardRow] = Field(default_factory=list)
    items: list[LeaderboardRow]
    next_after: int | None = None
    noise: Noise | None = None


class ComparedTrial(LeaderboardRow):
    """A trial beside others, with its curve: two lists of equal length, epochs rising."""

    epochs: list[int]
    values: list[float]


class Comparison(View):
    """Trials of one study side by side, in the order that they were asked for.

    Attributes:
        differing: Names of the parameters whose values are not all equal, in the order of the space.
    """

    study: str
    metric: Metric
    differing: list[str]
    items: list[ComparedTrial]
    noise: Noise | None = None


class Retest(Model):
    """`POST /studies/{name}:retest`: train the best configurations again, each time with another seed.

    Attributes:
        top: How many configurations, from the best.
        repeats: How many further trials of each.
    """

    top: Annotated[int, Field(ge=1, le=MAX_RETESTED)] = 5
    repeats: Annotated[int, Field(ge=1, le=MAX_REPEATS)] = 2


class Retested(View):
    """The trials that were enqueued, those of the best configuration first."""

    items: list[TrialStatus]


# Marks that turn the direction of what follows could make one text look like another.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _is_control(mark: str) -> bool:
    return mark in _TURNING or (unicodedata.category(mark) == "Cc" and mark not in "\n\t")


def _without_controls(text: str) -> str:
    found = next(filter(_is_control, text), None)
    if found is not None:
        raise refusal(
            text,
            f"a text without control characters, but character {text.index(found) + 1} is U+{ord(found):04X}",
            "remove it",
        )
    return text


def _on_one_line(text: str) -> str:
    if text != text.strip() or "\n" in text or "\t" in text:
        raise refusal(text, "a text on one line that begins and ends with a visible character")
    return text


_PRINTABLE = AfterValidator(_without_controls)
_LINE = AfterValidator(_on_one_line)
TagName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TAG_CHARACTERS), STORABLE, _PRINTABLE, _LINE]
TagText = Annotated[str, StringConstraints(max_length=MAX_TAG_CHARACTERS), STORABLE, _PRINTABLE, _LINE]


class Annotation(Model):
    """`PATCH /trials/{trial_id}`: what people say of a trial; what is left out stays as it is.

    Attributes:
        tags: All tags by name, in place of those before; a tag may have an empty text.
        note: In place of the note before; empty for none.
    """

    tags: Annotated[dict[TagName, TagText], Field(max_length=MAX_TAGS)] | None = None
    note: Annotated[str, StringConstraints(max_length=MAX_NOTE_CHARACTERS), STORABLE, _PRINTABLE] | None = None
