"""What webhooks tell: the bodies of their messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from caviar.contract.states import StudyState, TrialState
from caviar.contract.webhooks import Message, Told, ToldRule, ToldStudy, ToldTrial, WebhookEvent
from service.store import studies, trials
from service.store.transaction import Record, Transaction
from service.use_cases.specs import parsed


@dataclass(frozen=True, slots=True)
class Composer:
    """Writes messages.

    Attributes:
        public_url: Address that people reach the service at, without a slash at its end; None for no links.
    """

    public_url: str | None = None

    def ping(self, tx: Transaction, webhook: str) -> str:
        """The body of a ping."""
        text = f"Caviar: a ping of the webhook {_plain(webhook)}."
        return _body(Message(type=WebhookEvent.PING, timestamp=tx.now, text=text, data=Told(webhook=webhook)))

    def news(
        self, tx: Transaction, event: WebhookEvent, webhook: str, study: Record, rule: ToldRule | None = None
    ) -> str:
        """The body of a message about a study.

        Args:
            event: What it tells of.
            webhook: Name of the webhook.
            study: Row of the study, as `studies.by_id` gives it.
            rule: The rule that has been met, of a storm or a stagnation.
        """
        best = self._best(tx, study)
        told = self._study(tx, study, has_counts=event is WebhookEvent.STUDY_DONE)
        data = Told(webhook=webhook, study=told, best=best, rule=rule)
        text = _SENTENCES[event](told, best, rule)
        link = best.url if event is WebhookEvent.NEW_BEST and best is not None else told.url
        return _body(Message(type=event, timestamp=tx.now, text=f"{text} {link}" if link else text, data=data))

    def _study(self, tx: Transaction, study: Record, *, has_counts: bool) -> ToldStudy:
        metric = parsed(study.spec_text).metric
        return ToldStudy(
            name=study.name,
            state=StudyState(study.state),
            end_reason=study.end_reason,
            metric=metric.name,
            direction=metric.direction,
            num_trials=study.num_trials,
            num_epochs=study.num_epochs + tx.spent(study.id),
            counts=studies.trial_counts(tx, [study.id])[study.id] if has_counts else None,
            url=self._link(f"/studies/{quote(study.name, safe='')}"),
        )

    def _best(self, tx: Transaction, study: Record) -> ToldTrial | None:
        if study.best_trial_id is None:
            return None
        trial = trials.get(tx, study.best_trial_id)
        if trial.value is None:  # It is run once more from its first epoch.
            return None
        return ToldTrial(
            trial_id=trial.id,
            number=trial.number,
            params=trial.params,
            value=trial.value,
            epoch=trial.best_epoch,
            url=self._link(f"/trials/{trial.id}"),
        )

    def _link(self, path: str) -> str | None:
        return None if self.public_url is None else self.public_url + path


def _body(message: Message) -> str:
    return message.model_dump_json()


def _plain(text: str) -> str:
    # Chat services read these three as the beginnings of links, mentions and entities.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _value(study: ToldStudy, best: ToldTrial) -> str:
    return f"{_plain(study.metric)} {best.value:.6g} (trial {best.number}, epoch {best.epoch})"


def _new_best(study: ToldStudy, best: ToldTrial | None, _rule: ToldRule | None) -> str:
    return f"{study.name}: new best {_value(study, best) if best else 'value'}."


def _study_done(study: ToldStudy, best: ToldTrial | None, _rule: ToldRule | None) -> str:
    counts: Mapping[TrialState, int] = study.counts or {}
    told = ", ".join(f"{num} {state}" for state, num in counts.items())
    ended = f"{study.name} is {study.state} ({study.end_reason}) after {study.num_trials} trials"
    ended += f" ({told})" if told else ""
    return f"{ended}; best {_value(study, best)}." if best else f"{ended}; no trial has a value."


def _failure_storm(study: ToldStudy, _best: ToldTrial | None, rule: ToldRule | None) -> str:
    found, limit = (rule.found, rule.limit) if rule else ({}, {})
    reasons = ", ".join(f"{num} {reason}" for reason, num in (rule.reasons or {}).items()) if rule else ""
    failed = f"{found.get('failed', 0):g} of {found.get('ended', 0):g} trials that ended"
    return f"{study.name}: {failed} within {limit.get('within_s', 0):g} s have failed ({reasons})."


def _stagnation(study: ToldStudy, best: ToldTrial | None, rule: ToldRule | None) -> str:
    found = rule.found if rule else {}
    since = f"no better value for {found.get('trials', 0):g} trials and {found.get('epochs', 0):g} epochs"
    return f"{study.name}: {since}; best {_value(study, best)}." if best else f"{study.name}: {since}."


_SENTENCES = {
    WebhookEvent.NEW_BEST: _new_best,
    WebhookEvent.STUDY_DONE: _study_done,
    WebhookEvent.FAILURE_STORM: _failure_storm,
    WebhookEvent.STAGNATION: _stagnation,
}
