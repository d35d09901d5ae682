"""RandomSampler: uniform without replacement, on spaces of any size."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

import numpy as np

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Profile, Trial

_SMALL_SPACE: Final = 4096
_BLOCK: Final = 256


class RandomSampler:
    """Asks for the untold assignments of one fixed random order of the space.

    Small spaces are shuffled whole. Large ones are drawn from without end, repeats skipped, which
    is the same distribution; once half of the space is told and skipping would take over, the
    whole space is shuffled after all (it then has at most twice as many assignments as were told).

    O(1) an ask, amortised.

    Args:
        problem: Where to draw from, and the seed of the order.
    """

    def __init__(self, problem: Problem) -> None:
        space, seed = problem.space, problem.seed
        self._space = space
        self._size = space.size
        self._seed = seed
        self._told: set[Assignment] = set()
        self._told_feasible = 0
        self._queue: deque[Assignment] = deque()
        self._queued: set[Assignment] = set()
        self._stream = np.random.default_rng([seed, 0])
        self._is_shuffled = False
        if self._size <= _SMALL_SPACE:
            self._shuffle()

    def ask(self, count: int = 1) -> list[Assignment]:
        # Decided by the tells alone: an ask must not change the next one.
        if not self._is_shuffled and 2 * self._told_feasible > self._size:
            self._shuffle()
        count = min(count, self._size - self._told_feasible)
        while self._queue and self._queue[0] in self._told:
            self._queued.discard(self._queue.popleft())
        while True:
            found = list(islice((a for a in self._queue if a not in self._told), count))
            if len(found) == count or self._is_shuffled:
                return found
            self._extend()

    def tell(self, trial: Trial) -> None:
        if isinstance(trial.outcome, Profile):
            return  # it may be measured yet
        if trial.assignment not in self._told:
            self._told.add(trial.assignment)
            self._told_feasible += self._space.is_feasible(trial.assignment)

    def _extend(self) -> None:
        for assignment in self._space.draw(self._stream, _BLOCK):
            if assignment not in self._told and assignment not in self._queued:
                self._queue.append(assignment)
                self._queued.add(assignment)

    def _shuffle(self) -> None:
        everything = list(self._space)
        order = np.random.default_rng([self._seed, 1]).permutation(len(everything))
        self._queue = deque(everything[i] for i in order.tolist())
        self._queued = set()
        self._is_shuffled = True
