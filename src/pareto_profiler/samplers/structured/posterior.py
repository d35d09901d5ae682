"""Posterior: models that are as plausible as each other after what was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pareto_profiler.samplers.structured.nogoods import NoGood, violates_none
from pareto_profiler.samplers.structured.observations import ObjectiveModel, Observations
from pareto_profiler.samplers.structured.regression import Draws
from pareto_profiler.samplers.structured.structure import Digits, Flags, Vector

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
        return cls(beliefs, draws, tuple(observations.culprits().draw(_DRAWS, random)))

    def values(self, digits: Digits, random: np.random.Generator) -> Vector:
        """Values under each drawn model, shape ``(draws, assignments, objectives)``."""
        columns = [
            b.drawn(d, digits, random) for b, d in zip(self.beliefs, self.draws, strict=True)
        ]
        return np.stack(columns, axis=2)

    def means(self, digits: Digits) -> Vector:
        """The same without what residuals may add, so that it is a function of the digits."""
        pairs = zip(self.beliefs, self.draws, strict=True)
        return np.stack([b.drawn(d, digits) for b, d in pairs], axis=2)

    def works(self, digits: Digits) -> Flags:
        """Whether they work under each explanation, shape ``(draws, assignments)``."""
        return np.stack([violates_none(digits, e) for e in self.explanations])

    def expected(self, digits: Digits) -> tuple[Vector, Vector]:
        """Mean and standard deviation over all models, shape ``(assignments, objectives)`` each."""
        both = [b.regression.predict(b.terms.features(digits), digits) for b in self.beliefs]
        return (
            np.stack([b.peak(m) for b, (m, _) in zip(self.beliefs, both, strict=True)], axis=1),
            np.stack([deviation for _, deviation in both], axis=1),
        )
