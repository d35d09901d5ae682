"""Regression: a linear-Gaussian model with a residual, its evidence, and draws from its posterior.

Weights are never solved for: with n measurements everything takes n × n matrices, however many
weights there are (40 000 for 5 000 operations on 8 backends). Scales are chosen by the evidence of
the latest measurements alone, so that only these need a matrix for each group of weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pareto_profiler.samplers.structured.features import Features
from pareto_profiler.samplers.structured.structure import Digits, Vector

_STEPS: Final = (0.25, 0.5, 2.0, 4.0)
_SWEEPS: Final = 2
_RELUCTANCE: Final = 0.5
_REACH: Final = 0.15
_JITTER: Final = 1e-10
_CORNER: Final = 1e30
# Repeats that are equal to the byte do not say that there is no noise at all.
_MIN_NOISE: Final = 2e-4
_PART_NOISE: Final = 10.0
_MIN_PART: Final = 0.01
_MAX_FOR_EVIDENCE: Final = 250


def likeness(one: Digits, other: Digits) -> Vector:
    """How alike assignments are, by the share of variables that differ: shape ``(n, m)``."""
    variables = one.shape[1]
    alike = np.zeros((len(one), len(other)), dtype=np.float32)
    for choice in range(int(max(one.max(initial=0), other.max(initial=0))) + 1):
        # Products of zeros and ones count: exactly in single precision, up to 16 million variables.
        alike += (one == choice).astype(np.float32) @ (other == choice).astype(np.float32).T
    found: Vector = np.exp((alike.astype(np.float64) - variables) / (_REACH * variables + 1.0))
    return found


def balanced(shape: tuple[int, int], random: np.random.Generator) -> Vector:
    """Normal numbers whose mean over the first axis is zero.

    Of models drawn with these the mean is the posterior's, whatever their number: what two
    assignments differ by in the mean is believed, and not an accident of the draws.

    Examples:
        >>> drawn = balanced((4, 1000), np.random.default_rng(0))
        >>> bool(np.abs(drawn.mean(axis=0)).max() < 1e-12), round(float(drawn.std()), 1)
        (True, 1.0)
    """
    drawn = random.standard_normal(shape)
    found: Vector = (drawn - drawn.mean(axis=0)) * np.sqrt(shape[0] / max(1, shape[0] - 1))
    return found


@dataclass(frozen=True, slots=True)
class Scales:
    """By how much the prior's spreads are multiplied.

    Attributes:
        groups: One for each group of terms.
        residual: Spread of what no term explains, in units of the baseline.
        noise: Spread between measurements of one assignment, as a fraction.
    """

    groups: tuple[float, ...]
    residual: float
    noise: float


class Regression:
    """The posterior of one objective; ``values`` are what it was fitted to, parts left out.

    ``evidence`` is the logarithm of that for the scales that were chosen, but for a constant.

    Args:
        features: Of the measured assignments.
        digits: Of the same.
        values: Over the baseline's, shape ``(n,)``.
        precisions: How many measurements each stands for.
        means, spreads: The prior's.
        groups: Of each weight.
        group_count: How many there are.
        parts: Features of what was seen of a part of a value, such as the copies in a trace.
        part_values: Over the baseline's, shape ``(parts,)``.
        noise: First guess of the spread between measurements, as a fraction.
        residual: First guess of the residual's.
        repeated: What repeats say of the noise: the sum of their squared deviations, as fractions,
            and how many independent ones that is.
    """

    def __init__(
        self,
        features: Features,
        digits: Digits,
        values: Vector,
        precisions: Vector,
        means: Vector,
        spreads: Vector,
        groups: Digits,
        *,
        parts: Features,
        part_values: Vector,
        group_count: int,
        noise: float,
        residual: float,
        repeated: tuple[float, int] = (0.0, 0),
    ) -> None:
        self.values = values
        self._digits = digits
        # A part has no residual: no assignment is like it.
        self._features = parts.above(features)
        self._values = np.concatenate([part_values, values])
        self._parts = len(part_values)
        self._means, self._prior, self._groups = means, spreads, groups
        self._repeated = repeated
        self._noise_shape = np.concatenate(
            [(_PART_NOISE * part_values) ** 2 + _MIN_PART**2, values**2 / precisions]
        )
        self._residuals = self._values - self._features.times(means)
        self._likeness = np.zeros((len(self._values), len(self._values)))
        self._likeness[self._parts :, self._parts :] = likeness(digits, digits)
        first = Scales((1.0,) * group_count, residual, noise)
        latest = slice(max(0, len(self._values) - _MAX_FOR_EVIDENCE), len(self._values))
        products = list(self._products(latest, group_count))
        self.scales, self.evidence = self._best(first, products, latest)
        self._spreads = spreads * np.array(self.scales.groups)[groups]
        everything = slice(0, len(self._values))
        # One matrix at a time: of a thousand measurements each takes 8 MB.
        whole = products if latest == everything else self._products(everything, group_count)
        self._inverse = _inverted(self._covariance(self.scales, whole, everything))

    @property
    def features(self) -> Features:
        """Of the measured assignments, parts left out."""
        return self._features[slice(self._parts, None)]

    def _products(self, rows: slice, group_count: int) -> Iterator[Vector]:
        """What each group of weights adds to the covariance of some values, at scale 1."""
        features = self._features[rows].scaled(self._prior)
        groups = self._groups.take(features.columns)
        for group in range(group_count):
            yield features.gram(groups == group)

    def _covariance(self, scales: Scales, products: Iterable[Vector], rows: slice) -> Vector:
        found: Vector = scales.residual**2 * self._likeness[rows, rows]
        for scale, product in zip(scales.groups, products, strict=True):
            found += scale**2 * product
        found.flat[:: len(found) + 1] += scales.noise**2 * self._noise_shape[rows] + _JITTER
        return found

    def _evidence(self, scales: Scales, first: Scales, covariance: Vector, rows: slice) -> float:
        # The last row of the root, bordered by the residuals, is what they are once whitened: one
        # factorisation in place of that and a solution. The corner only has to be large.
        bordered = np.empty((len(covariance) + 1, len(covariance) + 1))
        bordered[:-1, :-1] = covariance
        bordered[-1, :-1] = self._residuals[rows]
        bordered[-1, -1] = _CORNER
        try:
            root = np.linalg.cholesky(bordered)
        except np.linalg.LinAlgError:
            return -np.inf
        whitened = root[-1, :-1]
        fit = -0.5 * float(whitened @ whitened) - float(np.log(np.diag(root)[:-1]).sum())
        squares, freedom = self._repeated
        variance = scales.noise**2 + _MIN_NOISE**2
        fit -= 0.5 * (squares / variance + freedom * float(np.log(variance)))
        moved = [*scales.groups, scales.residual / first.residual, scales.noise / first.noise]
        return fit - _RELUCTANCE * float((np.log2(moved) ** 2).sum()) / 4

    def _best(self, first: Scales, products: Sequence[Vector], rows: slice) -> tuple[Scales, float]:
        """Scales of the largest evidence, by moving one at a time: a few dozen factorisations."""
        # What explains nothing is left at its scale: moving it only costs reluctance.
        places = [group for group, product in enumerate(products) if product.any()]
        places += [len(products), len(products) + 1]
        whole = self._covariance(first, products, rows)
        best, height = first, self._evidence(first, first, whole, rows)
        seen = {best}
        for place in _SWEEPS * places:
            for step in _STEPS:
                tried = _moved(best, place, step)
                if tried in seen:
                    continue
                seen.add(tried)
                moved = whole.copy()
                if place < len(products):
                    moved += (tried.groups[place] ** 2 - best.groups[place] ** 2) * products[place]
                elif place == len(products):
                    more = tried.residual**2 - best.residual**2
                    moved += more * self._likeness[rows, rows]
                else:
                    more = tried.noise**2 - best.noise**2
                    moved.flat[:: len(moved) + 1] += more * self._noise_shape[rows]
                found = self._evidence(tried, first, moved, rows)
                if found > height:
                    best, height, whole = tried, found, moved
        return best, height

    @property
    def weights(self) -> Vector:
        """Posterior means of the weights."""
        back = self._inverse @ self._residuals
        found: Vector = self._means + self._spreads**2 * self._features.back(back)
        return found

    def prior_deviation(self, position: int) -> float:
        """Standard deviation of one weight before anything was measured, as scaled by evidence."""
        return float(self._spreads[position])

    def weight_deviation(self, position: int) -> float:
        """Posterior standard deviation of one weight."""
        variance = self._spreads[position] ** 2
        across = variance * self._features.column(position)
        return float(np.sqrt(max(0.0, variance - across @ self._inverse @ across)))

    def draw(self, count: int, random: np.random.Generator) -> Draws:
        """Models that are as plausible as each other (Matheron's rule): O(count · n · weights)."""
        shape = (count, len(self._means))
        weights = self._means + self._spreads * balanced(shape, random)
        residuals = self._root_draw(self._likeness, count, random) * self.scales.residual
        noise = balanced((count, len(self._values)), random)
        noise *= self.scales.noise * np.sqrt(self._noise_shape)
        seen = self._features.times(weights) + residuals + noise
        back = (self._values - seen) @ self._inverse
        weights = weights + self._features.back(back) * self._spreads**2
        return Draws(weights, back[:, self._parts :], self._digits, self.scales.residual)

    def _root_draw(self, covariance: Vector, count: int, random: np.random.Generator) -> Vector:
        root = np.linalg.cholesky(covariance + 1e-8 * np.eye(len(covariance)))
        found: Vector = balanced((count, len(covariance)), random) @ root.T
        return found

    def predict(self, features: Features, digits: Digits) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the values of other assignments, noise left out."""
        variances = self._spreads**2
        like = likeness(digits, self._digits)
        across = features.across(self._features, variances)
        across[:, self._parts :] += self.scales.residual**2 * like
        mean = features.times(self._means) + across @ (self._inverse @ self._residuals)
        variance = features.squares(variances) + self.scales.residual**2
        variance -= _along(across, self._inverse)
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def change(
        self, features: Features, digits: Digits, others: Features, other_digits: Digits
    ) -> tuple[Vector, Vector]:
        """By how much others' values differ from one's: mean and standard deviation.

        Args:
            features: Of the one, a single row.
            digits: Of the same.
            others: Features of the others.
            other_digits: Of the same.
        """
        variances = self._spreads**2
        across = others.across(self._features, variances)
        across -= features.across(self._features, variances)
        theirs = likeness(other_digits, self._digits) - likeness(digits, self._digits)
        across[:, self._parts :] += self.scales.residual**2 * theirs
        mean = others.times(self._means) - features.times(self._means)
        mean += across @ (self._inverse @ self._residuals)
        apart = 1 - likeness(other_digits, digits)[:, 0]
        variance = others.squares_apart(features, variances)
        variance += 2 * self.scales.residual**2 * apart
        variance -= _along(across, self._inverse)
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def through(self, features: Features) -> tuple[Vector, Vector]:
        """What weights add up to, no residual: mean and standard deviation for each row."""
        across = features.across(self._features, self._spreads**2)
        variance = features.squares(self._spreads**2)
        variance -= _along(across, self._inverse)
        return features.times(self.weights), np.sqrt(np.maximum(variance, 0.0))

    def left_out(self) -> tuple[Vector, Vector]:
        """For each measurement what all others say of it: mean and deviation, noise included.

        In closed form from the inverse (Rasmussen and Williams 2006, eq. 5.12).
        """
        values, variances = self._left_out()
        return values, np.sqrt(variances)

    def left_out_truth(self) -> tuple[Vector, Vector]:
        """The same, noise left out of the deviation: what the true value is taken to be."""
        values, variances = self._left_out()
        noise = self.scales.noise**2 * self._noise_shape[self._parts :]
        return values, np.sqrt(np.maximum(variances - noise, 1e-12))

    def correlation(self) -> Vector:
        """Of the errors that the posterior leaves in the true values, shape ``(n, n)``.

        With covariance C of the measurements and N of their noise it is that of N - N C⁻¹ N.
        """
        noise = self.scales.noise**2 * self._noise_shape[self._parts :] + _JITTER
        inverse = self._inverse[self._parts :, self._parts :]
        covariance = np.diag(noise) - noise[:, None] * inverse * noise
        deviations = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
        found: Vector = np.clip(covariance / np.outer(deviations, deviations), -1.0, 1.0)
        return found

    def _left_out(self) -> tuple[Vector, Vector]:
        diagonal = np.diag(self._inverse)
        error = (self._inverse @ self._residuals) / diagonal
        mine = slice(self._parts, None)
        return (self._values - error)[mine], (1 / diagonal)[mine]


@dataclass(frozen=True, slots=True)
class Draws:
    """Models drawn from a posterior.

    Attributes:
        weights: Shape ``(draws, weights)``.
    """

    weights: Vector
    _back: Vector
    _digits: Digits
    _residual: float

    def values(
        self, features: Features, digits: Digits, random: np.random.Generator | None = None
    ) -> Vector:
        """Values of assignments under each model, shape ``(draws, assignments)``.

        What the residual is expected to be is added, and with ``random`` how much it may differ
        from that, which is drawn independently for each assignment.
        """
        found = features.times(self.weights)
        if self._residual:
            like = likeness(digits, self._digits)
            found = found + self._residual**2 * (self._back.mean(axis=0) @ like.T)
        if self._residual and random is not None:
            free = np.sqrt(np.maximum(0.0, 1 - like.max(axis=1) ** 2))
            found = found + self._residual * free * balanced(found.shape, random)
        return found


def _inverted(matrix: Vector) -> Vector:
    """Inverse of a covariance, also of one that is singular but for rounding."""
    scale = max(1e-300, float(np.diag(matrix).mean()))
    try:
        found = np.linalg.inv(matrix + _JITTER * scale * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        found = np.linalg.pinv(matrix, hermitian=True)
    return np.asarray(found, dtype=np.float64)


def _moved(scales: Scales, place: int, step: float) -> Scales:
    groups = list(scales.groups)
    if place < len(groups):
        groups[place] *= step
        return Scales(tuple(groups), scales.residual, scales.noise)
    if place == len(groups):
        return Scales(scales.groups, scales.residual * step, scales.noise)
    return Scales(scales.groups, scales.residual, scales.noise * step)


def _along(rows: Vector, matrix: Vector) -> Vector:
    """For each row its product with a matrix and itself: one product of matrices, then a sum."""
    found: Vector = ((rows @ matrix) * rows).sum(axis=1)
    return found
