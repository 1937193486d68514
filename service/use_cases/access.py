"""What the one who acts may see and do: checked here, by the use cases, whatever route led to them.

What is outside of its scope does not exist for it; of what it sees, a missing right is told. In a transaction that
nobody acts in, nothing is allowed.
"""

from __future__ import annotations

from collections.abc import Callable

from caviar.contract.errors import Forbidden, NotFound
from service.domain.principal import RIGHTS, Kind, Principal, Right, Role
from service.store import studies, trials, workers
from service.store.transaction import Record, Transaction

_DOING = {
    Right.READ: "read studies",
    Right.OVERSEE: "see workers and objectives",
    Right.CONTROL: "create or change studies",
    Right.WORK: "do the work of a worker",
    Right.ADMINISTER: "administer the service",
}


def check(tx: Transaction, right: Right) -> Principal:
    """See to it that the one who acts has a right.

    Returns:
        Who acts.
    Raises:
        Forbidden: It has not, or nobody acts (403).
    """
    return require(tx.actor, right)


def require(actor: Principal | None, right: Right) -> Principal:
    """See to it that somebody has a right, before a transaction begins.

    Raises:
        Forbidden: It has not, or it is nobody (403).
    """
    if actor is None:
        raise Forbidden("nobody acts in this request; it was let in by no token and no session")
    if right not in actor.rights:
        raise _refused(actor, right)
    return actor


def sees(tx: Transaction, name: str) -> bool:
    """Whether a study of this name exists for the one who acts, if there is one."""
    return tx.actor is not None and tx.actor.sees(name)


def study(tx: Transaction, name: str, right: Right = Right.READ, *, is_locked: bool = False) -> Record:
    """The study of this name, for the one who acts.

    Args:
        tx: Reads it.
        name: The study.
        right: What is to be done with it.
        is_locked: Hold its row until the commit, where the database locks rows.
    Raises:
        NotFound: There is none, or not for the one who acts (404).
        Forbidden: It may be seen, but not this be done (403).
    """
    if not check(tx, Right.READ).sees(name):
        raise NotFound(studies.unknown(name))
    row = studies.get(tx, name, is_locked=is_locked)
    check(tx, right)
    return row


def new_study(tx: Transaction, name: str) -> None:
    """See to it that the one who acts may create a study of this name.

    Raises:
        Forbidden: It may create none, or none of this name (403).
    """
    if not check(tx, Right.CONTROL).sees(name):
        raise Forbidden(f"the scope of this token does not hold the name {name!r}; choose a name within its scope")


def trial(
    tx: Transaction,
    trial_id: int,
    right: Right = Right.READ,
    *,
    find: Callable[[Transaction, int], Record] = trials.get,
) -> Record:
    """The trial of this id, for the one who acts.

    Args:
        tx: Reads it.
        trial_id: The trial.
        right: What is to be done with it.
        find: Reads its row.
    Raises:
        NotFound: There is none, or not for the one who acts (404).
        Forbidden: It may be seen, but not this be done (403).
    """
    actor = check(tx, Right.READ)
    # Whoever sees everything need not be told apart by the study.
    if actor.scope is not None:
        known = trials.named(tx, [trial_id]).get(trial_id)
        if known is None or not actor.sees(known[0]):
            raise NotFound(trials.unknown(trial_id))
    check(tx, right)
    return find(tx, trial_id)


def leased_trial(tx: Transaction, trial_id: int) -> Record:
    """A trial with its current lease, for a worker; what it may do is then up to the token of the lease.

    Raises:
        NotFound: There is no such trial, or not for the one who acts (404).
        Forbidden: Who acts is no worker (403).
    """
    actor = check(tx, Right.WORK)
    row = trials.with_lease(tx, trial_id)
    if not actor.sees(row.study_name):
        raise NotFound(trials.unknown(trial_id))
    return row


def worker(tx: Transaction, worker_id: str) -> Record:
    """The worker of this id, for the one who works as it: whoever registered it, or an administrator.

    Raises:
        NotFound: There is none, or somebody else registered it (404).
        Forbidden: Who acts is no worker (403).
    """
    check(tx, Right.WORK)
    return own_worker(tx, worker_id, workers.get(tx, worker_id))


def own_worker(tx: Transaction, worker_id: str, row: Record | None) -> Record:
    """As `worker`, of a row that was read already; None for none."""
    actor = check(tx, Right.WORK)
    if row is None or (actor.role is not Role.ADMIN and row.token_id != actor.token_id):
        raise NotFound(workers.unknown(worker_id))
    return row


def _refused(actor: Principal, right: Right) -> Forbidden:
    needed = " or ".join(role for role in Role if right in RIGHTS[role])
    who = "a share link" if actor.kind is Kind.SHARE else f"the role {actor.role}"
    return Forbidden(f"{who} may not {_DOING[right]}; it takes a token with the role {needed}")
