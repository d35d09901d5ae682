"""What does careful measuring cost beyond the bare runs that it keeps?

One whole search, and then the same processes again, bare: the same probe command lines one after
the other in a plain loop, without host, statistics, journal or decisions, as many timed runs and
warm-ups in each as the search kept. Wall time over wall time.

    python benchmarks/quality/cost.py [BUDGET] [ROUNDS]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.rules import Rules
from pareto_profiler.drivers.engine import DriverEngine
from pareto_profiler.jobs import Choices, prepare
from pareto_profiler.loop import Budget, search
from pareto_profiler.samplers import RandomSampler
from pareto_profiler.shells.base import Completed
from pareto_profiler.shells.local import LocalShell
from pareto_profiler.storage.journal import JOURNAL, Store

MODELS = Path(__file__).parents[2] / "examples" / "models"
CASES = (("mobilenet_v1_025_128.tflite", 1), ("mobilenet_v2_035_96.tflite", 2))


class Listening(LocalShell):
    """Remembers the commands of drivers that measured."""

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[tuple[list[str], dict[str, str]]] = []

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], time_limit_s: float
    ) -> Completed:
        done = super().run(command, environment=environment, time_limit_s=time_limit_s)
        if any('"runs"' in word for word in command) and not done.status:
            self.commands.append((list(command), dict(environment)))
        return done


def bare(command: Sequence[str], warmups: int, runs: int) -> list[str]:
    """The same process with exactly these numbers of runs."""
    exact = {"warmups": warmups, "runs": [runs, runs], "run_time_ms": 0, "precision_ppm": 0}
    return [
        json.dumps(json.loads(word) | exact) if word.startswith("{") else word for word in command
    ]


def one_round(model: str, threads: int, budget: int) -> tuple[float, float, float, int]:
    """Seconds of the search, of the bare processes, of the timed runs in them; trials kept."""
    job = prepare(
        Choices(
            model=MODELS / model,
            backends=("cpu", "ruy"),
            vary=("memory_planner",),
            plan={"threads": threads},
        )
    )
    shell = Listening()
    space = job.header.space
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(folder / JOURNAL, job.header)
        runner = job.engine(folder)
        assert isinstance(runner, DriverEngine)
        runner._driver = replace(runner._driver, shell=shell)  # noqa: SLF001
        kept: list[tuple[list[str], dict[str, str], Measurement]] = []
        failing_s = 0.0
        start = time.monotonic()
        for trial in search(
            space,
            RandomSampler(Problem(space, seed=0)),
            runner,
            store,
            Budget(budget),
            source="random",
            objectives=objectives_of(job.header.objectives),
            rules=Rules(),
        ):
            if isinstance(trial.outcome, Measurement):
                kept.append((*shell.commands[-1], trial.outcome))
            else:
                # What fails has no runs to keep, however it is measured.
                failing_s += trial.duration_s
        searching_s = time.monotonic() - start - failing_s
        store.close()
        bare_s = running_s = 0.0
        for command, environment, outcome in kept:
            runs, warmups = (len(s["exec_time"]) for s in (outcome.samples, outcome.warmups))
            words = bare(command, warmups, runs)
            start = time.monotonic()
            subprocess.run(words, env=environment, capture_output=True, check=True)
            bare_s += time.monotonic() - start
            running_s += sum(outcome.samples["exec_time"])
        runner.close()
    job.shell.close()
    return searching_s, bare_s, running_s, len(kept)


def main() -> None:
    """Print a table."""
    budget = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print("model, threads                     search s   bare s   ratio   timed runs s   kept")
    for model, threads in CASES:
        for _ in range(rounds):
            searching, plain, running, kept = one_round(model, threads, budget)
            print(
                f"{model + ', ' + str(threads):34s} {searching:8.2f} {plain:8.2f} "
                f"{searching / plain:7.3f} {running:14.2f} {kept:6d}",
                flush=True,
            )


if __name__ == "__main__":
    main()
