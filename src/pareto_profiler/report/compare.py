"""Comparison: did the front move between two runs of one space, beyond noise?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.estimate import Estimate, Estimates, Figure
from pareto_profiler.core.front import (
    contenders,
    hypervolume_share,
    plausible_values,
    reference_point,
)
from pareto_profiler.core.measurement import Objective, objectives_of
from pareto_profiler.core.membership import shown_front
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.errors import InputError
from pareto_profiler.report.health import warnings_of
from pareto_profiler.report.places import estimates_of, places_of
from pareto_profiler.report.summary import INTERVAL

Draws = NDArray[np.float64]
Ratio = tuple[float, float, float]
"""A factor, and where it lies with 95 % confidence."""

_DRAWS: Final = 4000
_CHUNK: Final = 500


class Change(StrEnum):
    """Of something from A to B."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNKNOWN = "no verdict"


@dataclass(frozen=True, slots=True)
class Point:
    """An assignment on the front of A, and what B has in its place.

    Attributes:
        id: The seed's integer.
        covered: By how much the best of B is worse than it, as a factor: what its figures have to
            be multiplied with, at least, for some assignment of B to be as good in every objective.
        interval: Of that, with 95 % confidence; None where that cannot be told.
        change: Whether that is beyond noise and margin.
        ratios: Objective → the same assignment's figure in B over A's; None where that cannot be
            told; empty where B did not measure it.
    """

    id: int
    covered: float
    interval: tuple[float, float] | None
    change: Change
    ratios: dict[str, Ratio | None]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "id": str(self.id),
            "shortfall": self.covered,
            "shortfall_interval": self.interval and list(self.interval),
            "change": str(self.change),
            "ratios": {name: _ratio_json(values) for name, values in self.ratios.items()},
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs against each other.

    Attributes:
        objectives: What is minimised.
        change: Of the front as a whole.
        points: A's front, by increasing first objective.
        gained: Ids on B's front that are beyond noise and margin better than all that A has.
        hypervolumes: Of A and of B, in one box.
        hypervolume_change: B's less A's, with its 95 % interval; None where that cannot be told.
        baseline: Objective → the baseline's figure in B over A's; None where that cannot be told.
        alone: Where there is no verdict on the front, objective → what came of its smallest figure;
            without those that cannot be told.
        reference: The corner of the box of the hypervolumes.
        warnings: What makes either run less trustworthy than it looks, in words.
        differences: What else is not the same in the two runs, in words.
        margin: A difference that nobody would notice, as a fraction.
        confidence: That no change is seen where there is none.
        is_relative: Whether figures are shares of each run's own baseline.
    """

    objectives: tuple[Objective, ...]
    change: Change
    points: tuple[Point, ...]
    gained: tuple[int, ...]
    hypervolumes: tuple[float, float]
    hypervolume_change: Ratio | None
    baseline: dict[str, Ratio | None]
    alone: dict[str, Change]
    reference: tuple[float, ...]
    warnings: tuple[str, ...]
    differences: tuple[str, ...]
    margin: float
    confidence: float
    is_relative: bool = False

    @classmethod
    def of(
        cls,
        a: Recording,
        b: Recording,
        *,
        objectives: tuple[Objective, ...] = (),
        margin: float | None = None,
        confidence: float | None = None,
        is_relative: bool = False,
        seed: int = 0,
    ) -> Comparison:
        """Compare two runs.

        Figures are drawn from their distributions thousands of times. A point of A's front is worse
        in B when in all but a small share of the draws no assignment of B is as good in every
        objective, the margin allowed for; the front is worse when a point of it is, or when its
        hypervolume is smaller than that of A's figures worsened by the margin. The shares are such
        that all statements hold together with the confidence.

        Args:
            a: Before.
            b: After.
            objectives: Instead of those recorded in A.
            margin: A difference that nobody would notice, instead of the one recorded in A.
            confidence: Instead of the one recorded in A.
            is_relative: Whether figures are divided by those of their own run's baseline, so that
                what moved everything alike is not seen.
            seed: Of the draws.

        Raises:
            InputError: They are not of one space, or nothing is known of the noise in one.
        """
        _check_spaces(a, b)
        objectives = objectives or objectives_of(a.header.objectives)
        margin = a.header.margin if margin is None else margin
        confidence = a.header.confidence if confidence is None else confidence
        before, after = (_known(r, objectives, name) for r, name in ((a, "A"), (b, "B")))
        baseline = _ratios(before, after, a.header.space.default)
        judged = [
            replace(r, header=replace(r.header, margin=margin, confidence=confidence))
            for r in (a, b)
        ]
        fronts = [
            shown_front(e, places_of(r, e), margin)
            for r, e in zip(judged, (before, after), strict=True)
        ]
        if is_relative:
            before, after = (_relative(e, a.header.space.default) for e in (before, after))
        random = np.random.default_rng(seed)
        # All that may be on a front covers and counts, and not only what is shown as one.
        near = [
            sorted({*front, *contenders(e)})
            for e, front in zip((before, after), fronts, strict=True)
        ]
        draws = [
            plausible_values(e, positions, draws=_DRAWS, random=random, is_open=True)
            for e, positions in zip((before, after), near, strict=True)
        ]
        error = (1 - confidence) / (sum(map(len, fronts)) + 2)
        reference = _reference(before, a.header.space.default, a.header.space.uniforms())
        shown = [
            d[:, [positions.index(i) for i in front]]
            for d, positions, front in zip(draws, near, fronts, strict=True)
        ]
        lost = _uncovered(shown[0], draws[1])
        won = _uncovered(shown[1], draws[0])
        # What other work disturbed may be faster than measured: that it is, proves nothing better.
        as_measured = plausible_values(after, near[1], draws=_DRAWS, random=random)
        surely_lost = _uncovered(shown[0], as_measured)
        points = tuple(
            _point(a, before, after, i, (may, surely), margin, error)
            for i, may, surely in zip(fronts[0], lost.T, surely_lost.T, strict=True)
        )
        limit = 1 + margin
        gained = tuple(
            a.header.space.id_of(after.items[i].assignment)
            for i, factors in zip(fronts[1], won.T, strict=True)
            if after.items[i].is_told and float((factors <= limit).mean()) <= error
        )
        volumes = [np.array([hypervolume_share(v, reference) for v in d]) for d in draws]
        worsened = [np.array([hypervolume_share(v * limit, reference) for v in d]) for d in draws]
        is_known = all(
            e.items[i].is_told for e, f in zip((before, after), near, strict=True) for i in f
        )
        is_smaller = float((volumes[1] >= worsened[0]).mean()) <= error
        is_larger = float((volumes[0] >= worsened[1]).mean()) <= error
        change = Change.SAME if is_known else Change.UNKNOWN
        if (is_smaller and is_known) or any(p.change is Change.WORSE for p in points):
            change = Change.WORSE
        elif is_known and (is_larger or gained):
            change = Change.BETTER
        moved = volumes[1] - volumes[0]
        figures = [
            hypervolume_share([e.items[i].values for i in positions], reference)
            for e, positions in zip((before, after), near, strict=True)
        ]
        return cls(
            objectives=objectives,
            change=change,
            points=points,
            gained=gained,
            hypervolumes=(figures[0], figures[1]),
            hypervolume_change=(figures[1] - figures[0], *_interval(moved)) if is_known else None,
            baseline=baseline,
            alone={} if is_known else _alone(before, after, margin),
            reference=reference,
            warnings=tuple(
                f"{name}: {text}"
                for name, recording, e in (("A", a, before), ("B", b, after))
                for text in warnings_of(recording, e)
            ),
            differences=tuple(
                text
                for text in a.header.differences(b.header)
                if not text.startswith("decision space")
            ),
            margin=margin,
            confidence=confidence,
            is_relative=is_relative,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "change": str(self.change),
            "objectives": [o.name for o in self.objectives],
            "margin": self.margin,
            "confidence": self.confidence,
            "hypervolumes": list(self.hypervolumes),
            "hypervolume_change": _ratio_json(self.hypervolume_change),
            "baseline": {name: _ratio_json(values) for name, values in self.baseline.items()},
            "alone": {name: str(change) for name, change in self.alone.items()},
            "points": [point.to_json() for point in self.points],
            "gained": [str(number) for number in self.gained],
            "reference": {
                o.name: r if self.is_relative else o.shown(r)
                for o, r in zip(self.objectives, self.reference, strict=True)
            },
            "warnings": list(self.warnings),
            "differences": list(self.differences),
        }


def _ratio_json(values: Ratio | None) -> dict[str, float] | None:
    return values and dict(zip(("value", "low", "high"), values, strict=True))


def _check_spaces(a: Recording, b: Recording) -> None:
    one, other = a.header.space, b.header.space
    if one.fingerprint == other.fingerprint:
        return

    def words(space: DecisionSpace) -> str:
        settings = [v.name for v in space.variables if v.is_setting]
        varied = f", varying {', '.join(settings)}" if settings else ""
        return (
            f"{len(space.variables) - len(settings)} groups by {space.granularity} on "
            f"{', '.join(space.backends)}{varied}"
        )

    raise InputError(
        f"the runs are of different decision spaces: A is {a.header.model_name}, {words(one)}; "
        f"B is {b.header.model_name}, {words(other)}"
    )


def _known(recording: Recording, objectives: Sequence[Objective], name: str) -> Estimates:
    estimates = estimates_of(recording, objectives)
    if not estimates.is_noise_known:
        raise InputError(
            f"{name}: nothing was measured twice, so what is noise is not known"
            + (
                "; pareto-profiler confirm repeats what matters"
                if "model" in recording.header.origin
                else ""
            )
        )
    return estimates


def _item(estimates: Estimates, assignment: Assignment) -> Estimate | None:
    return next((item for item in estimates.items if item.assignment == assignment), None)


def _relative(estimates: Estimates, default: Assignment) -> Estimates:
    """Every figure over the baseline's."""
    baseline = _item(estimates, default)
    if baseline is None or min(baseline.values) <= 0:
        raise InputError("the baseline was not measured: nothing can be relative to it")
    if not baseline.is_told:
        raise InputError("other work always disturbed the baseline: nothing can be relative to it")

    items = [
        replace(
            item,
            figures=tuple(
                Figure(1.0) if item is baseline else figure.over(base)
                for figure, base in zip(item.figures, baseline.figures, strict=True)
            ),
        )
        for item in estimates.items
    ]
    return replace(estimates, items=tuple(items))


def _reference(
    estimates: Estimates, default: Assignment, uniforms: Sequence[Assignment]
) -> tuple[float, ...]:
    baseline = _item(estimates, default)
    rivals = [item.values for a in uniforms if (item := _item(estimates, a))]
    return reference_point(
        baseline.values if baseline else None,
        rivals,
        [item.values for item in estimates.items],
        len(estimates.objectives),
    )


def _uncovered(mine: Draws, theirs: Draws) -> Draws:
    """For each draw and point of mine, the factor at which the best of theirs is as good."""
    parts = []
    for start in range(0, len(mine), _CHUNK):
        one, other = mine[start : start + _CHUNK], theirs[start : start + _CHUNK]
        ratios = other[:, None] / np.maximum(one[:, :, None], 1e-300)
        parts.append(ratios.max(axis=3).min(axis=2))
    return np.concatenate(parts)


def _point(
    recording: Recording,
    before: Estimates,
    after: Estimates,
    position: int,
    factors: tuple[NDArray[np.float64], NDArray[np.float64]],
    margin: float,
    error: float,
) -> Point:
    """One point of the front before; ``factors`` as they may be, and as they are at most."""
    item = before.items[position]
    may, surely = factors
    change = Change.SAME
    if not item.is_told or not any(e.is_told for e in after.items):
        change = Change.UNKNOWN
    elif float((may <= 1 + margin).mean()) <= error:
        change = Change.WORSE
    elif float((surely >= 1 / (1 + margin)).mean()) <= error:
        change = Change.BETTER
    elif float(np.median(surely)) > (1 + margin) * float(np.median(may)):
        change = Change.UNKNOWN
    return Point(
        id=recording.header.space.id_of(item.assignment),
        covered=float(np.median(surely)),
        interval=None if change is Change.UNKNOWN else _interval(surely),
        change=change,
        ratios=_ratios(before, after, item.assignment),
    )


def _alone(before: Estimates, after: Estimates, margin: float) -> dict[str, Change]:
    """What can be told of the smallest figure of each objective, where the front cannot be judged.

    Memory does not mind other work.
    """
    found = {}
    for k, objective in enumerate(before.objectives):
        figures = [[item.figures[k] for item in e.items] for e in (before, after)]
        if any(f.interval() is None for column in figures for f in column):
            continue
        best = [min(column, key=lambda f: f.value) for column in figures]
        ratio = _ratio(*best)
        if ratio is None:
            continue
        _, low, high = ratio
        change = Change.WORSE if low > 1 + margin else Change.SAME
        found[objective.name] = Change.BETTER if high < 1 / (1 + margin) else change
    return found


def _ratio(a: Figure, b: Figure) -> Ratio | None:
    """One figure over another with its interval; None where that cannot be told."""
    if not a.value:
        return None
    both = Figure(
        b.value / a.value, math.hypot(a.deviation, b.deviation), min(a.freedom, b.freedom)
    )
    ends = both.interval(INTERVAL)
    return ends and (both.value, *ends)


def _ratios(before: Estimates, after: Estimates, assignment: Assignment) -> dict[str, Ratio | None]:
    one, other = _item(before, assignment), _item(after, assignment)
    if one is None or other is None:
        return {}
    triples = zip(before.objectives, one.figures, other.figures, strict=True)
    return {objective.name: _ratio(a, b) for objective, a, b in triples}


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]).tolist()
    return low, high
