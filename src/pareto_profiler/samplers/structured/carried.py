"""Carried: what another run of the same space learned, as a prior for this one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError
from pareto_profiler.samplers.history import History
from pareto_profiler.samplers.structured.nogoods import NoGood, violates_none
from pareto_profiler.samplers.structured.structure import Digits, Vector
from pareto_profiler.samplers.structured.terms import Terms, Workspaces

if TYPE_CHECKING:
    from pareto_profiler.samplers.structured.observations import Observations

TRUSTS: Final = (0.05, 0.2, 0.6)
"""By how much of its prior's spread a weight may be another here; 1 is as if nothing were known."""

_WORDS: Final = ("as there", "much as there", "a little as there", "otherwise (not used)")
_DRAWS: Final = 32
# How far uniform assignments may be apart, over the baseline, where traces serve both.
_ALIKE: Final = 0.1
_AGREED: Final = 0.9
# Of the models that are drawn, this many share the failures that another run explained.
_SHARING: Final = 0.75


class Carried:
    """What the weights of cost terms, and what makes assignments fail, were somewhere else.

    A weight is carried as its distance from its prior's mean in spreads of the prior: what the
    warm start says here, how fast a backend is, is not overridden. Which of several trusts is
    right, or none, the evidence of what is measured here decides, for each objective.

    Args:
        problem: What the other run searched; space and objectives are this one's.
        trials: What it measured.

    Raises:
        InputError: It has no baseline.
    """

    def __init__(self, problem: Problem, trials: Sequence[Trial]) -> None:
        # What is carried is made of what carries it.
        from pareto_profiler.samplers.structured.observations import Observations

        self._problem = problem
        told = History(problem.objectives)
        observations = Observations(problem, told)
        for trial in trials:
            told.add(trial)
            observations.add(trial)
        if problem.space.default not in told.values:
            raise InputError("its baseline was not measured: there is nothing to start from")
        self.profiled = observations.profiled()
        self._shares = _shares(problem, told)
        self._moves = [_moves(terms, weights) for terms, weights in observations.first_fits()]
        self._culprits = _agreed(observations)

    def priors(self, k: int, terms: Terms) -> Iterator[tuple[float, Vector, Vector]]:
        """Means and spreads of an objective's weights, for each trust the two."""
        moved, is_known = terms.means.copy(), np.zeros(len(terms.means), dtype=bool)
        for key, where in _places(terms):
            move = self._moves[k].get(key)
            if move is not None and len(move) == where.stop - where.start:
                moved[where] += move * terms.spreads[where]
                is_known[where] = True
        for trust in TRUSTS:
            yield trust, moved, np.where(is_known, trust * terms.spreads, terms.spreads)

    def is_of_kind(self, told: History) -> bool:
        """Whether all on each backend is to the baseline what it was there, as far as is told."""
        here = _shares(self._problem, told)
        apart = [
            abs(np.log(a / b))
            for x in here.keys() & self._shares.keys()
            for a, b in zip(here[x], self._shares[x], strict=True)
        ]
        return here.keys() >= self._shares.keys() > set() and max(apart) < _ALIKE

    def explained(
        self, explanations: Sequence[list[NoGood]], measured: Digits
    ) -> tuple[list[NoGood], ...]:
        """Drawn explanations, most with what failed elsewhere and does not work here."""
        left = [c for c in self._culprits if violates_none(measured, [c]).all()]
        sharing = round(_SHARING * len(explanations))
        return tuple([*own, *left] if i < sharing else own for i, own in enumerate(explanations))


def _shares(problem: Problem, told: History) -> dict[Assignment, tuple[float, ...]]:
    """What the uniform assignments that were told are, over the baseline."""
    base = told.values.get(problem.space.default)
    if base is None:
        return {}
    return {
        a: tuple(v / max(b, 1e-12) for v, b in zip(told.values[a], base, strict=True))
        for a in problem.space.uniforms()
        if a in told.values and min(told.values[a]) > 0
    }


def carried_words(trusts: Mapping[str, float]) -> str:
    """How far what another run learned was used, for people.

    Examples:
        >>> carried_words({"exec_time": 0.2, "max_rss": 1.0})
        'exec_time is much as there, max_rss is otherwise (not used)'
    """
    words = dict(zip((*TRUSTS, 1.0), _WORDS, strict=True))
    return ", ".join(f"{name} is {words[trust]}" for name, trust in trusts.items())


def _places(terms: Terms) -> Iterator[tuple[tuple[str, int], slice]]:
    """Where each family's weights are, by its class and how many of that came before."""
    seen = Counter[str]()
    for where, family in terms.families:
        name = type(family).__name__
        # Its features are made of what a fit found, and are others in each.
        if not isinstance(family, Workspaces):
            yield (name, seen[name]), where
        seen[name] += 1


def _moves(terms: Terms, weights: Vector) -> dict[tuple[str, int], Vector]:
    """How many of its prior's spreads each weight moved."""
    spreads = np.where(terms.spreads > 0, terms.spreads, 1.0)
    moves = np.where(terms.spreads > 0, (weights - terms.means) / spreads, 0.0)
    return {key: moves[where] for key, where in _places(terms)}


def _agreed(observations: Observations) -> list[NoGood]:
    """Conjunctions that are in nearly all explanations of the failures."""
    drawn = observations.culprits().draw(_DRAWS, np.random.default_rng(0))
    counts = Counter(pairs for explanation in drawn for pairs in explanation)
    return [pairs for pairs, times in counts.items() if times >= _AGREED * _DRAWS]
