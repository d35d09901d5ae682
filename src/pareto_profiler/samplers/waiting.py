"""WaitingSampler: what samplers share that propose a batch and learn when all of it was told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.samplers.history import History
from pareto_profiler.samplers.random import RandomSampler

_PATIENCE: Final = 20


class WaitingSampler(ABC):
    """Asks for what waits to be told; when nothing does any more, for what comes next.

    What comes next is worked out when it is told, never when it is asked for, so that asking stays
    a query. Where nothing new comes for long, the untold is asked for at random.

    Args:
        problem: What is searched.
    """

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._told = History(problem.objectives)
        self._random = RandomSampler(problem)
        self._waiting: dict[Assignment, None] = {}

    def ask(self, count: int = 1) -> list[Assignment]:
        return list(self._waiting)[:count] or self._random.ask(count)

    def tell(self, trial: Trial) -> None:
        self._told.add(trial)
        self._random.tell(trial)
        self._waiting.pop(trial.assignment, None)
        self._learn(trial)
        if len(self._told) < self._space.size:
            self._refill()

    def _learn(self, trial: Trial) -> None:  # noqa: B027
        """What to make of one trial at once; by default nothing."""

    @abstractmethod
    def _next(self) -> Iterable[Assignment]:
        """More, of which some may have been told; called when nothing waits."""

    def _wait_for(self, assignments: Iterable[Assignment]) -> None:
        for assignment in assignments:
            if assignment not in self._told and self._space.is_feasible(assignment):
                self._waiting[assignment] = None

    def _refill(self) -> None:
        for _ in range(_PATIENCE):
            if self._waiting:
                return
            self._wait_for(self._next())
