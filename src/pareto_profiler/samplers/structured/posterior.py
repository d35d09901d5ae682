"""Posterior: models that are as plausible as each other after what was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pareto_profiler.samplers.structured.nogoods import NoGood, works_under
from pareto_profiler.samplers.structured.observations import ObjectiveModel, Observations
from pareto_profiler.samplers.structured.regression import Draws
from pareto_profiler.samplers.structured.structure import Chosen, Digits, Flags, Vector

_DRAWS: Final = 32


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws of all that decides what an assignment is worth.

    Attributes:
        beliefs: One for each objective.
        draws: Models of each objective.
        explanations: With each of these models, what makes assignments fail.
    """

    beliefs: tuple[ObjectiveModel, ...]
    draws: tuple[Draws, ...]
    explanations: tuple[list[NoGood], ...]

    @classmethod
    def of(cls, observations: Observations, random: np.random.Generator) -> Posterior:
        """Fit everything to the observations and draw; the baseline must have been told."""
        beliefs = observations.beliefs()
        draws = tuple(b.regression.draw(_DRAWS, random) for b in beliefs)
        explanations = tuple(observations.culprits().draw(_DRAWS, random))
        if observations.carried is not None:
            explanations = observations.carried.explained(explanations, observations.measured())
        return cls(beliefs, draws, explanations)

    def values(self, digits: Digits, random: np.random.Generator) -> Vector:
        """Values under each drawn model, shape ``(draws, assignments, objectives)``."""
        chosen = self.chosen(digits)
        columns = [
            b.drawn(d, chosen, random) for b, d in zip(self.beliefs, self.draws, strict=True)
        ]
        return np.stack(columns, axis=2)

    def means(self, digits: Digits) -> Vector:
        """The same without what residuals may add, so that it is a function of the digits."""
        chosen, pairs = self.chosen(digits), zip(self.beliefs, self.draws, strict=True)
        return np.stack([b.drawn(d, chosen) for b, d in pairs], axis=2)

    def chosen(self, digits: Digits) -> Chosen:
        """What features are made of; the same for all objectives."""
        return Chosen(self.beliefs[0].terms.structure, digits)

    def works(self, digits: Digits) -> Flags:
        """Whether they work under each explanation, shape ``(draws, assignments)``."""
        return works_under(digits, self.explanations)

    def expected(self, digits: Digits) -> tuple[Vector, Vector]:
        """Mean and standard deviation over all models, shape ``(assignments, objectives)`` each."""
        chosen = self.chosen(digits)
        both = [b.regression.predict(b.terms.features(chosen), digits) for b in self.beliefs]
        return (
            np.stack([b.peak(m) for b, (m, _) in zip(self.beliefs, both, strict=True)], axis=1),
            np.stack([deviation for _, deviation in both], axis=1),
        )
