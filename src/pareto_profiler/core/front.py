"""Front: the best trade-offs among trials, and how much they cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pareto_profiler.core.measurement import Measurement, Objective
from pareto_profiler.core.trial import Trial


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
    """Trials that no other trial dominates, sorted by the first objective, then the others.

    Attributes:
        objectives: What is minimised.
        trials: Measured trials only; failures are never on a front.
    """

    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...] = ()

    @classmethod
    def of(cls, trials: Iterable[Trial], objectives: Sequence[Objective]) -> Front:
        """The front of these trials; failures are left out."""
        measured = [t for t in trials if isinstance(t.outcome, Measurement)]
        front = cls(tuple(objectives), tuple(measured))
        if not measured:
            return front
        values = front.values()
        kept = np.flatnonzero(nondominated(values))
        order = sorted(kept.tolist(), key=lambda i: (*values[i], measured[i].number))
        return cls(front.objectives, tuple(measured[i] for i in order))

    def including(self, trial: Trial) -> Front:
        """The front after one more trial. O(k log k) for a front of k."""
        if not isinstance(trial.outcome, Measurement):
            return self
        return Front.of((*self.trials, trial), self.objectives)

    def values(self) -> NDArray[np.float64]:
        """Objective values in seconds and bytes, shape ``(k, m)``."""
        return objective_values(self.trials, self.objectives)

    def hypervolume(self, reference: Sequence[float]) -> float:
        """The fraction of the box from 0 to the reference that the front dominates: no unit."""
        corner = np.asarray(reference, dtype=np.float64)
        return hypervolume(self.values() / corner, np.ones(len(corner)).tolist())


def objective_values(
    trials: Sequence[Trial], objectives: Sequence[Objective]
) -> NDArray[np.float64]:
    """Objective values of measured trials, shape ``(n, m)``.

    Raises:
        ValueError: A trial is a failure.
    """
    rows: list[list[Any]] = []
    for trial in trials:
        if not isinstance(trial.outcome, Measurement):
            raise ValueError(f"trial {trial.number} is a failure and has no values")
        rows.append([trial.outcome.value(o) for o in objectives])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(objectives))


def reference_point(
    baseline: Trial | None,
    uniforms: Sequence[Trial],
    others: Sequence[Trial],
    objectives: Sequence[Objective],
) -> tuple[float, ...]:
    """The corner that hypervolumes are measured against: the same from the warm start on.

    In each objective twice the baseline, or 1.1 times the worst uniform assignment where that is
    larger; a uniform assignment that the baseline or another dominates does not count, so that one
    useless backend cannot stretch the box. Where neither was measured: 1.1 times the worst of the
    others.

    Args:
        baseline: Its trial, None where it was not measured.
        uniforms: Measured trials of the uniform assignments.
        others: All measured trials.
        objectives: What is minimised.

    Returns:
        Shape ``(m,)``, in seconds and bytes, positive; ones where there is no trial at all.
    """
    rows = []
    if baseline is not None:
        rows.append(2.0 * objective_values([baseline], objectives)[0])
    warm_start = [t for t in (baseline, *uniforms) if t is not None]
    rivals = [t for t in Front.of(warm_start, objectives).trials if t is not baseline]
    rows += [1.1 * row for row in objective_values(rivals, objectives)]
    rows = rows or [1.1 * row for row in objective_values(others, objectives)]
    if not rows:
        return (1.0,) * len(objectives)
    corner = np.max(rows, axis=0)
    return tuple(float(c) if c > 0 else 1.0 for c in corner)
