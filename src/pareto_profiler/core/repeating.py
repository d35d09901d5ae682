"""Repeats: what to measure again so that contested places are decided with few processes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.estimate import Estimates

Vector = NDArray[np.float64]
Contest = tuple[int, int | None]
"""Positions of an assignment and of the one against which its place is not decided, if any."""

_LEAST_NOISE: Final = 1e-5
_UNTOLD: Final = 1.0
_JITTER: Final = 1e-12


def worth_repeating(
    known: Estimates,
    contests: Sequence[Contest],
    candidates: Collection[int],
    count: int,
    *,
    fine: float,
) -> list[int]:
    """Whom to measure once more, one after the other, so that contests are decided soonest.

    What decides a contest is the difference of the two, and whatever they share is as wrong in
    both. So each repeat goes where the variances of all contested differences shrink most, as
    fractions of what they are, given that the repeats before it were made: the design for
    differences of a linear model (Fiez et al. 2019, arXiv 1906.08399). O(count · (n² + contests ·
    candidates)) for n measured assignments.

    Args:
        known: All that is known of the measured assignments.
        contests: What is not decided.
        candidates: Positions of those that may be repeated.
        count: How many at most; each once.
        fine: Spread of a difference that does not have to shrink.

    Returns:
        Positions, the most telling first.
    """
    left = sorted(candidates)
    posteriors = [_posterior(known, k) for k in range(len(known.objectives))]
    one = np.array([i for i, _ in contests], dtype=int)
    other = np.array([i if j is None else j for i, j in contests], dtype=int)
    is_pair = np.array([j is not None for _, j in contests], dtype=float)
    chosen: list[int] = []
    while left and len(chosen) < count and len(contests):
        gains = np.zeros(len(left))
        for covariance, noise in posteriors:
            across = covariance[one] - is_pair[:, None] * covariance[other]
            variances = across[np.arange(len(one)), one]
            variances -= is_pair * across[np.arange(len(one)), other]
            open_ones = np.maximum(variances, 0.0) + fine**2 + _JITTER
            shares = across[:, left] ** 2 / open_ones[:, None]
            gains += shares.sum(axis=0) / (np.diag(covariance)[left] + noise**2)
        chosen.append(left.pop(int(np.argmax(gains))))
        posteriors = [(_repeated(c, noise, chosen[-1]), noise) for c, noise in posteriors]
    return chosen


def _posterior(known: Estimates, objective: int) -> tuple[Vector, float]:
    """Covariance of the errors of an objective's logarithms, and the noise of a process."""
    deviations = np.array([item.figures[objective].deviation for item in known.items])
    deviations = np.where(np.isfinite(deviations), deviations, _UNTOLD)
    covariance = np.diag(deviations**2)
    if known.correlations:
        covariance = known.correlations[objective] * np.outer(deviations, deviations)
    return covariance, max(known.noise[objective], _LEAST_NOISE)


def _repeated(covariance: Vector, noise: float, position: int) -> Vector:
    """What is left of a covariance once one assignment was measured once more."""
    column = covariance[:, position]
    found: Vector = covariance - np.outer(column, column) / (column[position] + noise**2)
    return found


def chance_of_verdict(probability: float, growth: float, confidence: float) -> float:
    """How probable it is that measuring more decides a contest.

    What is believed of a difference, over its spread, is taken for normal: a spread that becomes
    ``growth`` times smaller moves it away from nothing on average, and by chance either way.

    Args:
        probability: Of either side, as believed now.
        growth: Old spread over new, at least 1.
        confidence: From which on it is decided.

    Examples:
        >>> round(chance_of_verdict(0.9, 2.0, 0.99), 2), round(chance_of_verdict(0.5, 1.1, 0.99), 2)
        (0.56, 0.0)
    """
    if growth <= 1.0:
        return 0.0
    normal = NormalDist()
    now, enough = map(normal.inv_cdf, (min(max(probability, 1e-6), 1 - 1e-6), confidence))
    spread = math.sqrt(growth**2 - 1)
    return sum(normal.cdf((side * growth * now - enough) / spread) for side in (1, -1))
