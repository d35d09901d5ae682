"""Are places on the front called rightly? Measurements alone, and with what the sampler learned.

    python benchmarks/quality/places.py [DEVICES] [BUDGET]

Whole searches by ``structured`` with the usual anchors and repeats on DEVICES (5) simulated devices
of each family, BUDGET (60) trials each. Of all measured assignments: how many verdicts are wrong,
how many are left open, how many are likelier called wrong than right; how far the figures behind
the verdicts are from the truth, and how many of their 95 % intervals hold it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import unbeaten
from pareto_profiler.core.membership import LIKELY, Verdict, memberships
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.rules import MARGIN, Rules
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.simulation.families import FAMILIES, Device

# Of hundreds of operations a search takes minutes, and says the same.
LEFT_OUT = {"large-500x5", "wide-130x5"}


@dataclass
class Tally:
    """What was called how."""

    assignments: int = 0
    wrong: int = 0
    undecided: int = 0
    likelier_wrong: int = 0
    errors: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)

    def add(self, estimates: Estimates, truth: np.ndarray) -> None:
        """Compare with the truth, shape ``(assignments, objectives)``."""
        is_on = unbeaten(truth, MARGIN, 1 + MARGIN / 2).tolist()
        for place, on in zip(memberships(estimates), is_on, strict=True):
            self.assignments += 1
            self.wrong += place.verdict is (Verdict.OFF if on else Verdict.ON)
            self.undecided += place.verdict is Verdict.INCONCLUSIVE
            self.likelier_wrong += (place.probability >= LIKELY) != on
        self.errors += np.abs(np.log(estimates.values()[:, 0] / truth[:, 0])).tolist()
        for item, (seconds, _) in zip(estimates.items, truth.tolist(), strict=True):
            ends = item.figures[0].interval()
            self.held.append(ends is not None and ends[0] <= seconds <= ends[1])

    def __str__(self) -> str:
        return (
            f"{self.assignments:6d} {self.wrong:6d} {self.undecided:6d} {self.likelier_wrong:8d} "
            f"{np.median(self.errors):9.2%} {np.mean(self.held):9.1%}"
        )


def main() -> None:
    """Print a table."""
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    budget = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    print(f"{'':28s}places  wrong   open  likelier  exec_time   95 % hold")
    sums = {"measurements alone": Tally(), "with the model": Tally()}
    for family in FAMILIES:
        if family in LEFT_OUT:
            continue
        mine = {name: Tally() for name in sums}
        for seed in range(devices):
            device = Device.of(f"simulated:{family}:{seed}")
            problem = Problem(device.space, graph=device.graph, seed=seed)
            sampler, journal = StructuredSampler(problem), MemoryJournal()
            runner = device.runner(Plan(repeats=5, warmups=0), seed)
            for _ in search(
                problem.space,
                sampler,
                runner,
                journal,
                Budget(budget),
                source="structured",
                objectives=problem.objectives,
                rules=Rules(seed=seed),
                clock=runner,
            ):
                pass
            alone = Estimates.of(journal.trials, problem.objectives, problem.space.default)
            truths = [device.truth(item.assignment) for item in alone.items]
            truth = np.array([(t["exec_time"], t["max_rss"]) for t in truths])
            both = (alone, alone.combined_with(sampler.predictions()))
            for name, estimates in zip(sums, both, strict=True):
                mine[name].add(estimates, truth)
                sums[name].add(estimates, truth)
        print(family)
        for name, tally in mine.items():
            print(f"  {name:24s} {tally}", flush=True)
    print("all")
    for name, tally in sums.items():
        print(f"  {name:24s} {tally}")


if __name__ == "__main__":
    main()
