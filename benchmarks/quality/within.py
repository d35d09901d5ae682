"""One assignment within a limit: how many evaluations it takes, beside those for the whole front.

    python benchmarks/quality/within.py [FAMILY…]

Ten devices of each family. The limit is half way, by logarithms, between the least memory and that
of the fastest point of the front of all that either search evaluated. Counted are the evaluations
after which the fastest measured assignment within the limit is within a percent of the fastest that
either found, and all that the search for one made before it ended by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pareto_profiler.bench import Subject, device_subject
from pareto_profiler.core.rules import ONE_SHOT
from pareto_profiler.core.space import Assignment
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.simulation.families import Device

FAMILIES = ("chain-20x3", "hand-over-20x3", "mobile-53x3", "sessions-40x3", "branchy-60x4")
SEEDS = 10
BUDGET = 60


def evaluated(subject: Subject, seed: int, within: Mapping[str, float]) -> list[Assignment]:
    """What a search asks for, in order."""
    problem = replace(subject.problem, seed=seed, within=within)
    runner = subject.runner(seed)
    trials = search(
        problem.space,
        StructuredSampler(problem),
        runner,
        MemoryJournal(),
        Budget(BUDGET),
        source="structured",
        rules=replace(ONE_SHOT, seed=seed, within=within),
        clock=runner,
    )
    return [trial.assignment for trial in trials]


def fastest(subject: Subject, assignments: list[Assignment], most: float) -> list[float]:
    """After each evaluation the least time within a limit of memory, by the truth."""
    values = [subject.truth(a) or (np.inf, np.inf) for a in assignments]
    found = np.array([time if memory <= most else np.inf for time, memory in values])
    return [float(value) for value in np.minimum.accumulate(found)]


def main() -> None:
    print("family           one: to 1 %  (all)   front: to 1 %   ratio")
    for family in sys.argv[1:] or FAMILIES:
        ones, whole, fronts = [], [], []
        for seed in range(SEEDS):
            subject = device_subject(Device.of(f"simulated:{family}:{seed}"))
            front = evaluated(subject, seed, {})
            known = [v for v in map(subject.truth, front) if v is not None]
            least = min(memory for _, memory in known)
            most = float(np.sqrt(least * min(known)[1]))
            one = evaluated(subject, seed, {"max_rss": most})
            curves = [fastest(subject, each, most) for each in (one, front)]
            best = 1.01 * min(curve[-1] for curve in curves)
            counts = [
                next((n for n, value in enumerate(curve, 1) if value <= best), BUDGET)
                for curve in curves
            ]
            ones.append(counts[0])
            fronts.append(counts[1])
            whole.append(len(one))
        medians = [float(np.median(numbers)) for numbers in (ones, whole, fronts)]
        print(
            f"{family:16s} {medians[0]:12.1f} {medians[1]:6.1f} {medians[2]:15.1f} "
            f"{medians[0] / medians[2]:7.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
