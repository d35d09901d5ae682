"""Gain: how much hypervolume a batch of measurements is expected to add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pareto_profiler.samplers.structured.structure import Flags, Vector

_SAMPLES = 1024


def staircase(points: Vector, corner: Vector) -> Vector:
    """The nondominated of points inside the box below ``corner``, by the first objective."""
    inside = points[(points < corner).all(axis=1)]
    if not len(inside):
        return inside
    order = np.lexsort((inside[:, 1], inside[:, 0]))
    rows = inside[order]
    best = np.minimum.accumulate(rows[:, 1])
    keep = np.r_[True, rows[1:, 1] < best[:-1]]
    found: Vector = rows[keep]
    return found


def gains(front: Vector, candidates: Vector, corner: Vector) -> Vector:
    """Hypervolume that each candidate alone would add to a front of two objectives.

    Args:
        front: A staircase, shape ``(n, 2)``.
        candidates: Shape ``(c, 2)``.
        corner: Of the box.

    Returns:
        Shape ``(c,)``. O(n c).

    Examples:
        >>> front = np.array([[1.0, 3.0], [3.0, 1.0]])
        >>> gains(front, np.array([[2.0, 2.0], [3.0, 3.0]]), np.array([4.0, 4.0])).tolist()
        [1.0, 0.0]
    """
    edges = np.r_[-np.inf, front[:, 0], corner[0]]
    ceilings = np.r_[corner[1], front[:, 1]]
    left = np.maximum(candidates[:, :1], edges[None, :-1])
    width = np.maximum(0.0, edges[None, 1:] - left)
    height = np.maximum(0.0, ceilings[None, :] - candidates[:, 1:])
    found: Vector = (width * height).sum(axis=1)
    return found


class Boxes:
    """Hypervolume of any number of objectives, counted on points spread over the box.

    Args:
        low, corner: Of the box.
        random: Spreads them.
    """

    def __init__(self, low: Vector, corner: Vector, random: np.random.Generator) -> None:
        self._points = low + (corner - low) * random.random((_SAMPLES, len(low)))
        self._volume = float(np.prod(corner - low)) / _SAMPLES

    def covered(self, front: Vector) -> Flags:
        """Which points a front dominates."""
        if not len(front):
            return np.zeros(_SAMPLES, dtype=bool)
        below: Flags = np.all(front[None, :, :] <= self._points[:, None, :], axis=2)
        found: Flags = np.any(below, axis=1)
        return found

    def gains(self, front: Vector, candidates: Vector) -> Vector:
        """What each candidate would add to it."""
        open_points = self._points[~self.covered(front)]
        if not len(open_points):
            return np.zeros(len(candidates))
        hit = (candidates[:, None, :] <= open_points[None, :, :]).all(axis=2)
        found: Vector = hit.sum(axis=1) * self._volume
        return found


@dataclass(frozen=True, slots=True)
class Prospect:
    """What there is to gain.

    Attributes:
        fronts: What is measured, under each drawn model, shape ``(n, m)`` each.
        corner: Of the box that counts, shape ``(m,)``.
        boxes: For more than two objectives.
    """

    fronts: list[Vector]
    corner: Vector
    boxes: Boxes | None

    @classmethod
    def of(cls, known: Vector, corner: Vector, random: np.random.Generator) -> Prospect:
        """Of what is measured, shape ``(draws, n, m)``."""
        objectives = known.shape[2]
        low = np.minimum(known.reshape(-1, objectives).min(axis=0), corner)
        if objectives == 2:
            return cls([staircase(front, corner) for front in known], corner, None)
        return cls(list(known), corner, Boxes(low, corner, random))

    def gains(self, values: Vector) -> Vector:
        """What candidates are expected to add, each alone, shape ``(draws, candidates, m)``."""
        total: Vector = np.zeros(values.shape[1])
        for front, mine in zip(self.fronts, values, strict=True):
            boxes = self.boxes
            total += boxes.gains(front, mine) if boxes else gains(front, mine, self.corner)
        return total / len(self.fronts)


def choose(
    fronts: list[Vector],
    values: Vector,
    works: Flags,
    corner: Vector,
    count: int,
    random: np.random.Generator,
    caution: float = 0.0,
) -> list[tuple[int, float]]:
    """A batch that is expected to add most, one after another.

    Args:
        fronts: What is measured, under each drawn model, shape ``(n, m)`` each.
        values: Of candidates under each model, shape ``(draws, candidates, m)``.
        works: Whether each candidate works under each model's explanation of failures.
        corner: Of the box, shape ``(m,)``.
        count: Size of the batch.
        random: For more than two objectives.
        caution: Power of the probability that a candidate works by which its gain is lowered
            further: 0 where that probability is trusted.

    Returns:
        Positions of candidates with the hypervolume each adds to those before it, as a share of the
        box; the first ``k`` are the same whatever ``count`` is.
    """
    draws, candidates, objectives = values.shape
    low = np.minimum(values.reshape(-1, objectives).min(axis=0), corner)
    for front in fronts:
        low = np.minimum(low, front.min(axis=0)) if len(front) else low
    volume = max(1e-300, float(np.prod(corner - low)))
    boxes = None if objectives == 2 else Boxes(low, corner, random)
    current = [staircase(f, corner) if boxes is None else f for f in fronts]

    def expected() -> Vector:
        total: Vector = np.zeros(candidates)
        for d in range(draws):
            added = (
                gains(current[d], values[d], corner)
                if boxes is None
                else boxes.gains(current[d], values[d])
            )
            total += added * works[d]
        return np.asarray(total / draws / volume)

    chance: Vector = works.mean(axis=0) ** caution
    chosen: list[tuple[int, float]] = []
    while len(chosen) < min(count, candidates):
        worth = expected() * chance
        worth[[i for i, _ in chosen]] = -1.0
        best = int(np.argmax(worth))
        chosen.append((best, float(worth[best])))
        for d in range(draws):
            if works[d, best]:
                more = np.vstack([current[d], values[d, best]])
                current[d] = staircase(more, corner) if boxes is None else more
    return chosen
