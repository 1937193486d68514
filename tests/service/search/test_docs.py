"""The pages on strategies and pruners name every kind and every option, with its default."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from service.search.registry import PRUNERS, SAMPLERS

DOCS = Path(__file__).parents[3] / "docs"
ENTRIES = [("strategies.md", *entry) for entry in SAMPLERS.items()] + [
    ("pruners.md", *entry) for entry in PRUNERS.items()
]


@pytest.mark.parametrize(("page", "kind", "build"), ENTRIES, ids=[entry[1] for entry in ENTRIES])
def test_every_kind_and_option_is_documented(page: str, kind: str, build: type) -> None:
    text = (DOCS / page).read_text()
    assert f"| `{kind}` |" in text
    section = text.split(f"\n## `{kind}`\n")[1].split("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", section, flags=re.MULTILINE))
    options = build.Options.model_fields  # type: ignore[attr-defined]
    defaults = {name: field.get_default(call_default_factory=True) for name, field in options.items()}
    assert documented == {name: json.dumps(default) for name, default in defaults.items()}
