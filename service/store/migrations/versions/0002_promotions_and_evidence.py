"""promotions, evidence, imports and versions of spaces

Revision ID: 0002
Revises: 0001
Created at: 2026-11-21 15:48:17.940206
"""

from __future__ import annotations

import copy

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "spaces",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("space", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_spaces_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "version", name=op.f("pk_spaces")),
        comment="search spaces that an edit replaced; the current one is in the study body",
    )
    op.add_column(
        "attempts",
        sa.Column(
            "evidence",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="why a paused trial was promoted to this attempt",
        ),
    )
    op.add_column(
        "measurements",
        sa.Column(
            "decision",
            sa.String(length=16),
            nullable=True,
            comment="what was decided after this epoch, where something was compared",
        ),
    )
    op.add_column(
        "measurements",
        sa.Column("evidence", sa.JSON(none_as_null=True), nullable=True, comment="what the decision rests on"),
    )
    op.add_column("rounds", sa.Column("origin", sa.String(length=16), server_default="sampler", nullable=False))
    op.add_column(
        "rounds",
        sa.Column("model", sa.JSON(none_as_null=True), nullable=True, comment="what else the strategy keeps of it"),
    )
    op.add_column("studies", sa.Column("space_version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("studies", sa.Column("num_imported", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "studies", sa.Column("best_value", sa.Double(), nullable=True, comment="best value of any trial so far")
    )
    op.add_column(
        "studies", sa.Column("best_trial_id", sa.Integer(), nullable=True, comment="the trial that reached it first")
    )
    op.add_column(
        "studies",
        sa.Column(
            "num_stagnant",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="trials that ended or paused since the best value",
        ),
    )
    op.add_column(
        "trials",
        sa.Column(
            "checkpoint_epoch", sa.Integer(), nullable=True, comment="epoch of the checkpoint that it can go on from"
        ),
    )
    op.add_column(
        "trials",
        sa.Column(
            "promoted_epoch",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="epoch of the highest rung that it was promoted from",
        ),
    )
    op.add_column("trials", sa.Column("space_version", sa.Integer(), server_default="1", nullable=False))
    op.add_column(
        "trials",
        sa.Column(
            "as_of_seq", sa.Integer(), nullable=True, comment="the last event that its proposal was conditioned on"
        ),
    )
    _keep_what_studies_had()


def _keep_what_studies_had() -> None:
    # Until now asha stopped trials at its rungs, which is an option from here on.
    studies = sa.table(
        "studies",
        sa.column("id", sa.Integer),
        sa.column("spec", sa.JSON),
        sa.column("best_value", sa.Double),
        sa.column("best_trial_id", sa.Integer),
    )
    trials = sa.table(
        "trials", sa.column("id", sa.Integer), sa.column("study_id", sa.Integer), sa.column("value", sa.Double)
    )
    connection = op.get_bind()
    for study_id, spec in connection.execute(sa.select(studies.c.id, studies.c.spec)).all():
        kept = copy.deepcopy(spec)
        if kept["pruner"]["kind"] == "asha":
            kept["pruner"]["promote"] = False
        order = trials.c.value.asc() if kept["metric"]["direction"] == "minimize" else trials.c.value.desc()
        known = sa.select(trials.c.value, trials.c.id).where(trials.c.study_id == study_id, trials.c.value.is_not(None))
        value, trial_id = connection.execute(known.order_by(order, trials.c.id).limit(1)).one_or_none() or (None, None)
        values = {"spec": kept, "best_value": value, "best_trial_id": trial_id}
        connection.execute(sa.update(studies).where(studies.c.id == study_id).values(**values))


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("trials", "as_of_seq")
    op.drop_column("trials", "space_version")
    op.drop_column("trials", "promoted_epoch")
    op.drop_column("trials", "checkpoint_epoch")
    op.drop_column("studies", "num_stagnant")
    op.drop_column("studies", "best_trial_id")
    op.drop_column("studies", "best_value")
    op.drop_column("studies", "num_imported")
    op.drop_column("studies", "space_version")
    op.drop_column("rounds", "model")
    op.drop_column("rounds", "origin")
    op.drop_column("measurements", "evidence")
    op.drop_column("measurements", "decision")
    op.drop_column("attempts", "evidence")
    op.drop_table("spaces")
