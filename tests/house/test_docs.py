"""What the documents say is so: links lead somewhere, commands exist, studies are valid, codes are complete."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from caviar.contract import errors, messages
from caviar.contract.states import Outcome
from caviar.contract.study import StudySpec
from tests.house.command_line import parse
from tests.house.repository import ROOT, files, relative

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(p for p in files(ROOT / "docs") if p.suffix == ".md")]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not broken


def test_every_document_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert not [p.name for p in (ROOT / "docs").glob("*.md") if p.name != "index.md" and p.name not in index]


def test_commands_in_the_documents_exist() -> None:
    commands = [
        (path, line)
        for path in DOCUMENTS
        for line in re.findall(r"^\$ (caviar .*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert len(commands) > 5
    for path, line in commands:
        words = shlex.split(line, comments=True)
        assert parse(words).startswith("caviar "), f"{relative(path)}: {line}"


def test_studies_in_the_documents_are_valid() -> None:
    blocks = [
        block
        for path in DOCUMENTS
        for block in re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]
    studies = [StudySpec.model_validate(yaml.safe_load(block)) for block in blocks]
    assert "digits-mlp" in {study.name for study in studies}


def test_messages_in_the_protocol_are_valid() -> None:
    blocks = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PROTOCOL, re.MULTILINE | re.DOTALL)]
    kinds: list[type[BaseModel]] = [
        messages.RegisterWorker, messages.Claim, messages.Assignment, messages.Report, messages.Heartbeat,
        messages.Finish,
    ]  # fmt: skip
    assert len(blocks) == len(kinds)
    for kind, block in zip(kinds, blocks, strict=True):
        kind.model_validate_json(json.dumps(block))
        assert set(block) == set(kind.model_fields), f"the example of {kind.__name__} shows other fields"


def test_the_protocol_names_every_error_code_and_outcome() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CaviarError)]
    assert len(kinds) > 10
    missing = [kind.code for kind in kinds if kind.code not in NOT_FOR_WORKERS and f"`{kind.code}`" not in PROTOCOL]
    assert not missing
    assert not [outcome for outcome in Outcome if f"| `{outcome}` |" not in PROTOCOL]


NOT_FOR_WORKERS = {"internal_error", "method_not_allowed", "study_exists", "unknown_objective"}


def test_decisions_are_numbered_and_told_in_one_form() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(path.name[:4])}. ")
        assert all(f"\n## {part}\n" in text for part in ("Question", "Decision", "Why", "Consequences")), path.name
