"""A crew for tests: slots that do nothing by themselves, a placing under orders, a clock and a memory by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from caviar.contract.fleet import Device
from caviar.contract.messages import Assignment, Finish, Release
from caviar.contract.states import Outcome
from tests.worker.wire import assignment
from worker.channel import Ended, Message, Ready, Setup, Started
from worker.crew import Crew
from worker.events import SlotExited, SlotSaid
from worker.memory import MachineMemory
from worker.outbox import Outbox
from worker.placing import SlotView
from worker.slot import Slot
from worker.watching import Limits


class StillSlot(Slot):
    """Notes what it is told."""

    def __init__(self, index: int, folder: Path) -> None:
        setup = Setup(objectives=(), data_dir=folder, checkpoints_dir=None, resume_dir=folder)
        super().__init__(index, setup, {}, folder / "log", lambda _event: None, device_name="a test's CPU")
        self.told: list[object] = []
        self.tail = ""

    def start(self) -> None:
        self.process_id += 1 + 1000 * (not self.process_id) * (self.index + 1)
        self.told.append("start")

    def close(self) -> None:
        self.told.append("close")

    def mark_log(self) -> int:
        return 0

    def log_tail(self, start: int) -> str:
        return self.tail

    def train(self, assignment: Assignment) -> None:
        self.told.append(("train", assignment.lease))

    def stop(self, lease: str, *, is_urgent: bool) -> None:
        self.told.append(("stop", lease, is_urgent))

    def trace(self) -> None:
        self.told.append("trace")

    def kill(self) -> None:
        self.told.append("kill")


class Orders:
    """A placing that takes the first free slot, but for the trials that it is told to refuse."""

    def __init__(self) -> None:
        self.refused: set[int] = set()
        self.renewed: list[int] = []
        self.learnt: list[int] = []
        self.trouble: str | None = None

    def choose(self, assignment: Assignment, slots: Sequence[SlotView]) -> int | None:
        free = [slot.index for slot in slots if slot.is_free]
        return free[0] if free and assignment.trial_id not in self.refused else None

    def num_claimable(self, slots: Sequence[SlotView], waiting: Sequence[Assignment]) -> int:
        return max(0, sum(slot.is_free for slot in slots) - len(waiting))

    def learn(self, assignment: Assignment, peak_device_memory_bytes: int | None, *, slot: SlotView) -> None:
        assert slot.assignment == assignment
        self.learnt.append(assignment.trial_id)

    def to_renew(self, slots: Sequence[SlotView]) -> list[int]:
        renewed, self.renewed = self.renewed, []
        return renewed

    def devices(self) -> list[Device]:
        return []

    def device_memory_bytes(self, process_id: int) -> int | None:
        return None

    def problem(self) -> str | None:
        return self.trouble


class Kernel:
    """What the kernel tells of memory, as files."""

    def __init__(self, folder: Path) -> None:
        self.told = MachineMemory(folder / "proc", folder / "groups")
        self.set_available(100 * 1024**3)

    def use(self, process_id: int, resident_bytes: int, *, peak_bytes: int = 0) -> None:
        """Let a process use so much, rounded down to KiB."""
        file = self.told.processes / str(process_id) / "status"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"Name:\tpython\nVmHWM:\t{peak_bytes // 1024} kB\nVmRSS:\t{resident_bytes // 1024} kB\n")

    def set_available(self, num_bytes: int) -> None:
        """Let so much be left, rounded down to KiB."""
        self.told.processes.mkdir(parents=True, exist_ok=True)
        (self.told.processes / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {num_bytes // 1024} kB\n")

    def count_kills(self, number: int) -> None:
        """Let the kernel have killed so many processes."""
        (self.told.processes / "vmstat").write_text(f"pgfault 12\noom_kill {number}\n")


class Yard:
    """A crew of two, its clock, its memory and its outbox."""

    def __init__(self, folder: Path, *, fetch: Callable[[Assignment], None] | None = None, **limits: Any) -> None:
        self.now = 100.0
        self.slots = [StillSlot(index, folder) for index in range(2)]
        self.placing = Orders()
        self.memory = Kernel(folder)
        self.outbox = Outbox(folder / "outbox.db")
        chosen: dict[str, Any] = {"stop_grace_s": 60.0, "max_epoch_s": 600.0, "max_growth_bytes": 1000, **limits}
        self.crew = Crew(
            self.slots,
            self.placing,
            self.outbox,
            Limits(**chosen),
            fetch=fetch,
            memory=self.memory.told,
            clock=lambda: self.now,
        )
        self.crew.start()

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def say(self, slot: int, message: Message) -> None:
        """Let the present process of a slot say something."""
        self.crew.hear(SlotSaid(slot, self.slots[slot].process_id, message))

    def ready(self, *slots: int) -> None:
        """Let processes be ready."""
        for slot in slots:
            self.say(slot, Ready(objectives=[], memory_bytes=5000, backend="tensorflow", versions={"keras": "3"}))

    def exit(self, slot: int, status: int = -9) -> None:
        """Let the present process of a slot die."""
        self.crew.bury(SlotExited(slot, self.slots[slot].process_id, status, "last words"))

    def give(self, trial_id: int = 1, *, started: bool = True, **changes: Any) -> str:
        """Take on a trial and, if it is `started`, let slot 0 begin with it."""
        given = assignment(trial_id, **changes)
        self.crew.accept(given)
        self.crew.dispatch()
        if started:
            self.say(0, Started(lease=given.lease))
        return given.lease

    def end(self, lease: str, outcome: Outcome | None = Outcome.COMPLETE, memory_bytes: int = 5000) -> None:
        """Let slot 0 end a training."""
        self.say(0, Ended(lease=lease, outcome=outcome, error=None, memory_bytes=memory_bytes))

    def endings(self) -> list[Finish | Release]:
        """What is to be told of trials whose measurements are delivered."""
        return [ending.message for ending in self.outbox.endings()]

    def states(self) -> list[tuple[str, str | None]]:
        """What each slot does, and why it does nothing."""
        return [(str(facts.state), facts.detail) for facts in self.crew.slot_facts()]
