"""Configurations as programs: their text, and `caviar snippet`. That they train is tested with Keras, by the worker."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from caviar import Client
from caviar.cli import app
from caviar.contract.errors import InvalidRequest, NotFound
from caviar.contract.study import EarlyStopping, Metric
from caviar.snippets import mlp, plain
from caviar.snippets.source import Source, assigned, call, literal
from tests.caviar.trainer import TOKEN, ServiceProcess, Trainer, study


def source(**changes: Any) -> Source:
    """A trial on the digits."""
    facts: dict[str, Any] = {
        "study": "digits",
        "objective": "mlp",
        "config": {"dataset": "digits"},
        "trial_id": 7,
        "number": 3,
        "params": {"units": 3},
        "metric": Metric(),
        "value": 0.25,
        "best_epoch": 2,
        "max_epochs": 4,
        "early_stopping": EarlyStopping(),
        "seed": 5,
        "data_seed": 6,
        "has_weights": False,
    }
    return Source(**(facts | changes))


def test_a_remark_cannot_end_the_text_that_it_stands_in() -> None:
    text = plain.write(source(), 'It cannot be trained: """\nimport os\\')
    scope: dict[str, Any] = {}
    exec(text, scope)
    assert "os" not in scope
    assert scope["params"] == {"units": 3}


def test_long_calls_have_a_line_per_argument() -> None:
    assert call("f", "1", b="2") == "f(1, b=2)"
    assert call("f", "x" * 60, b="y" * 60) == f"f(\n    {'x' * 60},\n    b={'y' * 60},\n)"
    assert assigned("nothing", {}) == "nothing = {}"
    assert literal('a "b"') == '"a \\"b\\""'


def test_numbers_keep_all_digits() -> None:
    text = mlp.write(source(params={"learning_rate": 0.1 + 0.2, "beta_1": 0.98765432109876, "dropout": 0.0}))
    assert "learning_rate=0.30000000000000004, beta_1=0.98765432109876" in text
    assert "Dropout" not in text


@pytest.mark.parametrize("kept", [True, False])
def test_weights_are_spoken_of_where_they_are_kept(kept: bool) -> None:
    for text in (mlp.write(source(has_weights=kept)), plain.write(source(has_weights=kept))):
        ast.parse(text)
        assert ("caviar weights 7" in text) == kept
        assert ("load_weights" in text) == kept


def test_what_cannot_be_trained_has_no_program() -> None:
    with pytest.raises(InvalidRequest, match="do not go together"):
        mlp.write(source(params={"clipnorm": 1.0, "clipvalue": 1.0}))


def test_the_client_fetches_the_program(client: Client, trainer: Trainer) -> None:
    client.create_study(study("small"))
    trial = trainer.train([0.5])
    text = client.snippet(trial["trial_id"])
    ast.parse(text)
    assert text.startswith('"""Trial 0 of the study small: val_loss 0.5 at epoch 1.')
    assert f"keras.layers.Dense({trial['params']['units']}, " in text
    with pytest.raises(NotFound):
        client.snippet(99)


@pytest.fixture
def served(service: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of the service, on which the test leaves nothing behind."""
    monkeypatch.setenv("CAVIAR_URL", service.url)
    monkeypatch.setenv("CAVIAR_TOKEN", TOKEN)
    with Client(service.url, TOKEN) as client:
        yield client
        for left in list(client.studies()):
            client.delete_study(left.name)


def test_the_command_takes_a_study_or_a_trial(served: Client, remote_trainer: Trainer) -> None:
    served.create_study(study("two"))
    none_yet = CliRunner().invoke(app, ["snippet", "two"])
    assert none_yet.exit_code == 1
    assert "has no trial with a value yet" in none_yet.stderr
    first, best = remote_trainer.train([0.9]), remote_trainer.train([0.5])
    assert CliRunner().invoke(app, ["snippet", "two"]).stdout == served.snippet(best["trial_id"])
    asked = CliRunner().invoke(app, ["snippet", str(first["trial_id"])])
    assert asked.stdout == served.snippet(first["trial_id"])
