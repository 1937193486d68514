"""How fast small trials are: two slots against one, and Caviar against KerasTuner's RandomSearch.

All train the same small MLP on the digits for the same epochs with the same batches. Caviar is the real thing: a
service, a worker, studies of random search. KerasTuner runs as its users run it, in one process with all cores. The
systems take turns, round after round, and a ratio is that of two neighbours in time; printed are medians.

    python benchmarks/small_trials.py [--rounds 3] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.trials.fleet import Fleet, fleet

_ROOT = Path(__file__).resolve().parents[1]
_WARM_UP = 4
_MEMORY_TRIALS = (50, 300)


def _per_trial(fleet: Fleet, name: str, *, is_varied: bool, num_trials: int, num_epochs: int) -> float:
    """Seconds per trial, once every slot has trained a first one."""
    ends = fleet.ends(name, is_varied=is_varied, num_trials=num_trials + _WARM_UP, num_epochs=num_epochs)
    return (ends[-1] - ends[_WARM_UP - 1]) / num_trials


def _kerastuner(kind: str, num_trials: int, num_epochs: int) -> float:
    command = [sys.executable, "-m", "benchmarks.trials.tuner", kind, str(num_trials + 1), str(num_epochs)]
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return statistics.mean(seconds)


def _round(number: int, arguments: argparse.Namespace) -> dict[str, float]:
    cores, epochs = sorted(os.sched_getaffinity(0)), arguments.epochs
    found: dict[str, float] = {}
    with fleet(num_slots=1, cores=cores[:1]) as one:
        found["one_same"] = _per_trial(
            one, f"one-{number}", is_varied=False, num_trials=arguments.trials, num_epochs=epochs
        )
    with fleet(num_slots=2, cores=cores[:2]) as two:
        for kind in ("same", "varied"):
            found[f"two_{kind}"] = _per_trial(
                two,
                f"two-{kind}-{number}",
                is_varied=kind == "varied",
                num_trials=2 * arguments.trials,
                num_epochs=epochs,
            )
    for kind in ("same", "varied"):
        found[f"tuner_{kind}"] = _kerastuner(kind, max(2, arguments.trials // 4), epochs)
    return found


def _memory(num_trials: tuple[int, int], cores: list[int]) -> tuple[dict[int, int], bool]:
    """Resident bytes of the one slot after so many trials, and whether its process was the same all the time."""
    seen: dict[int, int] = {}
    with fleet(num_slots=1, cores=cores) as one:
        processes = set(one.trainings())

        def watch(num_ended: int) -> None:
            held = one.trainings()
            processes.update(held)
            for count in num_trials:
                if num_ended >= count and count not in seen:
                    seen[count] = sum(held.values())

        one.ends("memory", is_varied=False, num_trials=num_trials[-1], num_epochs=5, watch=watch)
    return seen, len(processes) == 1


def show(rounds: list[dict[str, float]], memory: dict[int, int], *, is_one_process: bool) -> None:
    """Print medians of the rounds, and of their ratios."""

    def median(top: str, bottom: str | None = None) -> float:
        return statistics.median(found[top] / (found[bottom] if bottom else 1.0) for found in rounds)

    print(f"{'seconds per trial':44}{'one architecture':>18}{'another each':>15}")
    print(f"{'Caviar, one slot on one core':44}{median('one_same'):18.3f}{'':>15}")
    print(f"{'Caviar, two slots on a core each':44}{median('two_same'):18.3f}{median('two_varied'):15.3f}")
    print(f"{'KerasTuner, RandomSearch, one process':44}{median('tuner_same'):18.3f}{median('tuner_varied'):15.3f}")
    print()
    print(f"two slots against one:             {median('one_same', 'two_same'):5.2f} times (wanted: 1.6)")
    print(f"against KerasTuner, same model:    {median('tuner_same', 'two_same'):5.2f} times (wanted: 5)")
    print(f"against KerasTuner, varied models: {median('tuner_varied', 'two_varied'):5.2f} times (wanted: 2)")
    figures = ", ".join(f"{held / 2**20:.0f} MiB after {count} trials" for count, held in sorted(memory.items()))
    print(f"memory of one slot: {figures}; {'one process' if is_one_process else 'the process was renewed'}")


def main() -> None:
    """Run the comparison and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each system has its turn")
    parser.add_argument("--trials", type=int, default=24, help="trials that are counted per slot and turn")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of each trial")
    parser.add_argument("--quick", action="store_true", help="one round with few trials: a look, no measurement")
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("this machine offers one core, expected at least two")
    memory_trials = _MEMORY_TRIALS
    if arguments.quick:
        arguments.rounds, arguments.trials, memory_trials = 1, 8, (10, 30)
    rounds = [_round(number, arguments) for number in range(arguments.rounds)]
    memory, is_one_process = _memory(memory_trials, sorted(os.sched_getaffinity(0))[:1])
    show(rounds, memory, is_one_process=is_one_process)
    if arguments.json is not None:
        facts: dict[str, Any] = {"rounds": rounds, "memory_bytes": memory, "one_process": is_one_process}
        arguments.json.write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
