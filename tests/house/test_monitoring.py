"""The dashboard and the alerts name nothing but metrics that the service tells, with labels that these have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.domain.tally import Tally
from service.metrics import process, stock
from service.metrics.families import histogram
from service.metrics.process import Pages
from service.metrics.requests import Requests
from service.store.engine import connect
from service.use_cases.inventory import Fleet, Inventory
from service.use_cases.service import Service
from tests.house.repository import ROOT

MONITORING = ROOT / "deploy" / "monitoring"
ALERTS = MONITORING / "caviar-alerts.yaml"
DASHBOARD = MONITORING / "caviar-dashboard.json"
# What Prometheus and its client tell of any process.
_OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
_WORDS = {
    "sum", "min", "max", "avg", "rate", "increase", "histogram_quantile", "min_over_time", "by", "and", "or", "unless",
}  # fmt: skip
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
_ADDED = {"job", "instance", "le"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names of the labels of every sample that the service can tell, by its name."""
    service = Service(connect(f"sqlite:///{tmp_path_factory.mktemp('db') / 'caviar.db'}"), lease_ttl_s=30.0)
    nothing: Any = {}
    found = Inventory(nothing, nothing, [], 0, Fleet(nothing, 0, 0, {}), [], 0)
    families = [*process.families(service, Requests(), lambda: Pages(0, 0, 0.0)), *stock.families(found)]
    service.engine.dispose()
    return {
        family.name + suffix: set(vars(family)["_labelnames"])
        for family in families
        for suffix in _SUFFIXES[family.type]
    }


def _alerts() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def _panels() -> Iterator[tuple[str, str]]:
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def _names(expression: str) -> set[str]:
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\bby\s*\([^)]*\)|\"[^\"]*\"", " ", expression)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - _WORDS


def _labels(expression: str) -> set[str]:
    matched = re.findall(r"([a-z_]\w*)\s*(?:=~|!~|!=|=)\s*\"", expression)
    grouped = [name.strip() for inside in re.findall(r"\bby\s*\(([^)]*)\)", expression) for name in inside.split(",")]
    return {*matched, *grouped}


@pytest.mark.parametrize("where", [_alerts, _panels])
def test_every_metric_that_is_named_is_told(where: Any, told: dict[str, set[str]]) -> None:
    found = list(where())
    assert len(found) >= 10
    for title, expression in found:
        names = _names(expression)
        assert names, title
        assert names <= told.keys() | _OTHERS, f"{title} names {names - told.keys()}"
        known = set().union(*(told.get(name, set()) for name in names)) | _ADDED
        assert _labels(expression) <= known, f"{title} names the labels {_labels(expression) - known}"
        assert expression.count("(") == expression.count(")")


def test_a_wrong_name_would_be_noticed(told: dict[str, set[str]]) -> None:
    assert _names('sum by (state) (rate(caviar_trialz_total{state="x"}[5m])) > 0.5') == {"caviar_trialz_total"}
    assert "caviar_trialz_total" not in told
    assert _labels('sum by (a, b) (x{c="1", d!~"2"})') == {"a", "b", "c", "d"}


def test_the_documentation_names_every_metric_and_alert(told: dict[str, set[str]]) -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in told}
    assert not [name for name in sorted(bases) if f"`{name}" not in text]
    assert not [name for name, _ in _alerts() if f"`{name}`" not in text]


def test_files_that_prometheus_is_pointed_to_exist() -> None:
    settings = yaml.safe_load((MONITORING / "prometheus.yaml").read_text(encoding="utf-8"))
    assert all(Path(MONITORING, name).is_file() for name in settings["rule_files"])


def test_a_tally_tells_as_a_histogram_does() -> None:
    tally = Tally((1.0,))
    tally.add(0.5)
    [family] = [histogram("caviar_x_seconds", "X.", {(): tally})]
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in family.samples}
    assert samples["caviar_x_seconds_bucket", "1.0"] == samples["caviar_x_seconds_bucket", "+Inf"] == 1
    assert samples["caviar_x_seconds_sum", None] == 0.5
