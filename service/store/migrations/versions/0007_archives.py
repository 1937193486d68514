"""retention and archives of studies

Revision ID: 0007
Revises: 0006
Created at: 2026-11-30 05:10:00.000000
"""

from __future__ import annotations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
