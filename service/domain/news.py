"""When a webhook has something to tell, and when a message that was not taken is sent again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from caviar.contract.webhooks import WebhookRules

STORM_PAUSE = timedelta(hours=1)
"""After a message of a storm, the study's failures are not told again for so long."""

PATIENCE = timedelta(days=1)
"""How long a message is sent again and again."""

_FIRST_DELAY_S = 5.0
_GROWTH = 3.0
_LONGEST_DELAY_S = 6 * 3600.0
_JITTER = 0.2


def names(patterns: Sequence[str] | None, study: str) -> bool:
    """Whether names of studies, or beginnings of names with a `*`, name a study; None names all."""
    if patterns is None:
        return True
    return any(study.startswith(one[:-1]) if one.endswith("*") else study == one for one in patterns)


def best_due_at(rules: WebhookRules, last: datetime | None, now: datetime) -> datetime:
    """When a new best value may be told.

    Args:
        rules: Of the webhook.
        last: When the study's best value before it was told, or is going to be; None if never.
        now: The time.
    """
    return now if last is None else max(now, last + timedelta(seconds=rules.best_every_s))


def is_storm(rules: WebhookRules, *, num_failed: int, num_ended: int) -> bool:
    """Whether failures within the rule's seconds are a storm.

    Args:
        rules: Of the webhook.
        num_failed: Trials that failed in this time; a divergence is a result and counts only among the ended.
        num_ended: Trials that completed, failed or were pruned in this time.
    """
    return num_failed >= rules.storm_failures and num_failed >= rules.storm_share * num_ended


def is_stagnant(rules: WebhookRules, *, num_trials: int, num_epochs: int) -> bool:
    """Whether a study stagnates.

    Args:
        rules: Of the webhook.
        num_trials: Trials that ended or paused since the study's best value.
        num_epochs: Epochs that were reported since then.
    """
    by_trials = rules.stagnant_trials is not None and num_trials >= rules.stagnant_trials
    return by_trials or (rules.stagnant_epochs is not None and num_epochs >= rules.stagnant_epochs)


def next_attempt_at(attempts: int, now: datetime, give_up_at: datetime, chance: random.Random) -> datetime | None:
    """When a message is sent again that was not taken: later each time, and not by all at the same moment.

    Args:
        attempts: How often it was sent, from 1.
        now: The time.
        give_up_at: After when it is not sent again.
        chance: Where the jitter comes from.
    Returns:
        The time; None if it is given up.
    """
    delay_s = min(_FIRST_DELAY_S * _GROWTH ** min(attempts - 1, 20), _LONGEST_DELAY_S)
    at = now + timedelta(seconds=delay_s * chance.uniform(1 - _JITTER, 1 + _JITTER))
    return at if at <= give_up_at else None
