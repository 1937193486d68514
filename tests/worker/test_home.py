"""Names and folders of workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.cores import thread_environment, usable_cores
from worker.home import StateInUse, machine_name, settle


def test_workers_without_names_get_different_ones(tmp_path: Path) -> None:
    homes = [settle(None, None, tmp_path) for _ in range(3)]
    machine = machine_name()
    assert [home.name for home in homes] == [machine, f"{machine}-2", f"{machine}-3"]
    homes[1].close()
    again = settle(None, None, tmp_path)
    assert again.name == f"{machine}-2"
    for home in (homes[0], homes[2], again):
        home.close()


def test_a_name_is_used_by_one_worker_at_a_time(tmp_path: Path) -> None:
    first = settle("rig", None, tmp_path)
    assert first.folder == tmp_path / "rig"
    with pytest.raises(StateInUse, match="another name or state folder"):
        settle("rig", None, tmp_path)
    elsewhere = settle("rig", tmp_path / "elsewhere", tmp_path)
    assert (elsewhere.name, elsewhere.folder) == ("rig", tmp_path / "elsewhere")
    first.close()
    elsewhere.close()
    settle("rig", None, tmp_path).close()


def test_the_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    home = settle("rig", None, tmp_path)
    assert home.folder.stat().st_mode & 0o077 == 0
    home.close()


@pytest.mark.parametrize(("content", "limit"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)])
def test_a_container_s_quota_limits_the_cores(tmp_path: Path, content: str, limit: int | None) -> None:
    everything = usable_cores(tmp_path / "none")
    quota = tmp_path / "cpu.max"
    quota.write_text(content)
    assert usable_cores(quota) == (limit or everything)


def test_all_libraries_are_held_to_the_threads_of_their_slot() -> None:
    assert set(thread_environment(3).values()) == {"3"}
    assert {"TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"} <= thread_environment(3).keys()
