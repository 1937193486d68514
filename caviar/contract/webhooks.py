"""Webhooks: what a service tells other services of its studies, and how that went."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints

from caviar.contract.errors import refusal
from caviar.contract.model import Label, Model, View
from caviar.contract.signatures import MAX_SECRET_BYTES, MIN_SECRET_BYTES, SECRET_PREFIX, secret_key
from caviar.contract.space import Params
from caviar.contract.states import EndReason, StudyState, TrialState
from caviar.contract.wording import patterned

MAX_URL_CHARACTERS = 2000


class WebhookEvent(StrEnum):
    """What a webhook can tell of.

    Attributes:
        NEW_BEST: A study has a value that is better than all before it.
        STUDY_DONE: A study has ended.
        FAILURE_STORM: Many trials of a study have failed within a short time.
        STAGNATION: A study has had no better value for many trials or epochs.
        PING: Somebody tries the webhook out.
    """

    NEW_BEST = "new_best"
    STUDY_DONE = "study_done"
    FAILURE_STORM = "failure_storm"
    STAGNATION = "stagnation"
    PING = "ping"


class DeliveryState(StrEnum):
    """How a delivery stands.

    Attributes:
        WAITING: It is to be sent, for the first time or again.
        SENDING: It is being sent.
        DELIVERED: The receiver has answered that it has it.
        FAILED: It is given up.
    """

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


def _secret(given: object) -> SecretStr:
    """Refuse what is no secret in words that do not repeat it."""
    expected = f"{SECRET_PREFIX} and the base64 form of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
    text = given.get_secret_value() if isinstance(given, SecretStr) else given
    if not isinstance(text, str):
        raise refusal("no text", expected, "leave it out to have one made")
    try:
        secret_key(text)
    except ValueError:
        raise refusal(f"a text of {len(text)} characters", expected, "leave it out to have one made") from None
    return SecretStr(text)


def _unique(items: list[Any]) -> list[Any]:
    doubles = sorted({str(item) for item in items if items.count(item) > 1})
    if doubles:
        raise refusal(", ".join(doubles), "each entry only once")
    return items


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
"""What messages are signed with: `whsec_…`. Written, never read."""

ToldEvent = Literal["new_best", "study_done", "failure_storm", "stagnation"]

StudyPattern = Annotated[
    str,
    patterned(
        r"^(\*|[a-z0-9][a-z0-9._-]{0,63}\*?)$",
        "the name of a study, or the beginning of names with a * at its end, such as digits-*",
    ),
]
"""A study's name, or a beginning of names followed by `*`."""

Url = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_CHARACTERS)]
Events = Annotated[list[ToldEvent], Field(min_length=1, max_length=4), AfterValidator(_unique)]
Patterns = Annotated[list[StudyPattern], Field(min_length=1, max_length=100), AfterValidator(_unique)]


class WebhookRules(Model):
    """When there is something to tell.

    Attributes:
        best_every_s: Seconds between two messages of a new best value of one study; the newest value is told then.
        storm_failures: Trials of a study that must have failed within `storm_within_s`.
        storm_within_s: Seconds.
        storm_share: Share of the trials that ended meanwhile that must have failed, 0-1.
        stagnant_trials: Trials without a better value after which a study stagnates; None for never.
        stagnant_epochs: Epochs of all trials without a better value after which it does; None for never.
    """

    best_every_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    storm_failures: Annotated[int, Field(ge=2, le=1000)] = 5
    storm_within_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    storm_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    stagnant_trials: Annotated[int, Field(ge=1, le=1_000_000)] | None = 50
    stagnant_epochs: Annotated[int, Field(ge=1, lt=2**53)] | None = None


class NewWebhook(Model):
    """A webhook to create.

    Attributes:
        name: For people.
        url: Where to send to: https, or http to an address that the operator allows.
        events: What to tell of.
        studies: Names of studies, or beginnings of names with a `*`; None for all that its creator may see.
        secret: What to sign with; None to have one made, which the answer shows once.
        is_active: Whether it is told anything.
        rules: When there is something to tell.
    """

    name: Label
    url: Url
    events: Events
    studies: Patterns | None = None
    secret: Secret | None = None
    is_active: bool = True
    rules: WebhookRules = WebhookRules()


class WebhookEdit(Model):
    """Changes of a webhook; what is left out stays. Its secret is changed by a rotation."""

    name: Label | None = None
    url: Url | None = None
    events: Events | None = None
    studies: Patterns | None = None
    is_active: bool | None = None
    rules: WebhookRules | None = None


class NewSecret(Model):
    """A change of a webhook's secret.

    Attributes:
        secret: The new one; None to have one made, which the answer shows once.
        keep_s: Seconds for which messages carry a signature by the old secret as well, 0 to a week.
    """

    secret: Secret | None = None
    keep_s: Annotated[float, Field(ge=0, le=604_800)] = 86_400.0


class WebhookView(View):
    """A webhook. Its secret is never told.

    Attributes:
        created_by: Name of the token that it was created with.
        old_secret_until: Until when messages carry a signature by the former secret as well; None if they do not.
        counts: Kept deliveries by state; states without any are left out.
    """

    webhook_id: int
    name: str
    url: str
    events: list[WebhookEvent]
    studies: list[str] | None
    rules: WebhookRules
    is_active: bool
    created_by: str
    created_at: datetime
    updated_at: datetime
    old_secret_until: datetime | None = None
    counts: dict[DeliveryState, int] = Field(default_factory=dict)


class SecretShown(View):
    """A webhook and the secret that was made for it, which nobody can read again.

    Attributes:
        secret: What was made; None if the request brought its own.
    """

    webhook: WebhookView
    secret: str | None = None


class Webhooks(View):
    """The webhooks that the caller may see, the oldest first."""

    items: list[WebhookView]


class DeliveryView(View):
    """One message and how its delivery stands.

    Attributes:
        message_id: The header `webhook-id`, the same at every attempt.
        study: Name of the study that it tells of; None for a ping.
        attempts: How often it was sent.
        status: HTTP status of the last answer; None if there was none.
        error: Why the last attempt failed, for people.
        next_attempt_at: When it is sent again, at the earliest; None once it is delivered or given up.
        give_up_at: After when it is not sent again.
        payload: The body.
    """

    delivery_id: int
    webhook_id: int
    message_id: str
    event: WebhookEvent
    study: str | None
    state: DeliveryState
    attempts: int
    status: int | None
    error: str | None
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    give_up_at: datetime
    payload: dict[str, Any]


class Deliveries(View):
    """A page of deliveries, the newest first; `next_after` goes into `after` for the next one, None on the last."""

    items: list[DeliveryView]
    next_after: int | None = None


class ToldTrial(View):
    """The best trial of a study, as a message tells it."""

    trial_id: int
    number: int
    params: Params
    value: float
    epoch: int
    url: str | None = None


class ToldStudy(View):
    """A study, as a message tells it.

    Attributes:
        num_trials: Trials so far, imported ones included.
        num_epochs: Epochs reported so far.
        counts: Number of trials by state; only when it has ended.
        url: Of its page; None unless the operator has said where the service is reached.
    """

    name: str
    state: StudyState
    end_reason: EndReason | None
    metric: str
    direction: str
    num_trials: int
    num_epochs: int
    counts: dict[TrialState, int] | None = None
    url: str | None = None


class ToldRule(View):
    """The rule of a storm or a stagnation, with its numbers and those that were found.

    Attributes:
        limit: What the rule asks for.
        found: What was counted.
        reasons: Failed trials by reason, of a storm.
    """

    limit: dict[str, float]
    found: dict[str, float]
    reasons: dict[str, int] | None = None


class Told(View):
    """What a message is about; a ping is about nothing."""

    webhook: str
    study: ToldStudy | None = None
    best: ToldTrial | None = None
    rule: ToldRule | None = None


class Message(View):
    """The body of a message.

    Attributes:
        type: What it tells of.
        timestamp: When it happened.
        text: The same as a sentence, as chat services show it.
        data: The same as numbers and names.
    """

    type: WebhookEvent
    timestamp: datetime
    text: str
    data: Told
