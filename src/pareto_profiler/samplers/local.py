"""LocalSampler: Pareto local search, all one-change neighbours of each member of the front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.samplers.waiting import WaitingSampler

_KICK: Final = 0.1
_AT_ONCE: Final = 64


class LocalSampler(WaitingSampler):
    """Pareto local search (Paquete, Chiarandini and Stützle 2004), restarted by kicks.

    Of the front's members whose neighbours are not all told, one at random: its neighbours in
    random order. When all are told: random members of the front with a tenth of their variables
    changed, and two at the least.

    Args:
        problem: What is searched.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._chance = np.random.default_rng([problem.seed, 3])
        self._expanded: set[Assignment] = set()
        self._steps: list[tuple[Assignment, int, str]] = []
        self._wait_for([problem.space.default])

    def _next(self) -> Iterable[Assignment]:
        front = self._told.front()
        fresh = [a for a in front if a not in self._expanded]
        if not self._steps and fresh:
            chosen = fresh[int(self._chance.integers(len(fresh)))]
            self._expanded.add(chosen)
            steps = [
                (chosen, i, choice)
                for i, v in enumerate(self._space.variables)
                for choice in v.feasible
                if choice != chosen[i]
            ]
            self._steps = [steps[i] for i in self._chance.permutation(len(steps)).tolist()]
        if self._steps:
            # Not all at once: neighbours of thousands of variables take gigabytes.
            now, self._steps = self._steps[:_AT_ONCE], self._steps[_AT_ONCE:]
            return [(*a[:i], choice, *a[i + 1 :]) for a, i, choice in now]
        if not front:
            return self._random.ask(1)
        return [self._kicked(front[int(self._chance.integers(len(front)))])]

    def _kicked(self, assignment: Assignment) -> Assignment:
        free = [i for i, v in enumerate(self._space.variables) if len(v.feasible) > 1]
        count = min(len(free), max(2, round(_KICK * len(free))))
        kicked = list(assignment)
        for i in self._chance.choice(free, size=count, replace=False).tolist() if free else ():
            others = [c for c in self._space.variables[i].feasible if c != kicked[i]]
            kicked[i] = others[int(self._chance.integers(len(others)))]
        return tuple(kicked)


def neighbours(space: DecisionSpace, assignment: Assignment) -> Iterator[Assignment]:
    """All feasible assignments that differ in one variable, by variable."""
    for i, (choice, variable) in enumerate(zip(assignment, space.variables, strict=True)):
        for other in variable.feasible:
            if other != choice:
                yield (*assignment[:i], other, *assignment[i + 1 :])
