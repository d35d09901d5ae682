"""Front: the best trade-offs among what was measured, and how much they cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pareto_profiler.core.estimate import Estimate, Estimates
from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.quantiles import chi_square_over_freedom
from pareto_profiler.core.trial import Trial

_SURELY: Final = 6.0
_MAX_REACH: Final = 300.0


def nondominated(points: ArrayLike, /) -> NDArray[np.bool_]:
    """Mark the points that no other point dominates.

    Point ``a`` dominates ``b`` when ``a`` is nowhere larger and somewhere smaller: every objective
    is minimised. Equal points do not dominate each other, so all copies are marked.

    O(n log n) for two and three objectives (Kung, Luccio, Preparata 1975, through moocore).

    Args:
        points: Objective values, shape ``(n, m)``; each column in its own unit.

    Returns:
        Boolean mask, shape ``(n,)``, in the order of ``points``.

    Raises:
        ValueError: A value is not finite (a failed run has no place here: leave it out), or the
            shape is not ``(n, m)``.

    Examples:
        >>> nondominated([[1.0, 9.0], [5.0, 5.0], [5.0, 6.0], [5.0, 5.0]]).tolist()
        [True, True, False, True]
        >>> nondominated([[1.0, float("nan")]])
        Traceback (most recent call last):
        ValueError: points must be finite, got nan in row 0
    """
    rows = _rows(points)
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    mask: NDArray[np.bool_] = moocore.is_nondominated(rows, keep_weakly=True)
    return mask


def unbeaten(points: NDArray[np.float64], margin: float, worse: float) -> NDArray[np.bool_]:
    """Mark the points that no other point beats noticeably.

    Point ``a`` beats ``b`` when it is smaller by more than the margin somewhere and nowhere larger
    than so many times ``b``. O(n² m).

    Args:
        points: Positive objective values, shape ``(n, m)``.
        margin: A difference that nobody would notice, as a fraction.
        worse: Factor, such as 1.005.

    Examples:
        >>> unbeaten(np.array([[1.0, 1.0], [0.98, 1.004], [0.98, 1.2]]), 0.01, 1.005).tolist()
        [False, True, False]
    """
    others, own = points[None, :, :], points[:, None, :]
    near = np.all(others <= own * worse, axis=2)
    better = np.any(others * (1 + margin) < own, axis=2)
    found: NDArray[np.bool_] = ~np.any(near & better, axis=1)
    return found


def hypervolume(points: ArrayLike, reference: Sequence[float], /) -> float:
    """Volume that the points dominate, up to a reference point.

    Points that do not lie below the reference in every objective add nothing. O(n log n) for two
    and three objectives (Fonseca, Paquete, López-Ibáñez 2006, through moocore).

    Args:
        points: Objective values, shape ``(n, m)``.
        reference: The corner, shape ``(m,)``.

    Raises:
        ValueError: A value is not finite, or the shapes do not fit.

    Examples:
        >>> hypervolume([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0])
        3.0
    """
    rows = _rows(points)
    corner = np.asarray(reference, dtype=np.float64)
    if corner.ndim != 1 or not np.isfinite(corner).all():
        raise ValueError(f"reference must be finite and flat, got {reference}")
    if not len(rows):
        return 0.0
    if rows.shape[1] != len(corner):
        raise ValueError(f"{rows.shape[1]} objectives, reference of {len(corner)}")
    # moocore counts them as nothing too; leaving them out keeps huge values from overflowing.
    inside = rows[(rows < corner).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=corner)) if len(inside) else 0.0


def _rows(points: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(points, dtype=np.float64)
    if rows.size == 0:
        return rows.reshape(0, rows.shape[1] if rows.ndim == 2 else 0)
    if rows.ndim != 2:
        raise ValueError(f"points must have shape (n, m), got {rows.shape}")
    bad = ~np.isfinite(rows)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"points must be finite, got {rows[row, column]} in row {row}")
    return rows


@dataclass(frozen=True, slots=True)
class Front:
    """Assignments that no other one dominates by its figures, sorted by the first objective.

    Attributes:
        objectives: What is minimised.
        items: Measured assignments only; failures are never on a front.
    """

    objectives: tuple[Objective, ...]
    items: tuple[Estimate, ...] = ()

    @classmethod
    def of(cls, trials: Iterable[Trial], objectives: Sequence[Objective]) -> Front:
        """The front of these trials; failures are left out, repeats of an assignment are one."""
        return cls.among(Estimates.of(trials, objectives))

    @classmethod
    def among(cls, estimates: Estimates) -> Front:
        """The front of these estimates."""
        if not estimates.items:
            return cls(estimates.objectives)
        kept = [estimates.items[i] for i in np.flatnonzero(nondominated(estimates.values()))]
        kept.sort(key=lambda item: (*item.values, item.trials[0].number))
        return cls(estimates.objectives, tuple(kept))

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The first trial of each assignment."""
        return tuple(item.trials[0] for item in self.items)

    def values(self) -> NDArray[np.float64]:
        """Objective values in seconds and bytes, shape ``(k, m)``."""
        return Estimates(self.objectives, self.items).values()

    def hypervolume(self, reference: Sequence[float]) -> float:
        """The fraction of the box from 0 to the reference that the front dominates: no unit."""
        return hypervolume_share(self.values(), reference)


def hypervolume_share(points: ArrayLike, reference: Sequence[float]) -> float:
    """The fraction of the box from 0 to the reference that points dominate: no unit.

    Examples:
        >>> hypervolume_share([[1.0, 10.0]], [2.0, 20.0])
        0.25
    """
    corner = np.asarray(reference, dtype=np.float64)
    rows = np.asarray(points, dtype=np.float64).reshape(-1, len(corner))
    return hypervolume(rows / corner, np.ones(len(corner)).tolist())


def resampled_hypervolumes(
    estimates: Estimates, reference: Sequence[float], *, draws: int = 400, seed: int = 0
) -> NDArray[np.float64]:
    """Hypervolumes that are as plausible as the front's own, given how uncertain the figures are.

    Each draw takes every figure from its distribution (Student's t on logarithms).

    Args:
        estimates: Of all measured assignments.
        reference: The corner.
        draws: How many.
        seed: Of the draws.

    Returns:
        As shares of the box, shape ``(draws,)``.
    """
    values = estimates.values()
    if not len(values):
        return np.zeros(draws)
    random = np.random.default_rng(seed)
    drawn = plausible_values(estimates, contenders(estimates), draws=draws, random=random)
    return np.array([hypervolume_share(rows, reference) for rows in drawn])


def contenders(estimates: Estimates) -> list[int]:
    """Positions of the assignments that noise could bring to the front: not dominated surely."""
    values = estimates.values()
    if not len(values):
        return []
    spread = np.array([[f.deviation for f in item.figures] for item in estimates.items])
    reach = np.minimum(_SURELY * np.where(np.isfinite(spread), spread, 0.0), _MAX_REACH)
    optimistic, pessimistic = values * np.exp(-reach), values * np.exp(reach)
    optimistic = np.where(np.isfinite(spread), optimistic, 0.0)
    best = pessimistic[nondominated(pessimistic)]
    return [i for i, row in enumerate(optimistic) if not (best < row).all(axis=1).any()]


def plausible_values(
    estimates: Estimates,
    positions: Sequence[int],
    *,
    draws: int,
    random: np.random.Generator,
    is_open: bool = False,
) -> NDArray[np.float64]:
    """Values that are as plausible as the estimates, given how uncertain these are.

    Args:
        estimates: Of all measured assignments.
        positions: Of those to draw.
        draws: How often.
        random: Draws; Student's t on logarithms, errors going together as the estimates say.
        is_open: Whether what was never measured undisturbed is drawn as anything faster than it was
            measured (exponential on logarithms), or else as it was measured.

    Returns:
        Shape ``(draws, len(positions), m)``.
    """
    items = [estimates.items[i] for i in positions]
    values = Estimates(estimates.objectives, tuple(items)).values()
    spread = np.array([[f.deviation for f in item.figures] for item in items])
    spread = spread.reshape(values.shape)
    freedom = np.array([[min(f.freedom, 1e9) for f in item.figures] for item in items])
    freedom = freedom.reshape(values.shape)
    noise = random.standard_t(freedom, size=(draws, *values.shape))
    for k, matrix in enumerate(estimates.correlations):
        noise[..., k] = _correlated(
            matrix[np.ix_(positions, positions)], freedom[:, k], draws, random
        )
    noise *= np.where(np.isfinite(spread), spread, 0.0)
    if is_open:
        faster = random.exponential(size=noise.shape)
        noise = np.where(np.isfinite(spread), noise, -faster)
    drawn: NDArray[np.float64] = values * np.exp(np.clip(noise, -_MAX_REACH, _MAX_REACH))
    return drawn


def _correlated(
    correlation: NDArray[np.float64],
    freedom: NDArray[np.float64],
    draws: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Student's t whose errors go together, shape ``(draws, n)``.

    One draw of how wrong the spreads are serves all: what two share cancels in their difference.
    """
    sizes, directions = np.linalg.eigh(correlation)
    root = directions * np.sqrt(np.maximum(sizes, 0.0))
    normal = random.standard_normal((draws, len(freedom))) @ root.T
    squares = chi_square_over_freedom(freedom, 1 - random.random((draws, 1)))
    found: NDArray[np.float64] = normal / np.sqrt(squares)
    return found


def reference_point(
    baseline: Sequence[float] | None,
    uniforms: Sequence[Sequence[float]],
    others: Sequence[Sequence[float]],
    objectives: int,
) -> tuple[float, ...]:
    """The corner that hypervolumes are measured against: the same from the warm start on.

    In each objective twice the baseline, or 1.1 times the worst uniform assignment where that is
    larger; a uniform assignment that the baseline or another dominates does not count, so that one
    useless backend cannot stretch the box. Where neither was measured: 1.1 times the worst of the
    others.

    Args:
        baseline: Its values, None where it was not measured.
        uniforms: Values of the uniform assignments that were measured.
        others: Values of all measured assignments.
        objectives: How many there are.

    Returns:
        Shape ``(m,)``, in seconds and bytes, positive; ones where there is no value at all.
    """
    rows = []
    if baseline is not None:
        rows.append(2.0 * np.asarray(baseline))
    warm_start = np.array([row for row in (baseline, *uniforms) if row is not None])
    if len(warm_start):
        rivals = np.flatnonzero(nondominated(warm_start))
        rows += [1.1 * warm_start[i] for i in rivals if baseline is None or i > 0]
    rows = rows or [1.1 * np.asarray(row) for row in others]
    if not rows:
        return (1.0,) * objectives
    corner = np.max(rows, axis=0)
    return tuple(float(c) if c > 0 else 1.0 for c in corner)
