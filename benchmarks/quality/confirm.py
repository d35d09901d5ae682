"""Confirming alone: how many repeats until what is on the front is decided, and what was decided.

    python benchmarks/quality/confirm.py [--seeds N] [TABLE…]
    PYTHONPATH=OTHER/src python benchmarks/quality/confirm.py …      another checkout's figures

Forty trials explore, then the schedule confirms until it has nothing left to ask for. The truth is
the table's, processes scatter around it. Beside the repeats: after how many of them how much was
decided, what stayed open, and verdicts that the truth contradicts by the same margin.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from pareto_profiler.bench import Subject, subject_of
from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.membership import Verdict, memberships
from pareto_profiler.core.rules import MARGIN, Rules
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import CONFIRM, Profile, Trial
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.simulation.runner import Noise, SimulatedRunner

TABLES: Final = Path(__file__).parents[2] / "examples" / "tables"
DEVICES: Final = ("chain-20x3", "mobile-53x3", "branchy-60x4", "rugged-16x3", "lawless-16x3")
OBJECTIVES: Final = objectives_of(("exec_time", "max_rss"))
NOISE: Final = Noise(runs=0.02, processes=0.015, memory=0.002)
EXPLORED: Final = 40
MOST: Final = 400
MARKS: Final = (16, 64, 256)


class Scattering(SimulatedRunner):
    """A table's truth, with processes that scatter around it, and the table's own profiles."""

    def __init__(self, subject: Subject, seed: int) -> None:
        def truth(assignment: Assignment) -> dict[str, float] | None:
            values = subject.truth(assignment)
            return None if values is None else {"exec_time": values[0], "max_rss": values[1]}

        super().__init__(subject.problem.space, truth, NOISE, seed=seed)
        self._source = subject.runner(seed)

    @property
    def can_profile(self) -> bool:
        return self._source.can_profile

    def profile(self, assignment: Assignment) -> Profile:
        return self._source.profile(assignment)


def contradicted(subject: Subject, estimates: Estimates, verdicts: list[Verdict | None]) -> int:
    """Verdicts that the truth contradicts."""
    levels = np.log([subject.truth(item.assignment) or () for item in estimates.items])
    better = math.log1p(MARGIN)
    wrong = 0
    for level, verdict in zip(levels, verdicts, strict=True):
        apart = levels - level
        is_beaten = (apart <= better / 2).all(axis=1) & (apart < -better).any(axis=1)
        wrong += verdict is (Verdict.ON if is_beaten.any() else Verdict.OFF)
    return wrong


def decided(trials: list[Trial], subject: Subject) -> tuple[int, int, int]:
    """Of these trials: verdicts, what is open, verdicts that are wrong."""
    problem = subject.problem
    sampler = StructuredSampler(problem)
    for trial in trials:
        sampler.tell(trial)
    alone = Estimates.of(trials, OBJECTIVES, problem.space.default)
    estimates = alone.combined_with(sampler.predictions())
    verdicts = [place.verdict for place in memberships(estimates)]
    is_open = verdicts.count(Verdict.INCONCLUSIVE)
    return len(verdicts) - is_open, is_open, contradicted(subject, estimates, verdicts)


def confirmed(subject: Subject, seed: int) -> list[Trial]:
    """All trials until nothing is left to confirm."""
    runner = Scattering(subject, seed)
    total = EXPLORED + MOST
    journal = MemoryJournal()
    is_confirming = False
    for trial in search(
        subject.problem.space,
        StructuredSampler(subject.problem),
        runner,
        journal,
        Budget(total),
        source="structured",
        objectives=OBJECTIVES,
        rules=Rules(confirm_share=MOST / total, seed=seed),
        clock=runner,
    ):
        if is_confirming and trial.source == "structured":
            return journal.trials[:-1]
        is_confirming |= trial.source == CONFIRM
    return journal.trials


def main() -> None:
    """Print a row for each table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="*")
    parser.add_argument("--seeds", type=int, default=8)
    said = parser.parse_args()
    tables = said.tables or [
        *map(str, sorted(TABLES.glob("*.parquet"))),
        *(f"simulated:{name}:" for name in DEVICES),
    ]
    print(f"| device | repeats | verdicts after {', '.join(map(str, MARKS))} | open | wrong |")
    print("| --- | --- | --- | --- | --- |")
    for table in tables:
        rows = []
        for seed in range(said.seeds):
            subject = subject_of(f"{table}{seed}" if table.endswith(":") else table)
            trials = confirmed(subject, seed)
            repeats = [i for i, t in enumerate(trials) if t.source == CONFIRM]
            ends = [*(repeats[min(n, len(repeats)) - 1] + 1 for n in MARKS), len(trials)]
            told = [decided(trials[:end], subject) for end in ends]
            rows.append((len(repeats), *(each[0] for each in told[:-1]), *told[-1]))
        means = np.mean(rows, axis=0)
        verdicts = ", ".join(f"{n:.1f}" for n in means[1 : 1 + len(MARKS)])
        name = Path(table).stem if table.endswith("parquet") else table.strip(":")
        print(
            f"| `{name}` | {means[0]:.0f} | {verdicts}; {means[-3]:.1f} at the end "
            f"| {means[-2]:.1f} | {means[-1]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
