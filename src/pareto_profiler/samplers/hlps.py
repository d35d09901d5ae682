"""HlpsSampler: Hamming Local Pareto Search, the original's algorithm."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pareto_profiler.core.front import nondominated
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment, DecisionSpace, Granularity
from pareto_profiler.core.trial import Trial
from pareto_profiler.samplers.local import neighbours
from pareto_profiler.samplers.waiting import WaitingSampler


class HlpsSampler(WaitingSampler):
    """A queue of candidates, fed by what enters the front.

    A member that joined the front without replacing another is *explored*: for each Hamming
    distance from 1 to n, k - 1 random variants with that many changes (k choices). One that
    replaced another is *exploited*: all its neighbours. When the queue is empty a new round starts
    with the neighbours of the whole front; when that brings nothing new, with a random assignment.

    With granularity ``index`` the rounds first go through the assignments in which all operations
    of one name share a backend; when one of them brings nothing new, the front found there is what
    the rounds in the whole space start from.

    Source: ``Hlps.py`` of ONE's pareto_profiler, described in words. Unlike there, nothing is
    queued twice, every variable is varied, any number of backends will do, and dominance needs one
    strict inequality only.

    Args:
        problem: What is searched.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._chance = np.random.default_rng([problem.seed, 4])
        self._groups = _names(problem.space)
        self._is_coarse = len(self._groups) < len(problem.space.variables)
        self._front: dict[Assignment, tuple[float, ...]] = {}
        self._handled: set[Assignment] = set()
        self._expanded: set[tuple[bool, Assignment]] = set()
        self._wait_for([self._one_at_random()])

    def _learn(self, trial: Trial) -> None:
        assignment = trial.assignment
        if assignment in self._handled or assignment not in self._told.values:
            return
        self._handled.add(assignment)
        figures = self._told.values[assignment]
        rows = np.array([*self._front.values(), figures])
        keep = nondominated(rows)
        if not keep[-1] or not self._space.is_feasible(assignment):
            return
        before = len(self._front)
        self._front = {
            a: v for (a, v), is_kept in zip(self._front.items(), keep, strict=False) if is_kept
        }
        is_replacing = len(self._front) < before
        self._front[assignment] = figures
        if is_replacing:
            self._wait_for(self._around(assignment))
        else:
            self._wait_for(self._shifted(assignment))

    def _next(self) -> Iterable[Assignment]:
        fresh = [a for a in self._front if (self._is_coarse, a) not in self._expanded]
        self._expanded |= {(self._is_coarse, a) for a in fresh}
        if fresh:
            return [b for a in fresh for b in self._around(a)]
        if self._is_coarse:
            self._is_coarse = False
            return [b for a in self._front for b in self._around(a)]
        return [self._one_at_random()]

    def _units(self) -> list[list[int]]:
        """What changes together: the variables of one name, or each by itself."""
        count = len(self._space.variables)
        return self._groups if self._is_coarse else [[i] for i in range(count)]

    def _around(self, assignment: Assignment) -> list[Assignment]:
        if not self._is_coarse:
            return list(neighbours(self._space, assignment))
        return [
            self._with(assignment, [(unit, choice)])
            for unit in self._groups
            for choice in self._choices(unit)
            if any(assignment[i] != choice for i in unit)
        ]

    def _shifted(self, assignment: Assignment) -> Iterable[Assignment]:
        units = [u for u in self._units() if len(self._choices(u)) > 1]
        for distance in range(1, len(units) + 1):
            most = max(len(self._choices(u)) for u in units)
            for _ in range(most - 1):
                picked = self._chance.choice(len(units), size=distance, replace=False)
                changes = []
                for unit in (units[i] for i in picked.tolist()):
                    others = [c for c in self._choices(unit) if c != assignment[unit[0]]]
                    changes.append((unit, others[int(self._chance.integers(len(others)))]))
                yield self._with(assignment, changes)

    def _one_at_random(self) -> Assignment:
        if not self._is_coarse:
            return self._space.draw(self._chance, 1)[0]
        changes = []
        for unit in self._groups:
            choices = self._choices(unit)
            changes.append((unit, choices[int(self._chance.integers(len(choices)))]))
        return self._with(self._space.default, changes)

    def _choices(self, unit: list[int]) -> list[str]:
        """What any of them can run on; the others stay where they are."""
        found = dict.fromkeys(c for i in unit for c in self._space.variables[i].feasible)
        return list(found)

    def _with(self, assignment: Assignment, changes: Iterable[tuple[list[int], str]]) -> Assignment:
        changed = list(assignment)
        for unit, choice in changes:
            for i in unit:
                if choice in self._space.variables[i].feasible:
                    changed[i] = choice
        return tuple(changed)


def _names(space: DecisionSpace) -> list[list[int]]:
    """Positions of the variables of each operation name; each by itself but for ``index``."""
    if space.granularity is not Granularity.INDEX:
        return [[i] for i in range(len(space.variables))]
    groups: dict[str, list[int]] = {}
    for i, variable in enumerate(space.variables):
        groups.setdefault(variable.name.split("/")[0], []).append(i)
    return list(groups.values())
