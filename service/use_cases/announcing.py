"""Finding out what webhooks are to be told, at the end of the transaction that it happens in.

A message is written with the change that it tells of: both are committed, or neither. A transaction in which nothing
of interest happened pays for looking at a set; one in which something did reads the webhooks once.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from caviar.contract.states import StudyState, TrialState
from caviar.contract.webhooks import DeliveryState, ToldRule, WebhookEvent, WebhookRules
from service.domain import news
from service.store import deliveries, improvements, studies, webhooks
from service.store.transaction import Record, Transaction
from service.use_cases.messages import Composer

_ENDINGS = frozenset({"trial_ended", "trial_paused", "study_changed"})


@dataclass(frozen=True, slots=True)
class _Hook:
    row: Record
    rules: WebhookRules

    def wants(self, event: WebhookEvent, study: str) -> bool:
        row = self.row
        return event in row.events and news.names(row.studies, study) and news.names(row.scope, study)


@dataclass(slots=True)
class _Happened:
    """What happened to a study in a transaction."""

    is_done: bool = False
    is_better: bool = False
    has_failures: bool = False
    has_endings: bool = False


@dataclass(frozen=True, slots=True)
class Announcer:
    """Writes messages for the webhooks that want them.

    Attributes:
        composer: Writes their bodies.
    """

    composer: Composer = field(default_factory=Composer)

    def __call__(self, tx: Transaction) -> None:
        """Look at what happened in a transaction that is about to be committed."""
        if not tx.gains and tx.kinds.isdisjoint(_ENDINGS):
            return
        happened = _happened(tx)
        hooks = _hooks(tx) if happened else []
        if not hooks:
            return
        for study_id, what in sorted(happened.items()):
            study = studies.by_id(tx, study_id)
            if study is not None:
                self._tell(tx, hooks, study, what)

    def watch(self, tx: Transaction) -> None:
        """Look for studies in which nothing ends for so long that they stagnate by their epochs alone."""
        hooks = [
            hook for hook in _hooks(tx) if hook.rules.stagnant_epochs and WebhookEvent.STAGNATION in hook.row.events
        ]
        for running in studies.in_state(tx, StudyState.RUNNING) if hooks else ():
            study = studies.by_id(tx, running.id)
            if study is not None:
                self._tell(tx, hooks, study, _Happened(has_endings=True))

    def ping(self, tx: Transaction, webhook: Record) -> int:
        """Write a ping; returns the id of its delivery."""
        return _add(tx, webhook.id, WebhookEvent.PING, self.composer.ping(tx, webhook.name), due_at=tx.now)

    def _tell(self, tx: Transaction, hooks: list[_Hook], study: Record, what: _Happened) -> None:
        is_running = study.state == StudyState.RUNNING
        for hook in hooks:
            if what.is_better and hook.wants(WebhookEvent.NEW_BEST, study.name):
                self._tell_best(tx, hook, study)
            if what.has_failures and hook.wants(WebhookEvent.FAILURE_STORM, study.name):
                self._tell_storm(tx, hook, study)
            if is_running and what.has_endings and hook.wants(WebhookEvent.STAGNATION, study.name):
                self._tell_stagnation(tx, hook, study)
            if what.is_done and hook.wants(WebhookEvent.STUDY_DONE, study.name):
                self._add(tx, hook, WebhookEvent.STUDY_DONE, study)

    def _tell_best(self, tx: Transaction, hook: _Hook, study: Record) -> None:
        event = WebhookEvent.NEW_BEST
        before = deliveries.last(tx, hook.row.id, study.id, event)
        is_unsent = before is not None and before.state == DeliveryState.WAITING and before.attempts == 0
        if before is not None and is_unsent:
            body = self.composer.news(tx, event, hook.row.name, study)
            if deliveries.replace_unsent(tx, before.id, body):
                return
        told_at = None if before is None else before.first_due_at
        self._add(tx, hook, event, study, due_at=news.best_due_at(hook.rules, told_at, tx.now))

    def _tell_storm(self, tx: Transaction, hook: _Hook, study: Record) -> None:
        rules = hook.rules
        before = deliveries.last(tx, hook.row.id, study.id, WebhookEvent.FAILURE_STORM)
        if before is not None and tx.now - before.created_at < news.STORM_PAUSE:
            return
        since = tx.now - timedelta(seconds=rules.storm_within_s)
        reasons = deliveries.failures(tx, study.id, since)
        num_failed = sum(reasons.values())
        if num_failed < rules.storm_failures:
            return
        num_ended = deliveries.num_ended(tx, study.id, since)
        if news.is_storm(rules, num_failed=num_failed, num_ended=num_ended):
            limit = {
                "failures": rules.storm_failures,
                "within_s": rules.storm_within_s,
                "share": rules.storm_share,
            }
            rule = ToldRule(limit=limit, found={"failed": num_failed, "ended": num_ended}, reasons=reasons)
            self._add(tx, hook, WebhookEvent.FAILURE_STORM, study, rule)

    def _tell_stagnation(self, tx: Transaction, hook: _Hook, study: Record) -> None:
        rules = hook.rules
        gain = improvements.newest(tx, study.id)
        num_epochs = study.num_epochs + tx.spent(study.id) - (0 if gain is None else gain.num_epochs)
        if not news.is_stagnant(rules, num_trials=study.num_stagnant, num_epochs=num_epochs):
            return
        before = deliveries.last(tx, hook.row.id, study.id, WebhookEvent.STAGNATION)
        if before is not None and (gain is None or before.created_at >= gain.at):
            return
        asked = {"trials": rules.stagnant_trials, "epochs": rules.stagnant_epochs}
        limit: dict[str, float] = {name: number for name, number in asked.items() if number is not None}
        rule = ToldRule(limit=limit, found={"trials": study.num_stagnant, "epochs": num_epochs})
        self._add(tx, hook, WebhookEvent.STAGNATION, study, rule)

    def _add(
        self,
        tx: Transaction,
        hook: _Hook,
        event: WebhookEvent,
        study: Record,
        rule: ToldRule | None = None,
        *,
        due_at: datetime | None = None,
    ) -> None:
        body = self.composer.news(tx, event, hook.row.name, study, rule)
        _add(tx, hook.row.id, event, body, due_at=due_at or tx.now, study=study)


def _add(
    tx: Transaction, webhook_id: int, event: WebhookEvent, body: str, *, due_at: datetime, study: Record | None = None
) -> int:
    values = {
        "message_id": f"msg_{secrets.token_hex(16)}",
        "webhook_id": webhook_id,
        "study_id": None if study is None else study.id,
        "study": None if study is None else study.name,
        "event": event,
        "body": body,
        "first_due_at": due_at,
        "next_attempt_at": due_at,
        "give_up_at": due_at + news.PATIENCE,
    }
    return deliveries.add(tx, values)


def _hooks(tx: Transaction) -> list[_Hook]:
    return [_Hook(row, WebhookRules.model_validate(row.rules)) for row in webhooks.active(tx)]


def _happened(tx: Transaction) -> dict[int, _Happened]:
    found: dict[int, _Happened] = defaultdict(_Happened)
    for study_id in tx.gains:
        found[study_id].is_better = True
    for study_id, kind, data in tx.pending(*_ENDINGS):
        what = found[study_id]
        what.has_endings |= kind != "study_changed"
        what.has_failures |= kind == "trial_ended" and data["state"] == TrialState.FAILED
        what.is_done |= kind == "study_changed" and StudyState(str(data["state"])).is_finished
    return found
