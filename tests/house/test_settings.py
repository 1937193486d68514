"""Every setting is documented as it is, has a unit in its name or its sentence, and cannot be changed later."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from service.settings import ServiceSettings
from tests.house.repository import ROOT
from tests.house.settings_table import table
from worker.engines.settings import EngineSettings
from worker.settings import WorkerSettings

CLASSES: list[type[BaseSettings]] = [ServiceSettings, WorkerSettings, EngineSettings]
SECRETS = ("token", "secret", "password")


@pytest.mark.parametrize("settings", CLASSES)
def test_the_table_in_the_docs_is_true(settings: type[BaseSettings]) -> None:
    expected = "\n".join(table(settings))
    documented = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert expected in documented, f"put this into docs/configuration.md:\n\n{expected}\n"


@pytest.mark.parametrize("settings", CLASSES)
def test_every_setting_is_described_by_a_sentence(settings: type[BaseSettings]) -> None:
    unclear = [
        name
        for name, field in settings.model_fields.items()
        if not (field.description and field.description[0].isupper() and field.description.endswith("."))
        or "\n" in field.description
    ]
    assert not unclear


@pytest.mark.parametrize("settings", CLASSES)
def test_settings_are_frozen_and_secrets_are_hidden(settings: type[BaseSettings]) -> None:
    assert settings.model_config["frozen"]
    assert settings.model_config["env_prefix"] == "CAVIAR_"
    open_secrets = [
        name
        for name, field in settings.model_fields.items()
        if name.split("_")[-1] in SECRETS and SecretStr.__name__ not in str(field.annotation)
    ]
    assert not open_secrets
