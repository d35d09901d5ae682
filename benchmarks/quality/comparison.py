"""Does `compare` cry wolf, and does it see a backend that became 10 % slower?

Both on a recorded table whose noise is drawn again from its raw samples: twenty times a search
against another search of the same table, twenty times against one where what runs on a backend
takes 10 % longer, at the same share of the time as of the operations.

    python benchmarks/quality/comparison.py [TABLE] [TRIES] [BACKEND]
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.rules import Rules
from pareto_profiler.core.space import Assignment
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.report.compare import Comparison
from pareto_profiler.runners.table import TableRunner
from pareto_profiler.samplers import RandomSampler
from pareto_profiler.storage.journal import read

TABLES = Path(__file__).parents[2] / "examples" / "tables"
DEFAULT = TABLES / "mobilenet_v2_035_96-x86_64"
SLOWER = 0.10


class Slowed(TableRunner):
    """A table whose operations on one backend take longer."""

    backend = ""
    slower = SLOWER

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        measured = super().run(assignment, is_repeat=is_repeat)
        by_operation = self._space.backend_by_operation(assignment)
        on_it = sum(b == self.backend for b in by_operation.values()) / max(1, len(by_operation))
        factor = 1 + self.slower * on_it
        samples = dict(measured.samples)
        samples["exec_time"] = tuple(v * factor for v in samples["exec_time"])
        return replace(measured, samples=samples)


def searched(table: Recording, runner: TableRunner, seed: int) -> Recording:
    """A whole search of the table."""
    journal = MemoryJournal()
    space = table.header.space
    for _ in search(
        space,
        RandomSampler(Problem(space, seed=seed)),
        runner,
        journal,
        Budget(100),
        source="random",
        objectives=objectives_of(table.header.objectives),
        rules=Rules(seed=seed),
    ):
        pass
    return Recording(table.header, journal.trials)


def main() -> None:
    """Print how often."""
    table = read(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
    tries = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    backend = sys.argv[3] if len(sys.argv) > 3 else table.header.space.backends[0]
    space = table.header.space
    same: Counter[str] = Counter()
    slower: Counter[str] = Counter()
    for i in range(tries):
        before = searched(table, TableRunner(space, table.trials, seed=3 * i), i)
        again = searched(table, TableRunner(space, table.trials, seed=3 * i + 1), i)
        slowed = Slowed(space, table.trials, seed=3 * i + 2)
        slowed.backend = backend
        after = searched(table, slowed, i)
        same[str(Comparison.of(before, again).change)] += 1
        slower[str(Comparison.of(before, after).change)] += 1
    print(f"against the same again: {dict(same)}, of {tries}")
    print(f"against {backend} 10 % slower: {dict(slower)}, of {tries}")


if __name__ == "__main__":
    main()
