"""Gain: how much hypervolume a batch of measurements is expected to add."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pareto_profiler.samplers.structured.structure import Flags, Vector

_SAMPLES = 1024
_CAUTION = 3.0
_SPAN = 20.0
_TOO_RISKY = 1e-3


def front2d(points: Vector, reference: Vector) -> Vector:
    """The nondominated of points inside the box below ``reference``, by the first objective."""
    inside = points[(points < reference).all(axis=1)]
    if not len(inside):
        return inside
    order = np.lexsort((inside[:, 1], inside[:, 0]))
    rows = inside[order]
    best = np.minimum.accumulate(rows[:, 1])
    keep = np.ones(len(rows), dtype=bool)
    np.less(rows[1:, 1], best[:-1], out=keep[1:])
    found: Vector = rows[keep]
    return found


def gains(front: Vector, candidates: Vector, reference: Vector) -> Vector:
    """Hypervolume that each candidate alone would add to a front of two objectives.

    Args:
        front: A front2d, shape ``(n, 2)``.
        candidates: Shape ``(c, 2)``.
        reference: Of the box.

    Returns:
        Shape ``(c,)``. O(n c).

    Examples:
        >>> front = np.array([[1.0, 3.0], [3.0, 1.0]])
        >>> gains(front, np.array([[2.0, 2.0], [3.0, 3.0]]), np.array([4.0, 4.0])).tolist()
        [1.0, 0.0]
    """
    edges = np.concatenate([[-np.inf], front[:, 0], reference[:1]])
    ceilings = np.concatenate([reference[1:], front[:, 1]])
    left = np.maximum(candidates[:, :1], edges[None, :-1])
    width = np.maximum(0.0, edges[None, 1:] - left)
    height = np.maximum(0.0, ceilings[None, :] - candidates[:, 1:])
    found: Vector = (width * height).sum(axis=1)
    return found


class Boxes:
    """Hypervolume of any number of objectives, counted on points spread over the box.

    Args:
        low, reference: Of the box.
        random: Spreads them.
    """

    def __init__(self, low: Vector, reference: Vector, random: np.random.Generator) -> None:
        self._points = low + (reference - low) * random.random((_SAMPLES, len(low)))
        self._volume = float(np.prod(reference - low)) / _SAMPLES

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
class ExpectedImprovement:
    """What there is to gain.

    Attributes:
        fronts: What is measured, under each drawn model, shape ``(n, m)`` each.
        reference: Of the box that counts, shape ``(m,)``.
        volume: Of that box, down to the least that is measured or that candidates promise.
        boxes: For more than two objectives.
    """

    fronts: list[Vector]
    reference: Vector
    volume: float
    boxes: Boxes | None

    @classmethod
    def of(
        cls, known: Vector, candidates: Vector, reference: Vector, random: np.random.Generator
    ) -> ExpectedImprovement:
        """Of what is measured and of what may be, shape ``(draws, n, m)`` each.

        Examples:
            >>> known, candidates = np.array([[[2.0, 2.0]]]), np.array([[[1.0, 1.0], [1.0, 2.0]]])
            >>> reference, random = np.array([3.0, 3.0]), np.random.default_rng(0)
            >>> improvement = ExpectedImprovement.of(known, candidates, reference, random)
            >>> improvement.gains(candidates).tolist()
            [[3.0, 1.0]]
            >>> improvement.volume
            4.0
        """
        objectives = known.shape[2]
        both = np.concatenate([known, candidates], axis=1).reshape(-1, objectives)
        low = np.minimum(both.min(axis=0), reference)
        volume = max(1e-300, float(np.prod(reference - low)))
        if objectives == 2:
            return cls([front2d(front, reference) for front in known], reference, volume, None)
        return cls(list(known), reference, volume, Boxes(low, reference, random))

    def gains(self, values: Vector) -> Vector:
        """What each candidate alone would add under each model, shape ``(draws, candidates)``.

        Args:
            values: Shape ``(draws, candidates, m)``.
        """
        boxes = self.boxes
        pairs = zip(self.fronts, values, strict=True)
        return np.stack(
            [boxes.gains(f, v) if boxes else gains(f, v, self.reference) for f, v in pairs]
        )

    def after(self, values: Vector, works: Flags) -> ExpectedImprovement:
        """What is left once something is measured.

        Args:
            values: Its, under each model, shape ``(draws, m)``.
            works: Under which models it works.
        """
        fronts = []
        for front, mine, does in zip(self.fronts, values, works, strict=True):
            more = np.vstack([front, mine]) if does else front
            fronts.append(more if self.boxes or not does else front2d(more, self.reference))
        return replace(self, fronts=fronts)


@dataclass(frozen=True, slots=True)
class BestWithin:
    """What there is to gain for one assignment: the least of an objective within limits.

    Attributes:
        best: The least that is measured within the limits under each drawn model, shape
            ``(draws,)``.
        limits: Of each objective, infinite where it has none, shape ``(m,)``.
        wanted: Position of the objective that is to be least.
        volume: What a gain is a share of: twenty times what is best, so that what is too little of
            a box for a front is a thousandth here.
    """

    best: Vector
    limits: Vector
    wanted: int
    volume: float

    @classmethod
    def of(cls, known: Vector, candidates: Vector, limits: Vector, wanted: int) -> BestWithin:
        """Of what is measured and of what may be, shape ``(draws, n, m)`` each.

        Examples:
            >>> known, candidates = np.array([[[2.0, 2.0]]]), np.array([[[1.0, 1.0], [0.5, 4.0]]])
            >>> limits = np.array([np.inf, 3.0])
            >>> BestWithin.of(known, candidates, limits, 0).gains(candidates).tolist()
            [[1.0, 0.0]]
        """
        worst = 1.1 * max(float(known[..., wanted].max()), float(candidates[..., wanted].max()))
        fits = (known <= limits).all(axis=2)
        best = np.where(fits, known[..., wanted], worst).min(axis=1)
        return cls(best, limits, wanted, _SPAN * float(best.mean()))

    def beyond(self, factors: Vector) -> BestWithin:
        """The same for candidates whose limits are so many times as large.

        Examples:
            >>> known, candidates = np.array([[[2.0, 2.0]]]), np.array([[[1.0, 3.1]]])
            >>> found = BestWithin.of(known, candidates, np.array([np.inf, 3.0]), 0)
            >>> found.gains(candidates).tolist(), found.beyond(np.array([1, 1.1])).gains(candidates)
            ([[0.0]], array([[1.]]))
        """
        return replace(self, limits=self.limits * factors)

    def gains(self, values: Vector) -> Vector:
        """By how much each candidate is better under each model, shape ``(draws, candidates)``."""
        fits = (values <= self.limits).all(axis=2)
        return np.where(fits, np.maximum(0.0, self.best[:, None] - values[..., self.wanted]), 0.0)

    def after(self, values: Vector, works: Flags) -> BestWithin:
        """What is left once something is measured; see :meth:`ExpectedImprovement.after`."""
        fits = works & (values <= self.limits).all(axis=1)
        best = np.where(fits, np.minimum(self.best, values[:, self.wanted]), self.best)
        return replace(self, best=best)


Improvement = ExpectedImprovement | BestWithin


def choose(
    improvement: Improvement, values: Vector, works: Flags, count: int, caution: float = 0.0
) -> list[tuple[int, float]]:
    """A batch that is expected to add most, one after another.

    Args:
        improvement: What there is to gain.
        values: Of candidates under each model, shape ``(draws, candidates, m)``.
        works: Whether each candidate works under each model's explanation of failures.
        count: Size of the batch.
        caution: 0 where the probabilities that candidates work are trusted, to 1: three times it is
            the power of these by which gains are lowered further, and what is less likely to work
            than it counts for next to nothing.

    Returns:
        Positions of candidates with the hypervolume each adds to those before it, as a share of the
        box; the first ``k`` are the same whatever ``count`` is.
    """
    likely = works.mean(axis=0)
    chance: Vector = likely ** (_CAUTION * caution) * np.where(likely >= caution, 1.0, _TOO_RISKY)
    chosen: list[tuple[int, float]] = []
    while len(chosen) < min(count, values.shape[1]):
        worth = (improvement.gains(values) * works).mean(axis=0) / improvement.volume * chance
        worth[[i for i, _ in chosen]] = -1.0
        best = int(np.argmax(worth))
        chosen.append((best, float(worth[best])))
        improvement = improvement.after(values[:, best], works[:, best])
    return chosen
