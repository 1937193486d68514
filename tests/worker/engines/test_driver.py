"""The loop of an engine, on a cluster that exists in memory alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.testing import capture_logs

from caviar.contract.errors import CaviarError, Unauthorized, Unavailable
from worker.engines.demand import Seen, Standing
from worker.engines.driver import Driver
from worker.engines.hosting import Departure
from worker.engines.scaling import Limits

GONE = Departure(1, was_asked=False, name="box-1", last_words="no such objective", lived_s=1.0)


@dataclass
class Room:
    """A cluster with room for so many workers."""

    size: int
    members: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    departures: list[tuple[str, Departure]] = field(default_factory=list)

    def start(self, member_id: str) -> None:
        self.members.append(member_id)

    def is_placed(self, member_id: str) -> bool:
        return self.members.index(member_id) < self.size

    def ended(self, timeout_s: float) -> list[tuple[str, Departure]]:
        assert timeout_s == 0.0
        told, self.departures = self.departures, []
        for member_id, _ in told:
            self.members.remove(member_id)
        return told

    def drain(self, member_id: str) -> None:
        assert self.is_placed(member_id)
        self.asked.append(member_id)

    def cancel(self, member_id: str) -> None:
        self.members.remove(member_id)


@dataclass
class World:
    """A driver with its cluster, its service and its clock."""

    room: Room = field(default_factory=lambda: Room(2))
    num_wanted: int = 0
    training: set[int] = field(default_factory=set)
    away: CaviarError | None = None
    time_s: float = 0.0
    exit_when_idle: bool = False
    driver: Driver = field(init=False)

    def __post_init__(self) -> None:
        self.driver = Driver(
            self.room,
            self.look,
            Limits(min_workers=0, max_workers=4, idle_s=60.0),
            slots_expected=1,
            grace_s=30.0,
            exit_when_idle=self.exit_when_idle,
            now_s=lambda: self.time_s,
        )

    def look(self, is_ours: Callable[[str], bool]) -> Standing:
        if self.away is not None:
            raise self.away
        placed = self.room.members[: self.room.size]
        assert all(map(is_ours, placed))
        return Standing(
            self.num_wanted,
            {
                member_id: Seen(member_id, 1, is_idle=number not in self.training)
                for number, member_id in enumerate(placed)
            },
        )

    def go_on(self, seconds: float = 2.0) -> None:
        self.time_s += seconds
        self.driver.step(0.0)

    def lose(self, number: int, departure: Departure = GONE) -> None:
        self.room.departures.append((self.room.members[number], departure))


def test_workers_come_with_the_work() -> None:
    world = World()
    world.go_on()
    assert world.room.members == []
    world.num_wanted = 3
    world.go_on()
    world.go_on()
    assert len(world.room.members) == 3


def test_idle_workers_end_and_requests_are_taken_back() -> None:
    world = World(num_wanted=3, training={0})
    world.go_on()
    first, second, _ = world.room.members
    world.num_wanted = 1
    world.go_on()
    assert world.room.members == [first, second]
    world.go_on(58.0)
    assert world.room.asked == []
    world.go_on()
    assert world.room.asked == [second]
    world.go_on()
    assert world.room.asked == [second]


def test_a_worker_that_trains_again_is_not_idle_any_more() -> None:
    world = World(num_wanted=1)
    world.go_on()
    world.num_wanted = 0
    world.go_on(40.0)
    world.training = {0}
    world.go_on(40.0)
    world.training = set()
    world.go_on(40.0)
    assert world.room.asked == []


def test_a_lost_worker_is_replaced_after_a_pause() -> None:
    world = World(num_wanted=1)
    world.go_on()
    (first,) = world.room.members
    world.lose(0)
    world.go_on(0.5)
    assert world.room.members == []
    world.go_on()
    assert len(world.room.members) == 1
    assert world.room.members != [first]


def test_workers_that_all_fail_at_once_end_the_engine() -> None:
    world = World(num_wanted=1)
    with capture_logs() as logs:
        for _ in range(5):
            world.go_on(60.0)
            world.lose(0)
            world.go_on(60.0)
    assert world.driver.is_done
    assert world.driver.status == 1
    (told,) = [entry for entry in logs if entry["event"] == "cannot_work"]
    assert "no such objective" in told["detail"]


def test_workers_that_the_service_never_heard_of_count_as_failed_however_long_it_took() -> None:
    world = World(room=Room(0), num_wanted=1)
    for _ in range(5):
        world.go_on(60.0)
        world.lose(0, Departure(1, was_asked=False, lived_s=1000.0))
        world.go_on(60.0)
    assert world.driver.status == 1


def test_losses_after_some_work_are_no_reason_to_give_up() -> None:
    world = World(num_wanted=1)
    for _ in range(10):
        world.go_on(60.0)
        world.go_on(60.0)
        world.lose(0, Departure(None, was_asked=False, lived_s=1000.0))
    world.go_on(60.0)
    assert not world.driver.is_done
    assert world.driver.status == 0


def test_nothing_changes_while_the_service_is_away() -> None:
    world = World(num_wanted=2)
    world.go_on()
    members = list(world.room.members)
    world.away = Unavailable("gone")
    world.go_on(1000.0)
    assert world.room.members == members
    assert world.room.asked == []


def test_a_refusal_ends_the_engine_with_its_workers_asked() -> None:
    world = World(num_wanted=2)
    world.go_on()
    world.away = Unauthorized("another token now")
    world.go_on()
    assert world.room.asked == world.room.members
    assert world.driver.status == 1


def test_the_end_waits_for_the_workers() -> None:
    world = World(num_wanted=3)
    world.go_on()
    world.driver.end()
    assert world.room.asked == world.room.members
    assert len(world.room.members) == 2
    world.go_on()
    assert not world.driver.is_done
    asked = Departure(0, was_asked=True)
    world.lose(0, asked)
    world.lose(1, asked)
    world.go_on()
    assert world.driver.is_done
    assert world.driver.status == 0


def test_a_worker_that_never_ends_is_given_up() -> None:
    world = World(num_wanted=1)
    world.go_on()
    world.driver.end()
    world.go_on(40.0)
    assert not world.driver.is_done
    world.go_on(10.0)
    assert world.driver.is_done


def test_the_engine_may_end_with_the_work() -> None:
    world = World(num_wanted=1, training={0}, exit_when_idle=True)
    world.go_on()
    world.num_wanted = 0
    world.go_on()
    assert world.room.asked == []
    world.training = set()
    world.go_on()
    assert world.room.asked == world.room.members
    world.go_on(1000.0)
    assert world.driver.is_done
