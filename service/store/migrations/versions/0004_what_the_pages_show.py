"""the best value over time; slot time of studies; tags, notes and equal parameters of trials

Revision ID: 0004
Revises: 0003
Created at: 2026-11-21 22:20:00.000000
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from service.domain.repeats import params_digest
from service.store.schema import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_PORTION = 1000


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "improvements",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("num_epochs", sa.Integer(), nullable=False, comment="epochs of the study by then, this one included"),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="of the trial within its study"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False, comment="better than all before it"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_improvements_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "trial_id", "attempt", "epoch", name=op.f("pk_improvements")),
        comment="the best value of each study over time",
    )
    op.add_column(
        "rounds",
        sa.Column(
            "num_epochs", sa.Integer(), server_default="0", nullable=False, comment="epochs of the study by then"
        ),
    )
    op.add_column(
        "studies",
        sa.Column(
            "slot_s",
            sa.Double(),
            server_default="0",
            nullable=False,
            comment="seconds of slots that its ended attempts took",
        ),
    )
    op.add_column(
        "trials",
        sa.Column(
            "params_digest",
            sa.String(length=16),
            nullable=True,
            comment="equal for trials of one study with equal parameters",
        ),
    )
    op.add_column(
        "trials",
        sa.Column(
            "tags",
            sa.JSON(none_as_null=True),
            server_default="{}",
            nullable=False,
            comment="what people say of it, by name",
        ),
    )
    op.add_column(
        "trials", sa.Column("note", sa.Text(), server_default="", nullable=False, comment="what people say of it")
    )
    # With the number, pages of the leaderboard far down are found in the index alone.
    op.create_index(op.f("ix_trials_study_id_value_number"), "trials", ["study_id", "value", "number"])
    op.drop_index(op.f("ix_trials_study_id_value"), table_name="trials")
    op.create_index(op.f("ix_trials_study_id_params_digest"), "trials", ["study_id", "params_digest"])
    _fill()


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index(op.f("ix_trials_study_id_params_digest"), table_name="trials")
    op.create_index(op.f("ix_trials_study_id_value"), "trials", ["study_id", "value"])
    op.drop_index(op.f("ix_trials_study_id_value_number"), table_name="trials")
    op.drop_column("trials", "note")
    op.drop_column("trials", "tags")
    op.drop_column("trials", "params_digest")
    op.drop_column("studies", "slot_s")
    op.drop_column("rounds", "num_epochs")
    op.drop_table("improvements")


# What follows names its own columns: a revision must not change when the tables of later versions do.
_studies = sa.table("studies", sa.column("id"), sa.column("spec", sa.JSON), sa.column("slot_s"))
_trials = sa.table(
    "trials",
    sa.column("id"),
    sa.column("study_id"),
    sa.column("number"),
    sa.column("params", sa.JSON),
    sa.column("params_digest"),
)
_attempts = sa.table(
    "attempts", sa.column("trial_id"), sa.column("started_at", UtcDateTime), sa.column("ended_at", UtcDateTime)
)
_measurements = sa.table(
    "measurements",
    sa.column("trial_id"),
    sa.column("attempt"),
    sa.column("epoch"),
    sa.column("value"),
    sa.column("reported_at", UtcDateTime),
)
_rounds = sa.table(
    "rounds", sa.column("study_id"), sa.column("number"), sa.column("opened_at", UtcDateTime), sa.column("num_epochs")
)
_improvements = sa.table(
    "improvements",
    *(sa.column(name) for name in ("study_id", "num_epochs", "trial_id", "number", "attempt", "epoch", "value")),
    sa.column("at", UtcDateTime),
)


def _fill() -> None:
    connection = op.get_bind()
    _digest_params(connection)
    for study in connection.execute(sa.select(_studies.c.id, _studies.c.spec)).all():
        _find_improvements(connection, study.id, is_minimized=study.spec["metric"]["direction"] == "minimize")
        _sum_slot_time(connection, study.id)


def _digest_params(connection: sa.Connection) -> None:
    change = (
        sa.update(_trials).where(_trials.c.id == sa.bindparam("trial")).values(params_digest=sa.bindparam("digest"))
    )
    page = sa.select(_trials.c.id, _trials.c.params).order_by(_trials.c.id).limit(_PORTION)
    last = 0
    while found := connection.execute(page.where(_trials.c.id > last)).all():
        last = found[-1].id
        connection.execute(change, [{"trial": row.id, "digest": params_digest(row.params)} for row in found])


def _find_improvements(connection: sa.Connection, study_id: int, *, is_minimized: bool) -> None:
    reported = (
        sa.select(_measurements, _trials.c.number)
        .join(_trials, _trials.c.id == _measurements.c.trial_id)
        .where(_trials.c.study_id == study_id)
        .order_by(_measurements.c.reported_at, _measurements.c.trial_id, _measurements.c.attempt, _measurements.c.epoch)
    )
    rounds = connection.execute(
        sa.select(_rounds).where(_rounds.c.study_id == study_id).order_by(_rounds.c.number)
    ).all()
    best: float | None = None
    num_epochs, gains, opened = 0, list[dict[str, Any]](), list[dict[str, Any]]()
    for row in connection.execute(reported):
        while len(opened) < len(rounds) and rounds[len(opened)].opened_at <= row.reported_at:
            opened.append({"nth": rounds[len(opened)].number, "reached": num_epochs})
        # Attempt 0 holds what was imported, which the study did not spend.
        num_epochs += int(row.attempt > 0)
        if best is None or (row.value < best if is_minimized else row.value > best):
            best = row.value
            gains.append({**_gain(row), "study_id": study_id, "num_epochs": num_epochs})
    opened += [{"nth": later.number, "reached": num_epochs} for later in rounds[len(opened) :]]
    if gains:
        connection.execute(sa.insert(_improvements), gains)
    if opened:
        change = sa.update(_rounds).where(_rounds.c.study_id == study_id, _rounds.c.number == sa.bindparam("nth"))
        connection.execute(change.values(num_epochs=sa.bindparam("reached")), opened)


def _gain(row: Any) -> dict[str, Any]:
    named = ("trial_id", "number", "attempt", "epoch", "value")
    return {**{name: getattr(row, name) for name in named}, "at": row.reported_at}


def _sum_slot_time(connection: sa.Connection, study_id: int) -> None:
    ended = (
        sa.select(_attempts.c.started_at, _attempts.c.ended_at)
        .join(_trials, _trials.c.id == _attempts.c.trial_id)
        .where(_trials.c.study_id == study_id, _attempts.c.ended_at.is_not(None))
    )
    total = sum((row.ended_at - row.started_at).total_seconds() for row in connection.execute(ended))
    connection.execute(sa.update(_studies).where(_studies.c.id == study_id).values(slot_s=max(0.0, total)))
