"""The strategies and pruners that can be chosen, with their options, as the registry knows them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from service.search.registry import PRUNERS, SAMPLERS
from service.web.forms import values
from service.web.forms.draft import Draft

_ENTRY = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)

_WORDS: Mapping[str, str] = {
    "strategy.coarse_to_fine": "Looks everywhere first, then closes in on the best trials. Good for most studies.",
    "strategy.random": "Independent draws, each by chance alone. The yardstick for the others.",
    "strategy.quasi_random": "Covers the space more evenly than chance. For a first survey.",
    "strategy.grid": "Every combination of a few values each. For two or three parameters.",
    "strategy.tpe": "Optuna's estimator: draws where good trials are dense. For long studies of cheap trials.",
    "strategy.gp": "A model of the results says where to gain most. For few, expensive trials.",
    "strategy.cma_es": "Evolves a cloud of trials towards the better ones. For many numbers that depend on each other.",
    "strategy.auto": "Tries everything if the budget allows it, else goes from coarse to fine.",
    "pruner.none": "Every trial trains to its end.",
    "pruner.asha": "Pauses trials at a few epochs; the best quarter goes on. Saves most epochs, a good default.",
    "pruner.hyperband": "The same, but gives some trials more time first. For curves that start out misleading.",
    "pruner.median": "Stops what is worse than the median trial at the same epoch. Gentle, for few trials.",
    "pruner.percentile": "The same with a share of your choice. Stricter or milder than the median.",
    "pruner.patient": "Waits until a trial has stopped gaining, then asks another pruner. For noisy curves.",
    "pruner.threshold": "Stops what leaves fixed limits. When you know a value that no good trial has.",
    "pruner.wilcoxon": "Tests epoch by epoch against the best trial. When epochs are alike, such as folds.",
}
_FIRST = ("coarse_to_fine", "asha")


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a strategy or pruner.

    Attributes:
        name: Its name in a study.
        default: What it is if nothing is typed.
        hint: What it means.
        choices: The values that it takes, if they are few.
    """

    name: str
    default: str
    hint: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A strategy or pruner.

    Attributes:
        name: Its kind in a study.
        summary: What it does and when to choose it.
        options: Its options.
    """

    name: str
    summary: str
    options: tuple[Option, ...]


@cache
def kinds(plugin: str) -> tuple[Kind, ...]:
    """What can be chosen as `strategy` or `pruner`, the default first."""
    entries = SAMPLERS if plugin == "strategy" else PRUNERS
    made = [Kind(name, _summary(plugin, name, entry), _options(entry.Options)) for name, entry in entries.items()]
    return tuple(sorted(made, key=lambda kind: (kind.name not in _FIRST, kind.name == "none")))


def unknown_options(draft: Draft, plugin: str) -> list[str]:
    """Options that stand in a form and that the chosen kind does not have."""
    known = {option.name for kind in kinds(plugin) if kind.name == draft.kind(plugin) for option in kind.options}
    return [name for name in draft.options(plugin) if name not in known]


def _summary(plugin: str, name: str, entry: type[Any]) -> str:
    return _WORDS.get(f"{plugin}.{name}") or (inspect.getdoc(entry) or "").split("\n")[0]


def _options(model: type[Any]) -> tuple[Option, ...]:
    hints: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        hints |= {
            name: " ".join(text.split()) for name, text in _ENTRY.findall(inspect.cleandoc(ancestor.__doc__ or ""))
        }
    return tuple(
        Option(name, _default(field.get_default(call_default_factory=True)), hints.get(name, ""), _choices(field))
        for name, field in model.model_fields.items()
    )


def _default(value: Any) -> str:
    return "" if value is None or value == {} else values.written(value)


def _choices(field: Any) -> tuple[str, ...]:
    if field.annotation is bool:
        return ("true", "false")
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
