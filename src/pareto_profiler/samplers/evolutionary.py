"""Nsga2Sampler, Spea2Sampler: pymoo's evolutionary algorithms, on choices instead of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.errors import InputError
from pareto_profiler.samplers.waiting import WaitingSampler

_POPULATION: Final = 32


class EvolutionarySampler(WaitingSampler):
    """One generation after another.

    The first one is the warm start and random assignments, later ones are children: two parents'
    choices mixed one by one, then each variable given another choice with probability 1/n. What was
    told before is not asked for again but known; failures count as infeasible.

    Args:
        problem: What is searched.
        algorithm: pymoo's class.
        **more: Arguments for it.
    """

    def __init__(self, problem: Problem, algorithm: Any, **more: Any) -> None:
        super().__init__(problem)
        self._seed = problem.seed
        self._algorithm: Any = None
        self._population: Any = None
        self._make: Callable[[], Any] = lambda: algorithm(
            pop_size=_POPULATION, sampling=self._first(), eliminate_duplicates=True, **more
        )
        self._objective_count = len(problem.objectives)
        self._start()

    def _start(self) -> None:
        from pymoo.core.problem import Problem as PymooProblem

        highs = np.array([len(v.feasible) - 1 for v in self._space.variables])
        algorithm = self._make()
        algorithm.setup(
            PymooProblem(
                n_var=len(highs),
                n_obj=self._objective_count,
                n_ieq_constr=1,
                xl=np.zeros(len(highs), dtype=int),
                xu=highs,
                vtype=int,
            ),
            seed=self._seed,
            verbose=False,
        )
        self._algorithm = algorithm
        self._population = algorithm.ask()
        self._wait_for(self._members())

    def _first(self) -> Any:
        space = self._space
        warm_start = [a for a in (space.default, *space.uniforms()) if space.is_feasible(a)]
        drawn = space.draw(np.random.default_rng([self._seed, 2]), 4 * _POPULATION)
        unique = list(dict.fromkeys([*warm_start, *drawn]))[:_POPULATION]
        return np.array([self._genes(a) for a in unique])

    def _genes(self, assignment: Assignment) -> list[int]:
        pairs = zip(assignment, self._space.variables, strict=True)
        return [v.feasible.index(c) for c, v in pairs]

    def _members(self) -> list[Assignment]:
        if self._population is None:
            return []
        return [
            tuple(v.feasible[int(gene)] for v, gene in zip(self._space.variables, row, strict=True))
            for row in np.atleast_2d(self._population.get("X"))
        ]

    def _next(self) -> Iterable[Assignment]:
        members = self._members()
        worst = self._told.worst()
        values = self._told.values
        figures = np.array([values.get(a, worst) for a in members])
        failed = np.array([[float(a not in values)] for a in members])
        self._population.set("F", figures, "G", failed)
        with np.errstate(invalid="ignore", divide="ignore"):  # where all are equal in an objective
            self._algorithm.tell(infills=self._population)
            self._population = self._algorithm.ask()
        if self._population is None or not len(self._population):
            # Nothing but duplicates could be bred.
            self._population = self._algorithm.pop
        return self._members()


def nsga2(problem: Problem) -> EvolutionarySampler:
    """NSGA-II (Deb et al. 2002): non-dominated sorting, then crowding; 32 in each generation.

    Raises:
        InputError: pymoo is not installed.
    """
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2
    except ImportError as error:
        raise InputError("nsga2 needs pymoo: pip install pymoo") from error
    return EvolutionarySampler(problem, NSGA2, **_operators())


def spea2(problem: Problem) -> EvolutionarySampler:
    """SPEA2 (Zitzler et al. 2001): strength, then distance to neighbours; 32 in each generation.

    Raises:
        InputError: pymoo is not installed.
    """
    try:
        from pymoo.algorithms.moo.spea2 import SPEA2
    except ImportError as error:
        raise InputError("spea2 needs pymoo: pip install pymoo") from error
    return EvolutionarySampler(problem, SPEA2, **_operators())


def _operators() -> dict[str, Any]:
    from pymoo.core.mutation import Mutation
    from pymoo.operators.crossover.ux import UX

    class OtherChoice(Mutation):  # type: ignore[misc]
        """Gives each variable another choice with probability 1/n."""

        def _do(self, problem: Any, genes: Any, *_: Any, random_state: Any, **__: Any) -> Any:
            count = problem.xu + 1
            shift = random_state.integers(1, np.maximum(count, 2), size=genes.shape)
            is_changed = random_state.random(genes.shape) < 1 / problem.n_var
            return np.where(is_changed, (genes + shift) % count, genes)

    return {"crossover": UX(prob=0.9), "mutation": OtherChoice()}
