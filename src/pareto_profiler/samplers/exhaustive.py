"""ExhaustiveSampler: every feasible assignment by increasing id, the seed's brute force."""

from __future__ import annotations

from collections import deque
from itertools import islice

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial


class ExhaustiveSampler:
    """Walks through the space by id.

    An ask takes time linear in what was asked for ahead of being told; memory grows with the tells.

    Args:
        problem: Where to walk; there is no chance in it.
    """

    def __init__(self, problem: Problem) -> None:
        self._rest = iter(problem.space)
        self._next: deque[Assignment] = deque()
        self._told: set[Assignment] = set()

    def ask(self, count: int = 1) -> list[Assignment]:
        while self._next and self._next[0] in self._told:
            self._next.popleft()
        found = [a for a in self._next if a not in self._told]
        while len(found) < count:
            assignment = next(self._rest, None)
            if assignment is None:
                break
            if assignment not in self._told:
                self._next.append(assignment)
                found.append(assignment)
        return list(islice(found, count))

    def tell(self, trial: Trial) -> None:
        self._told.add(trial.assignment)
