"""Estimates: what all trials of an assignment together say of it, and how surely."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.measurement import Measurement, Objective
from pareto_profiler.core.quantiles import student_t
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.statistics import (
    drift,
    robust_level,
    standard_error_of_median,
)
from pareto_profiler.core.trial import Trial

Vector = NDArray[np.float64]

MIN_REPEATS: Final = 2
"""Repeated processes, first ones not counted, from which on noise counts as known."""

# Variance of the robust level over the mean's, for normal noise: of the Hodges-Lehmann estimate,
# and of the median of so few.
_HODGES_LEHMANN: Final = math.pi / 3
_MEDIAN: Final = {1: 1.0, 2: 1.0, 3: 1.346, 4: 1.193, 5: 1.434, 6: 1.288}
# A figure that may be so many times too large or too small tells nothing.
_MAX_FACTOR: Final = 100.0
# What other assignments' repeats say of the noise of one counts as at most so many of its own.
_BORROWED_FREEDOM: Final = 16
_CLIP: Final = 4.0
_FROM_MAD: Final = 1.4826
_ENOUGH_TO_CLIP: Final = 8
# What counts as nothing, since logarithms need something: a page, a tick, and of output errors the
# rounding of float32.
_LEAST: Final = {"B": 4096.0, "s": 1e-9, "J": 1e-6, "1": 1e-6}


@dataclass(frozen=True, slots=True)
class Figure:
    """One objective of one assignment.

    Attributes:
        value: In the objective's unit, drift corrected.
        deviation: Standard error of its logarithm; 0 where it is exact or nothing is known of the
            noise, infinite where other work disturbed all its trials.
        freedom: Degrees of freedom of that.
    """

    value: float
    deviation: float = 0.0
    freedom: float = math.inf

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Where the true value lies with that confidence (Student's t, on logarithms).

        None where that cannot be told: other work disturbed all trials, or the value may be a
        hundred times larger or smaller.

        Examples:
            >>> low, high = Figure(10.0, deviation=0.01, freedom=10).interval()
            >>> round(low, 2), round(high, 2)
            (9.78, 10.23)
            >>> Figure(10.0, deviation=math.inf).interval() is None
            True
        """
        if not self.deviation:
            return self.value, self.value
        if math.isinf(self.deviation):
            return None
        reach = student_t(self.freedom, (1 + confidence) / 2) * self.deviation
        if reach > math.log(_MAX_FACTOR):
            return None
        return self.value * math.exp(-reach), self.value * math.exp(reach)

    def over(self, other: Figure) -> Figure:
        """How many times another figure it is.

        Examples:
            >>> Figure(10.0).over(Figure(4.0)).value
            2.5
        """
        return Figure(
            self.value / max(other.value, sys.float_info.min),
            math.hypot(self.deviation, other.deviation),
            min(self.freedom, other.freedom),
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """One assignment, over all its trials.

    Attributes:
        assignment: Which.
        trials: Its measured trials, in order.
        figures: One for each objective.
        is_contended: Whether other work on the target disturbed every one of them.
    """

    assignment: Assignment
    trials: tuple[Trial, ...] = field(repr=False)
    figures: tuple[Figure, ...]
    is_contended: bool = False

    @property
    def is_told(self) -> bool:
        """Whether every figure tells something, see :meth:`Figure.interval`."""
        return all(f.interval() is not None for f in self.figures)

    @property
    def values(self) -> tuple[float, ...]:
        """The figures' values."""
        return tuple(f.value for f in self.figures)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model makes of measured assignments, each from all others alone.

    Attributes:
        figures: Assignment → one for each objective; where nothing is known the deviation is
            infinite.
        noise: For each objective, by how much the model takes processes to differ (standard
            deviation of the logarithm).
        correlations: For each objective, how the errors of two assignments go together once all
            were measured: what they share is as wrong in both. Shape ``(n, n)``, in the order of
            ``figures``; empty where nothing is known of that.
    """

    figures: Mapping[Assignment, Sequence[Figure]]
    noise: Sequence[float]
    correlations: Sequence[Vector] = ()


@dataclass(frozen=True, slots=True)
class Estimates:
    """All measured assignments.

    Attributes:
        objectives: Whose figures they are.
        items: In the order of their first trials.
        is_noise_known: Whether enough assignments were measured in several processes to say how
            much processes differ; if not, figures count as exact.
        noise: For each objective, the standard deviation between processes, of the logarithm.
        drifts: For each objective, from the lowest to the highest level that was corrected, on the
            board where that was most.
        correlations: For each objective, how the errors of two assignments go together, shape
            ``(n, n)``; empty where they are independent.
    """

    objectives: tuple[Objective, ...]
    items: tuple[Estimate, ...] = ()
    is_noise_known: bool = False
    noise: tuple[float, ...] = ()
    drifts: tuple[float, ...] = ()
    correlations: tuple[Vector, ...] = field(default=(), compare=False)

    @classmethod
    def of(
        cls,
        trials: Iterable[Trial],
        objectives: Sequence[Objective],
        anchor: Assignment | None = None,
    ) -> Estimates:
        """Estimate every measured assignment.

        For each objective, on logarithms: drift as the anchor shows it is taken off, and where
        several boards measured, how far each is from their mean, as the anchors on each show; of an
        assignment's trials those that other work disturbed are left out where others remain, and
        enough of them in all to know the noise; of memory what is known to be a first measurement
        is left out where repeats remain, since it is at fixed addresses and what was best there may
        be luck, but how far it is from them counts as noise; the level is the robust one of the
        rest, and its standard error comes from how much processes differ: the assignment's own
        repeats, and those of all others, which count as at most sixteen (an empirical Bayes
        compromise between a variance per assignment, which two or three repeats do not show, and
        one for all). It is half a tick of the clock at least, where that is coarse. O(n) for n
        trials besides the drift.

        Args:
            trials: Failures are left out.
            objectives: All of them measured in all trials.
            anchor: The assignment that was measured again and again.
        """
        measured = [t for t in trials if isinstance(t.outcome, Measurement)]
        outcomes = [t.outcome for t in measured if isinstance(t.outcome, Measurement)]
        groups: dict[Assignment, list[int]] = {}
        for i, trial in enumerate(measured):
            groups.setdefault(trial.assignment, []).append(i)
        boards = [trial.board for trial in measured]
        quiet = np.array([not o.is_contended for o in outcomes], dtype=bool)
        kept = {a: [i for i in rows if quiet[i]] or rows for a, rows in groups.items()}
        firsts = {i for i, trial in enumerate(measured) if trial.is_first}
        repeats = sum(len(rows) - 1 for rows in kept.values())
        if repeats < MIN_REPEATS:
            # Where nearly everything was disturbed, disturbance is the noise that there is.
            kept = groups
            repeats = len(measured) - len(groups)
        is_noise_known = repeats >= MIN_REPEATS
        times = _seconds(measured)
        columns: list[list[Figure]] = []
        noise, sizes = [], []
        for objective in objectives:
            levels = _levels(outcomes, objective)
            if objective.unit == "1":
                columns.append([Figure(float(np.exp(levels[r].max()))) for r in groups.values()])
                noise.append(0.0)
                sizes.append(0.0)
                continue
            found = _Shifts.none(len(levels))
            if objective.unit in {"s", "J"} and anchor in groups:
                found = _Shifts.of(boards, groups[anchor], quiet, times, levels)
            apart = firsts if objective.is_memory else set()
            column, deviation = _figures(
                outcomes, objective, levels, found, list(kept.values()), repeats, apart
            )
            if objective.unit in {"s", "J"} and is_noise_known:
                column = [
                    figure if quiet[rows].any() else Figure(figure.value, math.inf, 1.0)
                    for figure, rows in zip(column, kept.values(), strict=True)
                ]
            columns.append(column)
            noise.append(deviation)
            sizes.append(found.size)
        items = tuple(
            Estimate(
                assignment,
                tuple(measured[i] for i in rows),
                figures,
                is_contended=not quiet[rows].any(),
            )
            for (assignment, rows), figures in zip(
                groups.items(), zip(*columns, strict=True), strict=True
            )
        )
        return cls(tuple(objectives), items, is_noise_known, tuple(noise), tuple(sizes))

    def combined_with(self, predictions: Predictions) -> Estimates:
        """What was measured of each assignment, weighed with what all others say of it.

        On logarithms, both by their precision. Predictions that were further off than they said
        count for less, and all alike: their variances are multiplied by the mean squared distance
        from what was measured, in units of both deviations, where that is above one. Where nothing
        is known of the noise from repeats, measurements get the model's. Errors go together as the
        model says, where its part in both figures is large. O(n), O(n²) with correlations.

        Args:
            predictions: What they lack stays as it is.
        """
        if not self.items or not predictions.figures:
            return self
        columns = []
        for k, objective in enumerate(self.objectives):
            own = [item.figures[k] for item in self.items]
            if objective.unit == "1":  # output errors are exact
                columns.append(own)
                continue
            noise = 0.0 if self.is_noise_known else predictions.noise[k]
            rows = [predictions.figures.get(item.assignment) for item in self.items]
            said = [row[k] if row else None for row in rows]
            columns.append(_weighed(own, said, noise, is_exact=not self.is_noise_known))
        items = tuple(
            replace(item, figures=tuple(figures))
            for item, figures in zip(self.items, zip(*columns, strict=True), strict=True)
        )
        found = replace(self, items=items)
        if not predictions.correlations or not self.is_noise_known:
            return found
        order = {assignment: row for row, assignment in enumerate(predictions.figures)}
        known = [i for i, item in enumerate(self.items) if item.assignment in order]
        theirs = [order[self.items[i].assignment] for i in known]
        correlations = []
        for column in predictions.correlations:
            matrix = np.eye(len(items))
            matrix[np.ix_(known, known)] = column[np.ix_(theirs, theirs)]
            correlations.append(matrix)
        return replace(found, correlations=tuple(correlations))

    def values(self) -> Vector:
        """Objective values in seconds, bytes …, shape ``(n, m)``."""
        rows = [item.values for item in self.items]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.objectives))


def _weighed(
    own: Sequence[Figure], said: Sequence[Figure | None], noise: float, *, is_exact: bool
) -> list[Figure]:
    """Measured and predicted figures of one objective as one."""
    nothing = Figure(1.0, math.inf)
    levels, spreads = _logarithms(own)
    spreads = np.maximum(spreads, noise)
    others, doubts = _logarithms([figure or nothing for figure in said])
    is_weighed = (spreads > 0) & (doubts > 0) & np.isfinite(doubts)
    is_weighed &= np.array([figure.value > 0 for figure in own])
    is_checked = is_weighed & np.isfinite(spreads)
    if not is_checked.any():
        return list(own)
    squares = (levels - others)[is_checked] ** 2 / (spreads**2 + doubts**2)[is_checked]
    doubts = doubts * math.sqrt(max(1.0, float(squares.mean())))
    found = list(own)
    for i in np.flatnonzero(is_weighed).tolist():
        mine, theirs = spreads[i] ** -2, doubts[i] ** -2
        level = (mine * levels[i] + theirs * others[i]) / (mine + theirs)
        deviation = 0.0 if is_exact else (mine + theirs) ** -0.5
        found[i] = Figure(math.exp(level), float(deviation), own[i].freedom)
    return found


def _logarithms(figures: Sequence[Figure]) -> tuple[Vector, Vector]:
    """Their levels and deviations; of what is not positive nothing is known."""
    values = np.array([f.value for f in figures])
    deviations = np.array([f.deviation for f in figures])
    return np.log(np.maximum(values, 1e-300)), np.where(values > 0, deviations, math.inf)


def _levels(outcomes: Sequence[Measurement], objective: Objective) -> Vector:
    return np.log([max(o.value(objective), _LEAST[objective.unit]) for o in outcomes])


def _seconds(trials: Sequence[Trial]) -> Vector:
    """When the trials began; equal where that was not recorded."""
    moments = []
    for trial in trials:
        try:
            moments.append(datetime.fromisoformat(trial.started_at).timestamp())
        except (ValueError, OverflowError):
            return np.zeros(len(trials))
    return np.array(moments, dtype=np.float64)


def _figures(
    outcomes: Sequence[Measurement],
    objective: Objective,
    levels: Vector,
    found: _Shifts,
    kept: Sequence[list[int]],
    repeats: int,
    apart: AbstractSet[int],
) -> tuple[list[Figure], float]:
    """The figures of one objective, and its standard deviation between processes.

    What is set apart is noise, and has no part in a level where other rows remain.
    """
    steady = levels - found.offsets
    usual = [[i for i in rows if i not in apart] or rows for rows in kept]
    centres = [
        float(steady[rows[0]]) if len(rows) == 1 else robust_level(steady[rows]) for rows in usual
    ]
    values = [
        # Exactly what was measured, where nothing was done to it.
        outcomes[rows[0]].value(objective)
        if len(rows) == 1 and not found.offsets[rows[0]]
        else math.exp(centre)
        for rows, centre in zip(usual, centres, strict=True)
    ]
    if repeats < MIN_REPEATS:
        return [Figure(value) for value in values], 0.0
    squares = _squares(steady, kept, centres)
    pooled = sum(squares) / repeats
    unknown = found.variances + pooled * found.shares
    figures = []
    for rows, value, own in zip(usual, values, squares, strict=True):
        count = len(rows)
        borrowed = min(repeats, _BORROWED_FREEDOM)
        freedom = borrowed + count - 1
        between = (borrowed * pooled + own) / freedom
        within = sum(_within(outcomes[i], objective) ** 2 for i in rows) / count
        variance = max(between * _MEDIAN.get(count, _HODGES_LEHMANN), within) / count
        variance += float(unknown[rows].mean())
        if objective.unit == "s":
            variance = max(variance, _resolution(outcomes, rows, value) ** 2)
        figures.append(Figure(value, math.sqrt(variance), freedom))
    return figures, math.sqrt(pooled)


@dataclass(frozen=True, slots=True)
class _Shifts:
    """By how much the level of each trial was off when it was made, and where.

    Attributes:
        offsets: Drift since a board's anchors, and the board's distance from the mean of boards.
        variances: Of the drift.
        shares: Of the noise's variance, in what is known of the board: one over its anchors.
        size: Of the drift, on the board where it is largest.
    """

    offsets: Vector
    variances: Vector
    shares: Vector
    size: float = 0.0

    @classmethod
    def none(cls, count: int) -> _Shifts:
        return cls(np.zeros(count), np.zeros(count), np.zeros(count))

    @classmethod
    def of(
        cls,
        boards: Sequence[str],
        anchors: Sequence[int],
        quiet: NDArray[np.bool_],
        times: Vector,
        levels: Vector,
    ) -> _Shifts:
        """As the anchors show; of a board that has none nothing is known."""
        found = cls.none(len(levels))
        size, centres = 0.0, dict[str, float]()
        names = list(dict.fromkeys(boards))
        for name in names:
            rows = np.array([i for i, board in enumerate(boards) if board == name])
            own = [i for i in anchors if boards[i] == name]
            calm = [i for i in own if quiet[i]] or (own if len(names) > 1 else [])
            if not calm:
                continue
            calm.sort(key=lambda i: float(times[i]))
            moved = drift(times[calm], levels[calm], times[rows])
            found.offsets[rows], found.variances[rows] = moved.offsets, moved.variances
            centres[name] = robust_level(levels[calm] - found.offsets[calm])
            found.shares[rows] = 1 / len(calm) if len(names) > 1 else 0.0
            size = max(size, moved.size)
        if len(names) > 1 and centres:
            middle = sum(centres.values()) / len(centres)
            found.offsets[:] += [centres.get(name, middle) - middle for name in boards]
        return replace(found, size=size)


def _squares(steady: Vector, kept: Sequence[list[int]], centres: Sequence[float]) -> list[float]:
    """For each assignment the sum of squares around its centre, rare outliers pulled in."""
    deviations = [
        (steady[rows] - centre) * math.sqrt(len(rows) / max(1, len(rows) - 1))
        for rows, centre in zip(kept, centres, strict=True)
    ]
    repeated = [np.abs(d) for d in deviations if len(d) > 1]
    limit = math.inf
    if sum(map(len, repeated)) >= _ENOUGH_TO_CLIP:
        scale = _FROM_MAD * float(np.median(np.concatenate(repeated)))
        limit = _CLIP * scale if scale > 0 else math.inf
    return [
        float((np.clip(d, -limit, limit) ** 2).sum()) * (len(d) - 1) / len(d) for d in deviations
    ]


def _resolution(outcomes: Sequence[Measurement], rows: Sequence[int], value: float) -> float:
    """What a coarse clock leaves open, however often it is read: half a tick of a level."""
    ticks = [outcomes[i].samples.get("clock_resolution", (0.0,))[0] for i in rows]
    return max(ticks) / 2 / max(value, max(ticks) / 2, _LEAST["s"])


def _within(outcome: Measurement, objective: Objective) -> float:
    """Standard error of the logarithm of a median over runs; 0 of a single sample."""
    values = outcome.usual(objective.name) if objective.name in outcome.samples else ()
    if len(values) < 2 or min(values) <= 0:
        return 0.0
    return standard_error_of_median([math.log(v) for v in values])
