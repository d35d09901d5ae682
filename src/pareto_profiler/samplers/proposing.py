"""ProposingSampler: what samplers share that work their proposals out when they are asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.samplers.history import History
from pareto_profiler.samplers.random import RandomSampler


class ProposingSampler(ABC):
    """Proposes from all that was told, and keeps its proposals until something new is told.

    What is proposed depends on the tells alone, and the first of a long batch are those of a short
    one, so that asking stays a query.

    Args:
        problem: What is searched.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._told = History(problem.objectives)
        self._random = RandomSampler(problem)
        self._proposed: list[Assignment] = []
        self._is_all = False

    def ask(self, count: int = 1) -> list[Assignment]:
        if len(self._proposed) < count and not self._is_all:
            self._proposed = self._propose(count)
            self._is_all = len(self._proposed) < count
        return self._proposed[:count]

    def tell(self, trial: Trial) -> None:
        self._told.add(trial)
        self._random.tell(trial)
        self._proposed, self._is_all = [], False

    @abstractmethod
    def _propose(self, count: int) -> list[Assignment]:
        """A batch; fewer only where there is no more.

        What a smaller batch was since the last tell is in ``_proposed``.
        """


def seed_of(numbers: Sequence[int]) -> int:
    """A seed below 2³² made of several numbers, the same in every process."""
    import numpy as np

    return int(np.random.SeedSequence(list(numbers)).generate_state(1)[0])
