"""roles, scopes and expiry of tokens; the audit log

Revision ID: 0005
Revises: 0004
Created at: 2026-11-30 05:10:00.000000
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="name of the token"),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True, comment="of the client"),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column(
            "object",
            sa.String(length=200),
            nullable=False,
            comment="what it was done to: a kind, a colon, a name or id",
        ),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        comment="who did what; rows are added, and removed when they are old",
        sqlite_autoincrement=True,
    )
    for column in ("at", "actor", "action", "object"):
        op.create_index(op.f(f"ix_audit_{column}"), "audit", [column])
    for added in (
        sa.Column(
            "scope",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="names and patterns of the studies that it is limited to; null for all",
        ),
        sa.Column(
            "parent_id",
            sa.Integer(),
            nullable=True,
            comment="of a session, the token that it was opened with and ends with",
        ),
        sa.Column("created_by", sa.Text(), nullable=True, comment="who made it; null for the token of the settings"),
        sa.Column("old_digest", sa.String(length=64), nullable=True, comment="of the secret before the last rotation"),
        sa.Column(
            "old_expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="until when the secret before the last rotation is valid",
        ),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True, comment="to the minute"),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("tokens", added)
    op.create_index(op.f("ix_tokens_old_digest"), "tokens", ["old_digest"])
    op.create_index(op.f("ix_tokens_parent_id"), "tokens", ["parent_id"])
    op.add_column(
        "workers",
        sa.Column(
            "token_id",
            sa.Integer(),
            nullable=True,
            comment="the token that it registered with, which it works with",
        ),
    )
    _say_kinds("access, share or session", before="access or session")
    # Sessions end with the token that they were opened with, which is not known of those from before.
    tokens = sa.table("tokens", sa.column("kind", sa.String))
    op.execute(sa.delete(tokens).where(tokens.c.kind == "session"))


def downgrade() -> None:
    """Take this revision back."""
    _say_kinds("access or session", before="access, share or session")
    op.drop_column("workers", "token_id")
    tokens = sa.table("tokens", sa.column("kind", sa.String), sa.column("role", sa.String))
    # What came before knows one role, and would let everybody in as an administrator.
    op.execute(sa.delete(tokens).where(sa.or_(tokens.c.kind != "access", tokens.c.role != "admin")))
    op.drop_index(op.f("ix_tokens_parent_id"), table_name="tokens")
    op.drop_index(op.f("ix_tokens_old_digest"), table_name="tokens")
    for column in ("revoked_at", "last_used_at", "old_expires_at", "old_digest", "created_by", "parent_id", "scope"):
        op.drop_column("tokens", column)
    op.drop_table("audit")


def _say_kinds(comment: str, *, before: str) -> None:
    # SQLite keeps no comments.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("tokens", "kind", comment=comment, existing_comment=before)
