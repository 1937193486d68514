"""webhooks and their deliveries

Revision ID: 0006
Revises: 0005
Created at: 2026-11-30 05:10:00.000000
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FAILED = "state = 'failed'"


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(none_as_null=True), nullable=False),
        sa.Column(
            "studies",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="names, or beginnings of names with a *; null for all of the scope",
        ),
        sa.Column(
            "scope",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="the scope that its creator had; null for all studies",
        ),
        sa.Column("rules", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False, comment="name of the token that it was created with"),
        sa.Column(
            "token_id",
            sa.Integer(),
            nullable=True,
            comment="the token that it was created with; no foreign key: it outlives the token",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.String(length=200), nullable=False, comment="read only to sign messages"),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="until when messages are signed with it as well; null for the newest",
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_secrets_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
    )
    op.create_index(op.f("ix_webhook_secrets_webhook_id"), "webhook_secrets", ["webhook_id"])
    _create_deliveries()
    op.create_index(
        op.f("ix_trials_study_id_ended_at"),
        "trials",
        ["study_id", "ended_at"],
        sqlite_where=sa.text(_FAILED),
        postgresql_where=sa.text(_FAILED),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False, comment="the same at every attempt"),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=True, comment="no foreign key: messages outlive their study"),
        sa.Column("study", sa.String(length=64), nullable=True, comment="name of the study"),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="exactly what is signed and sent"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP status of the last answer"),
        sa.Column("error", sa.Text(), nullable=True, comment="why the last attempt failed"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "next_attempt_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="while it is being sent, when its sender is taken for dead",
        ),
        sa.Column("first_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("message_id", name=op.f("uq_deliveries_message_id")),
        comment="messages of webhooks, written with the change that they tell of",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_deliveries_next_attempt_at"), "deliveries", ["next_attempt_at"])
    op.create_index(op.f("ix_deliveries_webhook_id_id"), "deliveries", ["webhook_id", "id"])
    op.create_index(op.f("ix_deliveries_webhook_id_study_id_event"), "deliveries", ["webhook_id", "study_id", "event"])
    op.create_index(op.f("ix_deliveries_created_at"), "deliveries", ["created_at"])


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index(op.f("ix_trials_study_id_ended_at"), table_name="trials")
    op.drop_table("deliveries")
    op.drop_table("webhook_secrets")
    op.drop_table("webhooks")
