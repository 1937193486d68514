"""rows that change with every report change in place

Revision ID: 0008
Revises: 0007
Created at: 2026-11-30 14:00:00.000000
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.drop_index("ix_leases_expires_at", "leases")
    if op.get_context().dialect.name == "postgresql":
        for table in ("studies", "leases"):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 25)")


def downgrade() -> None:
    """Take this revision back."""
    if op.get_context().dialect.name == "postgresql":
        for table in ("studies", "leases"):
            op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
    op.create_index("ix_leases_expires_at", "leases", ["expires_at"])
