"""Pool: assignments that may be worth measuring, made from drawn models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np

from pareto_profiler.core.front import nondominated
from pareto_profiler.core.ports import Sampler
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.samplers.structured.fronts import Forest, infeasible
from pareto_profiler.samplers.structured.nogoods import NoGood, given
from pareto_profiler.samplers.structured.observations import Observations
from pareto_profiler.samplers.structured.posterior import Posterior
from pareto_profiler.samplers.structured.structure import Digits, Flags, Vector
from pareto_profiler.samplers.structured.terms import Costs

_SOLVED_DRAWS: Final = 16
_PER_DRAW: Final = 44
WHOLE_SPACE: Final = 20_000
_POOL: Final = 400
_PROBLEM_SIZE: Final = 4_000_000
_SHARES: Final = (0.0, 0.02, 0.06, 0.15, 0.3, 0.5, 0.7, 0.85, 0.94, 0.98, 1.0)
_SETTINGS: Final = 6
_HOPES: Final = 6
_NEIGHBOURS: Final = 100
_WITH_SETTINGS: Final = 120
_DRAWN: Final = 10


class Pool:
    """Gathers what was not told and is feasible.

    Small spaces are gone through whole: the fronts of all drawn models. In large ones some drawn
    models are solved for their fronts; around these come neighbours of the measured front, parts of
    what promises most put into what works, other settings, and a few at random.

    Args:
        space: What may be chosen.
        observations: What was told.
        posterior: What is believed.
        others: Proposes at random.
        random: Where chance decides.
    """

    def __init__(
        self,
        space: DecisionSpace,
        observations: Observations,
        posterior: Posterior,
        others: Sampler,
        random: np.random.Generator,
    ) -> None:
        self._space = space
        self._evidence = observations
        self._posterior = posterior
        self._others = others
        self._random = random
        self._structure = observations.structure
        self._told = observations.told

    def gather(self) -> Digits:
        """Digits of the candidates, shape ``(at most 400, variables)``."""
        if self._space.size <= WHOLE_SPACE:
            return self._thinned(self._best_of_all())
        s = self._structure
        solved = self._solved()
        found = [
            solved,
            s.encode(neighbours_of_front(self._space, self._evidence, self._random)),
            self._between(solved),
            s.encode(self._others.ask(_DRAWN)),
            self._with_other_settings(solved),
        ]
        rows = s.new(np.unique(np.vstack(found), axis=0), self._told)
        if len(rows) > _POOL and s.setting_variables:
            rows = self._best(rows, np.ones((len(self._posterior.explanations), len(rows)), bool))
        return self._thinned(rows)

    def _best_of_all(self) -> Digits:
        everything = self._structure.encode([a for a in self._space if a not in self._told])
        return self._best(everything, self._posterior.works(everything))

    def _best(self, rows: Digits, works: Flags) -> Digits:
        """The fronts of all drawn models, where rows work under them, shape ``(draws, rows)``."""
        if not len(rows):
            return rows
        values = self._posterior.values(rows, self._random)
        while True:
            kept = np.zeros(len(rows), dtype=bool)
            for mine, fine in zip(values, map(np.flatnonzero, works), strict=True):
                if len(fine):
                    kept[fine[nondominated(mine[fine])]] = True
            wrong = np.flatnonzero(kept)[self._are_wrong(rows[kept])]
            if not len(wrong):
                return rows[kept]
            # Behind what is known to compute wrongly there is what does not.
            works[:, wrong] = False

    def _are_wrong(self, rows: Digits) -> Flags:
        """Which are known to compute wrongly, and never worth a measurement."""
        is_wrong = self._evidence.is_predicted_wrong
        return np.array([is_wrong(a) for a in self._structure.decode(rows)], dtype=bool)

    def _solved(self) -> Digits:
        """Fronts of some drawn models."""
        s, posterior, random = self._structure, self._posterior, self._random
        forest = Forest(s)
        backends = len(s.backends)
        size = len(s.counts) * backends
        most = max(2 * len(_SHARES), _PROBLEM_SIZE // size)
        per_draw = max(len(_SHARES), min(_PER_DRAW, most // _SOLVED_DRAWS))
        closed = infeasible(s)
        settings = self._setting_rows()
        used = [settings[int(random.integers(len(settings)))] for _ in range(_SOLVED_DRAWS)]
        used = used[: max(1, most // per_draw)]
        costs = [
            [
                b.terms.costs(draw.weights[d], setting)
                for b, draw in zip(posterior.beliefs, posterior.draws, strict=True)
            ]
            for d, setting in enumerate(used)
        ]
        culprits = [
            given(posterior.explanations[d], setting, s.setting_variables)
            for d, setting in enumerate(used)
        ]
        problems = [
            weighted_sums(mine, closed, culprits[d], per_draw, random)
            for d, mine in enumerate(costs)
        ]
        rows = forest.solve(*(np.concatenate(parts) for parts in zip(*problems, strict=True)))
        for d, setting in enumerate(used):
            mine = slice(d * per_draw, (d + 1) * per_draw)
            rows[mine, s.setting_variables] = setting[s.setting_variables]
        return rows

    def _setting_rows(self) -> Digits:
        """Digits of settings worth a look: the front's, the default's, and random ones."""
        s, random = self._structure, self._random
        default = s.encode([self._space.default])
        if not s.setting_variables:
            return default
        known = s.encode(self._told.front())[:, s.setting_variables]
        every = np.array(
            list(product(*(np.flatnonzero(s.is_feasible[i]) for i in s.setting_variables)))
        )
        picked = every[random.permutation(len(every))[:_SETTINGS]]
        rows = np.unique(np.vstack([known, picked]), axis=0)
        found = np.repeat(default, len(rows), axis=0)
        found[:, s.setting_variables] = rows
        return found[random.permutation(len(found))]

    def _with_other_settings(self, solved: Digits) -> Digits:
        """Some solutions under each of some settings."""
        s = self._structure
        if not s.setting_variables:
            return solved[:0]
        settings = self._setting_rows()[:, s.setting_variables]
        some = np.unique(solved, axis=0)
        some = some[self._random.permutation(len(some))[:_WITH_SETTINGS]]
        rows = np.repeat(some, len(settings), axis=0)
        rows[:, s.setting_variables] = np.tile(settings, (len(some), 1))
        return rows

    def _between(self, solved: Digits) -> Digits:
        """Parts of what works put into what promises most, and the other way round.

        Once something failed, this is how its cause is found in few trials, as by bisection: in
        halves, quarters, eighths and sixteenths. What still works is worth its measurement, too.
        """
        s = self._structure
        failed, front = self._evidence.failed(), s.encode(self._told.front())
        if not len(failed) or not len(front):
            return failed
        goals = np.unique(np.vstack([failed, solved[:: max(1, len(solved) // 200)]]), axis=0)
        expected, _ = self._posterior.expected(goals)
        promising = np.flatnonzero(nondominated(expected))[:_HOPES]
        order = np.array(s.operation_variables)
        found = []
        for goal in goals[promising]:
            closest = front[(front != goal).sum(axis=1).argmin()]
            for parts in (2, 4, 8, 16):
                for part in np.array_split(order, min(parts, len(order))):
                    for one, other in ((goal, closest), (closest, goal)):
                        mixed = one.copy()
                        mixed[part] = other[part]
                        found.append(mixed)
        return np.array(found, dtype=np.intp).reshape(len(found), failed.shape[1])

    def _thinned(self, rows: Digits) -> Digits:
        """Some of those that are not known to compute wrongly, as many as are looked at."""
        fine: list[int] = []
        left = self._random.permutation(len(rows)) if len(rows) > _POOL else np.arange(len(rows))
        while len(left) and len(fine) < _POOL:
            some, left = np.split(left, [min(len(left), _POOL - len(fine))])
            fine += some[~self._are_wrong(rows[some])].tolist()
        return rows[sorted(fine)]


def neighbours_of_front(
    space: DecisionSpace, observations: Observations, random: np.random.Generator
) -> list[Assignment]:
    """Some of the one-change neighbours of the front."""
    front = observations.told.front()
    found = []
    for _ in range(_NEIGHBOURS):
        changed = list(front[int(random.integers(len(front)))])
        i = int(random.integers(len(changed)))
        feasible = space.variables[i].feasible
        changed[i] = feasible[int(random.integers(len(feasible)))]
        found.append(tuple(changed))
    return found


def weighted_sums(
    costs: Sequence[Costs],
    closed: Vector,
    explanation: list[NoGood],
    count: int,
    random: np.random.Generator,
) -> tuple[Vector, ...]:
    """Weighted sums of the objectives, with all choices and with some of them.

    Without random backends, and without what is higher than a random height: of what counts by its
    maximum alone, the best of sums below a height is the best of all that is as high.

    Args:
        costs: Of each objective under one drawn model.
        closed: What makes choices never chosen, shape ``(variables, backends)``.
        explanation: Conjunctions that fail.
        count: How many sums.
        random: Where chance decides.

    Returns:
        What :meth:`Forest.solve` takes.
    """
    objectives = len(costs)
    scale = [max(1e-9, float(np.abs(c.unary).sum(axis=0).max())) for c in costs]
    shares = np.resize(_SHARES, count)
    parts = np.column_stack([1 - shares, shares])
    if objectives != 2:
        parts = random.dirichlet(np.ones(objectives), count)
    parts = np.maximum(1e-4, parts) / scale
    banned = random.random((count, closed.shape[1])) < 0.4
    banned[: len(_SHARES)] = False
    limited = closed + 1e3 * banned[:, None, :]
    for heights in [c.heights for c in costs if c.heights.any()]:
        least = np.where(closed > 0, np.inf, heights).min(axis=1).max()
        highest = least + random.random(count) * (heights.max() - least)
        highest[::2] = np.inf
        limited += 1e3 * (heights > highest[:, None, None])
    whole = _summed(parts, [c.unary for c in costs]) + limited
    if explanation:
        breaking = _Breaking(explanation)
        for one in whole:
            one[breaking.given_up(one, random)] += 1e5
    most = max(len(c.pairs) for c in costs)
    pairs = [c.pairs if len(c.pairs) else np.zeros((most, *c.pairs.shape[1:])) for c in costs]
    rest = (
        [c.copies for c in costs],
        [c.copied_bytes for c in costs],
        [c.partitions for c in costs],
    )
    return (whole, *(_summed(parts, each) for each in (*rest, pairs)))


def _summed(parts: Vector, values: Sequence[Vector]) -> Vector:
    """Of each row of weights the weighted sum of some arrays of one shape."""
    return np.tensordot(parts, np.stack(values), axes=1)


class _Breaking:
    """Gives up choices so that no conjunction stays whole, cheap ones that break many first.

    Args:
        explanation: The conjunctions.
    """

    def __init__(self, explanation: list[NoGood]) -> None:
        parts = np.array([pair for conjunction in explanation for pair in conjunction])
        pairs, place, self._holders = np.unique(
            parts, axis=0, return_inverse=True, return_counts=True
        )
        self._variables, self._choices = pairs.T
        ends = np.cumsum([len(conjunction) for conjunction in explanation])
        self._members = [part.tolist() for part in np.split(place.reshape(-1), ends[:-1])]

    def given_up(self, unary: Vector, random: np.random.Generator) -> tuple[Digits, Digits]:
        """Variables and choices of theirs, by what others cost and by chance.

        O(l log l) for conjunctions of l choices in all: each in turn, unless it is broken already.
        """
        count = len(self._choices)
        others = unary[self._variables]
        others[np.arange(count), self._choices] = np.inf
        loss = np.maximum(0.0, others.min(axis=1) - unary[self._variables, self._choices]) + 1e-3
        worth = (random.lognormal(0, 0.7, count) / np.minimum(loss, 1e9) * self._holders).tolist()
        best = [max(part, key=worth.__getitem__) for part in self._members]
        chosen: set[int] = set()
        for n in sorted(range(len(best)), key=lambda n: -worth[best[n]]):
            if chosen.isdisjoint(self._members[n]):
                chosen.add(best[n])
        places = sorted(chosen)
        return self._variables[places], self._choices[places]
