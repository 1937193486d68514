"""Reports on a disk that takes nothing: a SQLite file that may not grow stands for it."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from caviar.contract.messages import Finish, Measurement
from caviar.contract.states import Outcome
from tests.worker.wire import measurement
from worker.outbox import Outbox
from worker.tray import Tray


def fill(outbox: Outbox, *, is_full: bool) -> None:
    """Let the outbox's file grow no more, or again."""
    [(num_pages,)] = outbox._execute("PRAGMA page_count")
    outbox._execute(f"PRAGMA max_page_count = {num_pages if is_full else 10**6}")


def bulky(epoch: int) -> Measurement:
    """An epoch with many metrics: a few of them fill the free space of any page."""
    metrics = {"val_loss": 0.5} | {f"metric_{number}": 0.123456789 for number in range(99)}
    return measurement(epoch=epoch).model_copy(update={"metrics": metrics})


def test_what_a_full_disk_does_not_take_waits_and_is_written_in_order(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    tray = Tray(outbox)
    tray.hold(1, "lease-1-1")
    fill(outbox, is_full=True)
    with capture_logs() as logged:
        for epoch in range(1, 11):
            tray.put(bulky(epoch))
        tray.hold(2, "lease-2-1")
        tray.end(Finish(lease="lease-1-1", outcome=Outcome.COMPLETE))
        tray.retry()
    assert not tray.is_empty
    assert outbox.endings() == []
    fill(outbox, is_full=False)
    with capture_logs() as again:
        tray.retry()
        tray.retry()
    assert [entry["event"] for entry in logged + again] == ["disk_takes_nothing", "disk_writes_again"]
    assert tray.is_empty
    assert [letter.measurement.epoch for letter in outbox.measurements(100)] == list(range(1, 11))
    assert outbox.leases() == ["lease-1-1", "lease-2-1"]
    outbox.remove(letter.id for letter in outbox.measurements(100))
    assert [ending.lease for ending in outbox.endings()] == ["lease-1-1"]
    outbox.close()


def test_of_a_lost_trial_nothing_is_written_any_more(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    tray = Tray(outbox)
    tray.hold(1, "lease-1-1")
    fill(outbox, is_full=True)
    for epoch in range(1, 11):
        tray.put(bulky(epoch))
    assert not tray.is_empty
    tray.forget("lease-1-1")
    assert tray.is_empty
    outbox.close()
