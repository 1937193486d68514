"""webhooks and their deliveries

Revision ID: 0006
Revises: 0005
Created at: 2026-11-30 05:10:00.000000
"""

from __future__ import annotations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
