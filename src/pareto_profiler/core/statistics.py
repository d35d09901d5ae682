"""Statistics of noisy levels: a robust location, its standard error, and slow drift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

# Drift is believed in when it explains the anchors better at the 1 % level (one-sided, χ² of 1).
_LIKELIHOOD_GAIN: Final = 5.41 / 2
_MAX_FOR_MEDIAN: Final = 6
_MAX_PAIRS_FROM: Final = 1000
_OUTLIER: Final = 5.0
_FROM_MAD: Final = 1.4826
_MIN_FOR_DRIFT: Final = 6
# Of more than so many anchors neighbours are averaged: a walk is seen as well, in a moment.
_MAX_ANCHORS: Final = 200


def robust_level(values: ArrayLike, /) -> float:
    """A level that a minority of disturbed values does not move much.

    Of up to six values the median, since one of three or two of five may be anything. Of more the
    Hodges-Lehmann estimate, the median of all pairwise means: nearly as precise as the mean, while
    up to 29 % of the values may be anything. O(n²) (Hodges and Lehmann 1963); of more than 1000
    values the median again.

    Args:
        values: Shape ``(n,)``, not empty.

    Examples:
        >>> robust_level([1.0, 2.0, 900.0])
        2.0
        >>> robust_level([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 900.0])
        4.0
    """
    row = np.asarray(values, dtype=np.float64)
    if len(row) <= _MAX_FOR_MEDIAN or len(row) > _MAX_PAIRS_FROM:
        return float(np.median(row))
    left, right = np.triu_indices(len(row))
    return float(np.median((row[left] + row[right]) / 2))


def standard_error_of_median(values: Sequence[float], /) -> float:
    """Standard error of a median, from the order statistics around it.

    Half the distance of those that lie one standard error of rank, √n/2, to both sides, whatever
    the distribution; between two values where that is between two ranks. 0 for a single value.
    O(n log n).

    Examples:
        >>> round(standard_error_of_median([1.0, 2.0, 3.0, 4.0, 5.0]), 2)
        1.12
    """
    ordered = sorted(values)
    middle, reach = (len(ordered) - 1) / 2, math.sqrt(len(ordered)) / 2
    return (_at(ordered, middle + reach) - _at(ordered, middle - reach)) / 2


def _at(ordered: Sequence[float], rank: float) -> float:
    """The value at a rank from 0, between two values where it lies between two ranks."""
    rank = min(max(rank, 0.0), len(ordered) - 1.0)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a level had moved when something was measured.

    Attributes:
        offsets: At each of the times asked for, from the mean over the anchors; zeros where no
            drift was found.
        variances: Of the offsets.
    """

    offsets: Vector
    variances: Vector

    @property
    def size(self) -> float:
        """From the lowest to the highest offset."""
        return float(np.ptp(self.offsets)) if len(self.offsets) else 0.0


def drift(anchor_times: ArrayLike, anchor_levels: ArrayLike, times: ArrayLike) -> Drift:
    """Estimate slow drift from one thing that was measured again and again.

    A level that walks at random plus independent noise; how fast it walks is chosen by restricted
    maximum likelihood, and where walking does not explain the anchors significantly better than
    standing still, nothing is corrected: correcting noise would add to it. Single anchors far from
    their neighbours are left out; of more than 200 neighbours are averaged. O(n³ + n k) for n
    anchors and k times.

    Args:
        anchor_times: When, in seconds, ascending, shape ``(n,)``.
        anchor_levels: What was measured, in logarithms, shape ``(n,)``.
        times: Where the drift is asked for, shape ``(k,)``.

    Examples:
        >>> seconds = list(range(12))
        >>> walk = drift(seconds, [0.01 * s for s in seconds], [0.0, 11.0])
        >>> 0.08 < walk.size <= 0.12
        True
        >>> drift(seconds, [0.01, -0.01] * 6, [0.0, 11.0]).size
        0.0
    """
    at = np.asarray(times, dtype=np.float64)
    when, levels = _thinned(*_without_outliers(anchor_times, anchor_levels))
    none = Drift(np.zeros(len(at)), np.zeros(len(at)))
    span = np.ptp(when) if len(when) else 0.0
    if len(when) < _MIN_FOR_DRIFT or span <= 0 or np.ptp(levels) == 0:
        return none
    start = min(when.min(), at.min(initial=np.inf))
    when, at = (when - start) / span, (at - start) / span
    walk = np.minimum.outer(when, when)
    centred = walk - walk.mean(axis=0) - walk.mean(axis=1)[:, None] + walk.mean()
    residuals = levels - levels.mean()
    eigenvalues, vectors = np.linalg.eigh(centred)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    loadings = vectors.T @ residuals
    freedom = len(when) - 1

    def fit(ratio: float) -> tuple[float, float]:
        """Log-likelihood and noise variance where the walk has that many times the noise's."""
        variance = float((loadings**2 / (1 + ratio * eigenvalues)).sum()) / freedom
        determinant = float(np.log1p(ratio * eigenvalues).sum())
        return -0.5 * (determinant + freedom * math.log(variance)), variance

    ratios = np.geomspace(0.03, 3e5, 36)
    best = max(ratios.tolist(), key=lambda ratio: fit(ratio)[0])
    likelihood, noise = fit(best)
    if likelihood - fit(0.0)[0] < _LIKELIHOOD_GAIN:
        return none
    cross = np.minimum.outer(at, when)
    cross = cross - cross.mean(axis=1)[:, None] - walk.mean(axis=0) + walk.mean()
    own = at - 2 * np.minimum.outer(at, when).mean(axis=1) + walk.mean()
    gain = best * (cross @ vectors) / (1 + best * eigenvalues)
    variances = noise * (best * own - best * ((cross @ vectors) * gain).sum(axis=1))
    return Drift(gain @ loadings, np.maximum(variances, 0.0))


def _thinned(times: Vector, levels: Vector) -> tuple[Vector, Vector]:
    """Means of neighbours where there are too many, as evenly as it goes."""
    if len(times) <= _MAX_ANCHORS:
        return times, levels
    parts = np.linspace(0, len(times), _MAX_ANCHORS + 1).astype(int)[:-1]
    counts = np.diff(np.append(parts, len(times)))
    return np.add.reduceat(times, parts) / counts, np.add.reduceat(levels, parts) / counts


def _without_outliers(times: ArrayLike, levels: ArrayLike) -> tuple[Vector, Vector]:
    """Those that are not far from the median of themselves and their two neighbours."""
    when, row = np.asarray(times, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    if len(row) < _MIN_FOR_DRIFT:
        return when, row
    padded = np.concatenate([row[1:2], row, row[-2:-1]])
    near = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    steps = np.abs(np.diff(row))
    scale = _FROM_MAD * float(np.median(steps)) / math.sqrt(2)
    kept = np.abs(row - near) <= _OUTLIER * scale if scale > 0 else np.ones(len(row), dtype=bool)
    return when[kept], row[kept]
