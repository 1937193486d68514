"""A trial's configuration as a Python program to take along."""

from __future__ import annotations

from caviar.contract.errors import InvalidRequest
from caviar.contract.losses import LossMismatch
from caviar.contract.study import StudySpec
from caviar.contract.views import TrialDetail
from caviar.snippets import mlp, plain
from caviar.snippets.source import Source
from service.domain import rules
from service.store.artifacts import WEIGHTS
from service.store.transaction import Transaction
from service.use_cases import access, reading

_MLP = "mlp"


def of_id(tx: Transaction, trial_id: int) -> str:
    """The program of a trial.

    Raises:
        NotFound: There is no such trial (404).
    """
    return of_trial(tx, reading.trial(tx, trial_id))


def of_trial(tx: Transaction, trial: TrialDetail) -> str:
    """The program of a trial: complete for the built-in `mlp` on a named set, else the parameters and the weights."""
    spec = StudySpec.model_validate(access.study(tx, trial.study).spec)
    source = Source(
        study=spec.name,
        objective=spec.objective.name,
        config=spec.objective.config,
        trial_id=trial.trial_id,
        number=trial.number,
        params=trial.params,
        metric=spec.metric,
        value=trial.value,
        best_epoch=trial.best_epoch,
        max_epochs=trial.max_epochs,
        early_stopping=spec.early_stopping,
        seed=trial.seed,
        data_seed=rules.derived_seed(spec.seed, "data"),
        has_weights=any(kept.kind == WEIGHTS for kept in trial.artifacts),
    )
    if spec.objective.name != _MLP:
        return plain.write(source)
    if "file" in {**spec.objective.config, **trial.params}:
        return plain.write(source, "Its data is a file of the worker's machine, which the service has never seen.")
    try:
        return mlp.write(source)
    except (InvalidRequest, LossMismatch) as error:
        # Such a trial ends as infeasible; its parameters are still worth copying.
        return plain.write(source, f"It cannot be trained: {str(error).splitlines()[0]}.")
