"""Filling the form in from a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caviar.contract.space import Space
from caviar.contract.study import EarlyStopping, Plugin, StudySpec
from service.web.forms import values
from service.web.forms.draft import PLUGINS, Draft, Row
from service.web.forms.fields import INPUTS, STOPS_EARLY, WARM_START


def filled(spec: StudySpec, space: Space | None = None) -> Draft:
    """The form that stands for a study.

    Args:
        spec: The study.
        space: What it searches if it says nothing: the default of its objective.
    """
    draft = Draft()
    body = spec.model_dump(mode="json")
    body["early_stopping"] = body["early_stopping"] or EarlyStopping().model_dump(mode="json")
    for name, kind in INPUTS.items():
        value = _at(body, name)
        draft.texts[name] = "" if value is None else kind.write(value)
    draft.texts[STOPS_EARLY] = "" if spec.early_stopping is None else "true"
    draft.texts[WARM_START] = ", ".join(spec.warm_start)
    for plugin in PLUGINS:
        draft.texts |= _chosen(plugin, getattr(spec, plugin))
    searched = spec.space or space
    draft.replace("space", space_rows(searched) if searched else ())
    draft.replace("config", _pairs(spec.objective.config))
    draft.replace("labels", _labels(spec.requires.labels))
    draft.replace("tags", _labels(spec.tags))
    return draft


def space_rows(space: Space) -> list[Row]:
    """A row per parameter."""
    return [{"name": name, **_parameter(parameter.model_dump(mode="json"))} for name, parameter in space.items()]


def _parameter(body: Mapping[str, Any]) -> Row:
    row = {"type": body["type"]}
    if body["type"] == "categorical":
        row |= {"choices": values.written_list(body["choices"]), "ordered": "true" if body["ordered"] else ""}
    else:
        is_default_step = body["step"] is None or (body["type"] == "int" and body["step"] == 1)
        row |= {"low": values.short(body["low"]), "high": values.short(body["high"]), "scale": body["scale"]}
        row["step"] = "" if is_default_step else values.short(body["step"])
    return row | ({"when": values.written_condition(body["when"])} if body["when"] else {})


def _chosen(plugin: str, chosen: Plugin) -> dict[str, str]:
    options = {f"{plugin}.{chosen.kind}.{name}": values.written(value) for name, value in chosen.options.items()}
    return {f"{plugin}.kind": chosen.kind, **options}


def _pairs(config: Mapping[str, Any]) -> list[Row]:
    return [{"name": values.written_label(name), "value": values.written(value)} for name, value in config.items()]


def _labels(texts: Mapping[str, str]) -> list[Row]:
    return [{"name": values.written_label(name), "value": values.written_label(text)} for name, text in texts.items()]


def _at(body: Mapping[str, Any], path: str) -> Any:
    node: Any = body
    for step in path.split("."):
        node = node[step]
    return node
