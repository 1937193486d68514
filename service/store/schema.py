"""The tables. SQLite and Postgres hold the same; Alembic revisions under `migrations/` lead to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.selectable import NamedFromClause
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which has no time zones, holds it as naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes: nobody could say what they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"received the naive datetime {value!r}, expected an aware one")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every datetime its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_JSON: Any = JSON(none_as_null=True)

# Of rows that change with every report. Postgres writes their new versions into the same page while there is room, and
# clears a page of old ones once it is as full as this: a study's row is wider than what would be left of it by default.
_CHANGING: Any = {"postgresql_with": {"fillfactor": 25}}

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("spec", _JSON, nullable=False, comment="the study body as it stands, with all defaults and the space"),
    Column("submitted_digest", String(64), nullable=False, comment="SHA-256 of the body as it was first submitted"),
    Column("state", String(16), nullable=False),
    Column("end_reason", String(32)),
    Column("num_trials", Integer, nullable=False, default=0),
    Column(
        "num_epochs", Integer, nullable=False, default=0, comment="epochs reported, those of lost attempts included"
    ),
    Column("last_event_seq", Integer, nullable=False, default=0),
    Column("space_version", Integer, nullable=False, default=1, server_default="1"),
    Column("num_imported", Integer, nullable=False, default=0, server_default="0"),
    Column("best_value", Double, comment="best value of any trial so far"),
    Column("best_trial_id", Integer, comment="the trial that reached it first"),
    Column(
        "num_stagnant",
        Integer,
        nullable=False,
        default=0,
        server_default="0",
        comment="trials that ended or paused since the best value",
    ),
    Column("priority", Integer, nullable=False, default=0, server_default="0"),
    Column(
        "slot_s",
        Double,
        nullable=False,
        default=0.0,
        server_default="0",
        comment="seconds of slots that its ended attempts took",
    ),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("archived_at", UtcDateTime, comment="since when it is kept and changes no more; null while it is in use"),
    Index(None, "state"),
    **_CHANGING,
)

trials = Table(
    "trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("stop_reason", String(16)),
    Column("evidence", _JSON),
    Column("origin", String(16), nullable=False),
    Column("round", Integer),
    Column("params", _JSON, nullable=False),
    Column("value", Double),
    Column("best_epoch", Integer),
    Column("num_epochs", Integer, nullable=False, default=0),
    Column("attempt", Integer, nullable=False, default=0, comment="attempts begun"),
    Column(
        "num_charged", Integer, nullable=False, default=0, comment="attempts lost or failed, counted against retries"
    ),
    Column("worker_id", String(36)),
    Column("checkpoint_epoch", Integer, comment="epoch of the checkpoint that it can go on from"),
    Column(
        "promoted_epoch",
        Integer,
        nullable=False,
        default=0,
        server_default="0",
        comment="epoch of the highest rung that it was promoted from",
    ),
    Column(
        "is_alone",
        Boolean,
        nullable=False,
        default=False,
        server_default=false(),
        comment="whether nothing else may share its device, because an attempt ran out of memory",
    ),
    Column("space_version", Integer, nullable=False, default=1, server_default="1"),
    Column("as_of_seq", Integer, comment="the last event that its proposal was conditioned on"),
    Column("error", _JSON),
    Column("elapsed_s", Double),
    Column("params_digest", String(16), comment="equal for trials of one study with equal parameters"),
    Column("tags", _JSON, nullable=False, default=dict, server_default="{}", comment="what people say of it, by name"),
    Column("note", Text, nullable=False, default="", server_default="", comment="what people say of it"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("study_id", "number"),
    Index(None, "study_id", "state"),
    Index(None, "study_id", "value", "number"),
    Index(None, "study_id", "params_digest"),
    # Of failed trials alone, which are few: a storm of them is looked for whenever one fails.
    Index(
        None, "study_id", "ended_at", sqlite_where=text("state = 'failed'"), postgresql_where=text("state = 'failed'")
    ),
    sqlite_autoincrement=True,
)

attempts = Table(
    "attempts",
    metadata,
    Column("trial_id", ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", String(64), nullable=False, unique=True),
    Column("worker_id", String(36), nullable=False),
    Column("request_id", String(100), nullable=False),
    Column("first_epoch", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("end", String(16)),
    Column("outcome", String(16), comment="what the worker said at the end"),
    Column("error", _JSON),
    Column("evidence", _JSON, comment="why a paused trial was promoted to this attempt"),
    Column("facts", _JSON, comment="circumstances that the worker told: device, code, peaks of memory"),
    Column("log_tail", Text, comment="the last lines that the training wrote"),
    PrimaryKeyConstraint("trial_id", "attempt"),
    Index(None, "worker_id", "request_id"),
    # Of attempts whose last lines are kept: those that are old are looked for again and again.
    Index(None, "ended_at", sqlite_where=text("log_tail IS NOT NULL"), postgresql_where=text("log_tail IS NOT NULL")),
)

leases = Table(
    "leases",
    metadata,
    Column("trial_id", ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", String(64), nullable=False, unique=True),
    Column("worker_id", String(36), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "worker_id"),
    Index(None, "study_id"),
    # None of `expires_at`: it would have to follow every report, and few leases are looked through soon.
    **_CHANGING,
)

measurements = Table(
    "measurements",
    metadata,
    Column("trial_id", ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("value", Double, nullable=False, comment="the study's metric, for curves without unpacking"),
    Column("metrics", _JSON, nullable=False),
    Column("elapsed_s", Double, nullable=False),
    Column("reported_at", UtcDateTime, nullable=False),
    Column("decision", String(16), comment="what was decided after this epoch, where something was compared"),
    Column("evidence", _JSON, comment="what the decision rests on"),
    Column("is_current", Boolean, nullable=False, default=True, comment="false once a later attempt trains this epoch"),
    PrimaryKeyConstraint("trial_id", "attempt", "epoch"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("host", String(200), nullable=False),
    Column("slots", Integer, nullable=False),
    Column("devices", _JSON, nullable=False),
    Column("labels", _JSON, nullable=False, default=dict, server_default="{}"),
    Column("mode", String(16), nullable=False, default="working", server_default="working"),
    Column("slot_facts", _JSON, comment="what each slot does, as the worker said last"),
    Column("objectives", _JSON, nullable=False, comment="offered objectives, each with name and space"),
    Column("token_id", Integer, comment="the token that it registered with, which it works with"),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "study_id", Integer, nullable=False, comment="no foreign key: rows outlive it until their files are removed"
    ),
    Column("trial_id", Integer, nullable=False),
    Column("kind", String(16), nullable=False, comment="checkpoint or weights"),
    Column("attempt", Integer, nullable=False, comment="the attempt that made it"),
    Column("epoch", Integer, nullable=False, comment="the last epoch that it holds"),
    Column("name", String(200), nullable=False, unique=True, comment="its name in the artifact store"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("doomed_at", UtcDateTime, comment="since when nobody needs it; the file goes, then the row"),
    Index(None, "trial_id", "kind"),
    Index(None, "study_id"),
    Index(None, "doomed_at"),
)

rounds = Table(
    "rounds",
    metadata,
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("first_trial", Integer, nullable=False),
    Column("origin", String(16), nullable=False, default="sampler", server_default="sampler"),
    Column("elite", _JSON, nullable=False),
    Column("windows", _JSON, nullable=False),
    Column("model", _JSON, comment="what else the strategy keeps of it"),
    Column(
        "num_epochs",
        Integer,
        nullable=False,
        default=0,
        server_default="0",
        comment="epochs of the study by then",
    ),
    Column("opened_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("study_id", "number"),
)

improvements = Table(
    "improvements",
    metadata,
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("num_epochs", Integer, nullable=False, comment="epochs of the study by then, this one included"),
    Column("trial_id", Integer, nullable=False),
    Column("number", Integer, nullable=False, comment="of the trial within its study"),
    Column("attempt", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("value", Double, nullable=False, comment="better than all before it"),
    Column("at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("study_id", "trial_id", "attempt", "epoch"),
    comment="the best value of each study over time",
)

spaces = Table(
    "spaces",
    metadata,
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("space", _JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("study_id", "version"),
    comment="search spaces that an edit replaced; the current one is in the study body",
)

events = Table(
    "events",
    metadata,
    Column("study_id", ForeignKey("studies.id", ondelete="CASCADE"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("data", _JSON, nullable=False),
    PrimaryKeyConstraint("study_id", "seq"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False, comment="access, share or session"),
    Column("role", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("scope", _JSON, comment="names and patterns of the studies that it is limited to; null for all"),
    Column("parent_id", Integer, comment="of a session, the token that it was opened with and ends with"),
    Column("created_by", Text, comment="who made it; null for the token of the settings"),
    Column(
        "secret_digest", String(64), nullable=False, unique=True, comment="SHA-256; the secret itself is not stored"
    ),
    Column("old_digest", String(64), comment="of the secret before the last rotation"),
    Column("old_expires_at", UtcDateTime, comment="until when the secret before the last rotation is valid"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime, comment="to the minute"),
    Column("revoked_at", UtcDateTime),
    Index(None, "old_digest"),
    Index(None, "parent_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False, comment="name of the token"),
    Column("role", String(16), nullable=False),
    Column("token_id", Integer),
    Column("address", String(64), comment="of the client"),
    Column("request_id", String(100)),
    Column("action", String(64), nullable=False),
    Column("object", String(200), nullable=False, comment="what it was done to: a kind, a colon, a name or id"),
    Column("details", _JSON, nullable=False),
    Index(None, "at"),
    Index(None, "actor"),
    Index(None, "action"),
    Index(None, "object"),
    comment="who did what; rows are added, and removed when they are old",
    sqlite_autoincrement=True,
)


webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", _JSON, nullable=False),
    Column("studies", _JSON, comment="names, or beginnings of names with a *; null for all of the scope"),
    Column("scope", _JSON, comment="the scope that its creator had; null for all studies"),
    Column("rules", _JSON, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_by", Text, nullable=False, comment="name of the token that it was created with"),
    Column("token_id", Integer, comment="the token that it was created with; no foreign key: it outlives the token"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("secret", String(200), nullable=False, comment="read only to sign messages"),
    Column("expires_at", UtcDateTime, comment="until when messages are signed with it as well; null for the newest"),
    Index(None, "webhook_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("message_id", String(64), nullable=False, unique=True, comment="the same at every attempt"),
    Column("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("study_id", Integer, comment="no foreign key: messages outlive their study"),
    Column("study", String(64), comment="name of the study"),
    Column("event", String(16), nullable=False),
    Column("body", Text, nullable=False, comment="exactly what is signed and sent"),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("status", Integer, comment="HTTP status of the last answer"),
    Column("error", Text, comment="why the last attempt failed"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_attempt_at", UtcDateTime),
    Column("next_attempt_at", UtcDateTime, comment="while it is being sent, when its sender is taken for dead"),
    Column("first_due_at", UtcDateTime, nullable=False),
    Column("give_up_at", UtcDateTime, nullable=False),
    Index(None, "next_attempt_at"),
    Index(None, "webhook_id", "id"),
    Index(None, "webhook_id", "study_id", "event"),
    Index(None, "created_at"),
    sqlite_autoincrement=True,
    comment="messages of webhooks, written with the change that they tell of",
)


def alias_of(table: Table, name: str) -> NamedFromClause[Any]:
    """A table by another name, for all threads.

    Its columns are made here: at their first use, threads that come at the same time would each make their own, and a
    statement with both kinds of them is refused.
    """
    made = table.alias(name)
    made.c.keys()
    return made
