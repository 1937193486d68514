"""Training a configuration once more: by the same trial, as a new one, or in a clone of its study."""

from __future__ import annotations

from dataclasses import dataclass

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.states import StudyState, TrialState
from service.domain.principal import Right
from service.store import studies, trials
from service.store.transaction import Transaction
from service.use_cases import access, controlling, submitting

_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Repeated:
    """What trains the configuration now.

    Attributes:
        trial_id: The trial.
        is_new: Whether it is another one than before.
    """

    trial_id: int
    is_new: bool


def run_again(tx: Transaction, trial_id: int, clone_name: str = "") -> Repeated:
    """Have the configuration of a trial trained once more.

    An ended trial of a study that goes on runs again itself. One that has not ended, or was imported, stays as it is,
    and a new trial takes its configuration. Of a study that has ended, a clone is made that begins with it.

    Args:
        trial_id: The trial.
        clone_name: Name for the clone, for a study that has ended.
    Raises:
        NotFound: There is no such trial (404).
        StateConflict: The budget of the study is spent (409).
        StudyExists: Another study has the clone's name (409).
        InvalidRequest: The configuration does not fit the search space as it is now (422).
    """
    trial = access.trial(tx, trial_id, Right.CONTROL, find=trials.with_lease)
    if StudyState(trial.study_state).is_finished:
        if not clone_name:
            field = FieldError(field="name", received="nothing", expected="a name for the clone")
            raise InvalidRequest(f"study {trial.study_name!r} has ended; a clone of it can go on", errors=[field])
        view = submitting.clone(tx, trial.study_name, clone_name)
        return Repeated(submitting.enqueue(tx, view.name, trial.params), is_new=True)
    if TrialState(trial.state).is_finished and trial.origin != "imported":
        controlling.retry_trial(tx, trial_id)
        return Repeated(trial_id, is_new=False)
    return Repeated(submitting.enqueue(tx, trial.study_name, trial.params), is_new=True)


def free_name(tx: Transaction, name: str) -> str:
    """A name like another study's that no study has."""
    for number in range(2, 10_000):
        ending = f"-{number}"
        candidate = name[: _LONGEST_NAME - len(ending)] + ending
        if not access.sees(tx, candidate) or studies.find(tx, candidate) is None:
            return candidate
    return ""
