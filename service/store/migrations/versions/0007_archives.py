"""retention and archives of studies

Revision ID: 0007
Revises: 0006
Created at: 2026-11-30 05:10:00.000000
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column(
        "studies",
        sa.Column(
            "archived_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="since when it is kept and changes no more; null while it is in use",
        ),
    )
    op.create_index(
        "ix_attempts_ended_at",
        "attempts",
        ["ended_at"],
        sqlite_where=sa.text("log_tail IS NOT NULL"),
        postgresql_where=sa.text("log_tail IS NOT NULL"),
    )


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index("ix_attempts_ended_at", "attempts")
    op.drop_column("studies", "archived_at")
