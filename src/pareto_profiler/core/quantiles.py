"""Quantiles: of Student's t and of chi-square, which NumPy draws but cannot invert.

Own code, since SciPy, which can, is 143 MB and takes most of a second to import.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_STEPS: Final = 60
# From here on two terms beyond the normal are as good.
_NEARLY_NORMAL: Final = 1000.0
_GRID: Final = 8001
# Down to the 45th power of e the density is summed up.
_TAIL: Final = 45.0
_WIDE: Final = 20.0


@lru_cache(maxsize=4096)
def student_t(freedom: float, probability: float) -> float:
    """What a Student's t is below with some probability.

    With t = √ν tan θ its distribution is the integral of cosᵛ⁻¹ θ, which Gauss and Legendre's rule
    sums up; Newton's steps invert it, from below, where the integral bends downwards.

    Args:
        freedom: Degrees of it, 1 or more.
        probability: Between 0.001 and 0.999.

    Returns:
        To six digits.

    Examples:
        >>> [round(student_t(freedom, 0.975), 4) for freedom in (1, 5, 30, math.inf)]
        [12.7062, 2.5706, 2.0423, 1.96]
    """
    if probability < 0.5:
        return -student_t(freedom, 1 - probability)
    if freedom >= _NEARLY_NORMAL:
        # Abramowitz and Stegun 1964, 26.7.5.
        z = NormalDist().inv_cdf(probability)
        first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
        return z + first / freedom + second / freedom**2
    whole = math.sqrt(math.pi) * math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom + 1) / 2))
    wanted, angle = (probability - 0.5) * whole, 0.0
    for _ in range(_STEPS):
        nodes = angle * (_NODES + 1) / 2
        reached = angle / 2 * float(_WEIGHTS @ np.cos(nodes) ** (freedom - 1))
        step = (wanted - reached) / math.cos(angle) ** (freedom - 1)
        angle += step
        if abs(step) <= 1e-12 * angle:
            break
    return math.sqrt(freedom) * math.tan(angle)


def chi_square_over_freedom(
    freedom: NDArray[np.float64], probability: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What a chi-square over its degrees of freedom is below with some probability.

    Read off a table of its distribution over the logarithm, made once for each freedom.

    Args:
        freedom: Shape ``(n,)``.
        probability: Shape ``(draws, 1)``.

    Returns:
        Shape ``(draws, n)``, to four digits.

    Examples:
        >>> chi_square_over_freedom(np.array([2.0, 100.0]), np.array([[0.5]])).round(3).tolist()
        [[0.693, 0.993]]
    """
    found = np.empty((len(probability), len(freedom)))
    for value in np.unique(freedom).tolist():
        below, logarithms = _table(value)
        own = np.exp(np.interp(probability[:, 0], below, logarithms))
        found[:, freedom == value] = own[:, None]
    return found


@lru_cache(maxsize=256)
def _table(freedom: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities, rising, and the logarithms of chi-square over freedom that they belong to."""
    half = freedom / 2
    # The density over y = log(x / ν) is that of exp(ν/2 · (y - eʸ)), but for a constant.
    reach = math.sqrt(2 * _TAIL / half)
    low, high = -1.5 * reach, reach
    if half < _WIDE:
        low, high = -1 - _TAIL / half, math.log1p(2 * _TAIL / half)
    logarithms = np.linspace(low, high, _GRID)
    density = np.exp(half * (logarithms - np.exp(logarithms) + 1))
    sums = np.cumsum((density[1:] + density[:-1]) / 2)
    below = np.concatenate([[0.0], sums]) / sums[-1]
    return below, logarithms
