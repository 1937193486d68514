"""roles, scopes and expiry of tokens; the audit log

Revision ID: 0005
Revises: 0004
Created at: 2026-11-30 05:10:00.000000
"""

from __future__ import annotations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
