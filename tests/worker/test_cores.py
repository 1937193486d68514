from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from worker import cores


@pytest.mark.parametrize(
    ("available", "num_slots", "expected"),
    [
        ([0, 1, 2, 3], 2, [{0, 1}, {2, 3}]),
        ([4, 6, 9], 1, [{4, 6, 9}]),
        ([0, 1, 2, 3, 4], 3, [{0}, {1, 2}, {3, 4}]),
        ([2, 5], 2, [{2}, {5}]),
        ([2, 5], 5, [{2}, {5}, {2}, {5}, {2}]),
    ],
)
def test_cores_are_divided_evenly(
    tmp_path: Path, available: list[int], num_slots: int, expected: list[set[int]]
) -> None:
    assert cores.divide(available, num_slots, tmp_path) == expected


def test_threads_of_one_physical_core_stay_together(tmp_path: Path) -> None:
    for core in range(8):
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text("0\n")
        (folder / "core_id").write_text(f"{core % 4}\n")
    assert cores.divide(range(8), 4, tmp_path) == [{0, 4}, {1, 5}, {2, 6}, {3, 7}]


def test_only_cores_that_the_worker_was_given_are_divided() -> None:
    assert cores.pinnable_cores() == frozenset(os.sched_getaffinity(0))


def test_a_thread_is_pinned() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    seen: list[set[int]] = []

    def work() -> None:
        cores.pin({allowed[-1]})
        seen.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [{allowed[-1]}]


def test_a_system_that_does_not_pin_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "sched_setaffinity")
    assert cores.pinnable_cores() is None
    cores.pin({0})
    assert cores.usable_cores(Path("/nowhere")) == os.cpu_count()
