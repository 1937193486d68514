"""devices, slots and labels of workers; priorities; circumstances and logs of attempts; artifacts

Revision ID: 0003
Revises: 0002
Created at: 2026-11-21 19:05:00.000000
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "artifacts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "study_id",
            sa.Integer(),
            nullable=False,
            comment="no foreign key: rows outlive it until their files are removed",
        ),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="checkpoint or weights"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="the attempt that made it"),
        sa.Column("epoch", sa.Integer(), nullable=False, comment="the last epoch that it holds"),
        sa.Column("name", sa.String(length=200), nullable=False, comment="its name in the artifact store"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "doomed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="since when nobody needs it; the file goes, then the row",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        sa.UniqueConstraint("name", name=op.f("uq_artifacts_name")),
    )
    op.create_index(op.f("ix_artifacts_doomed_at"), "artifacts", ["doomed_at"])
    op.create_index(op.f("ix_artifacts_study_id"), "artifacts", ["study_id"])
    op.create_index(op.f("ix_artifacts_trial_id_kind"), "artifacts", ["trial_id", "kind"])
    op.add_column(
        "attempts",
        sa.Column(
            "facts",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="circumstances that the worker told: device, code, peaks of memory",
        ),
    )
    op.add_column(
        "attempts",
        sa.Column("log_tail", sa.Text(), nullable=True, comment="the last lines that the training wrote"),
    )
    op.add_column("studies", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "trials",
        sa.Column(
            "is_alone",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="whether nothing else may share its device, because an attempt ran out of memory",
        ),
    )
    op.add_column("workers", sa.Column("labels", sa.JSON(none_as_null=True), server_default="{}", nullable=False))
    op.add_column("workers", sa.Column("mode", sa.String(length=16), server_default="working", nullable=False))
    op.add_column(
        "workers",
        sa.Column(
            "slot_facts",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="what each slot does, as the worker said last",
        ),
    )
    # Devices were free-form until now; a worker that lives on tells of them again with its next heartbeat.
    workers = sa.table("workers", sa.column("devices", sa.JSON))
    op.execute(sa.update(workers).values(devices=[]))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("workers", "slot_facts")
    op.drop_column("workers", "mode")
    op.drop_column("workers", "labels")
    op.drop_column("trials", "is_alone")
    op.drop_column("studies", "priority")
    op.drop_column("attempts", "log_tail")
    op.drop_column("attempts", "facts")
    op.drop_table("artifacts")
