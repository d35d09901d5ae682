"""History: how the front grew, over trials and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import hypervolume_share
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial


@dataclass(frozen=True, slots=True)
class Step:
    """A trial that brought a new assignment.

    Attributes:
        trials: How many there were until then, that one included.
        assignments: How many assignments were measured until then.
        seconds: Time of all trials until then, rests included.
        hypervolume: Of what was measured until then, by the figures known at the end.
    """

    trials: int
    assignments: int
    seconds: float
    hypervolume: float


def steps_of(
    trials: Sequence[Trial], estimates: Estimates, reference: Sequence[float]
) -> tuple[Step, ...]:
    """One step for each measured assignment, by its first measurement.

    The hypervolume never falls: repeats change what is known of the figures, not which assignments
    were found. O(n f log f) for n assignments and a front of f.

    Args:
        trials: All, in order.
        estimates: Of what was measured in place.
        reference: The hypervolume's corner.
    """
    values = {item.assignment: item.values for item in estimates.items}
    seen: dict[Assignment, tuple[int, float]] = {}
    seconds = 0.0
    for count, trial in enumerate(trials, start=1):
        seconds += trial.duration_s + trial.rested_s
        if trial.assignment in values and isinstance(trial.outcome, Measurement):
            seen.setdefault(trial.assignment, (count, seconds))
    shares = growth([values[assignment] for assignment in seen], reference)
    return tuple(
        Step(count, i, until_s, share)
        for i, ((count, until_s), share) in enumerate(
            zip(seen.values(), shares, strict=True), start=1
        )
    )


def growth(values: Sequence[Sequence[float]], reference: Sequence[float]) -> list[float]:
    """The hypervolume of the first of some points, of the first two, and so on: it never falls.

    O(n f log f) for n points and a front of f.

    Examples:
        >>> growth([(1.0, 3.0), (2.0, 3.5), (3.0, 1.0)], (4.0, 4.0))
        [0.1875, 0.1875, 0.3125]
    """
    front = list[Sequence[float]]()
    share, shares = 0.0, []
    for mine in values:
        if not any(_covers(other, mine) for other in front):
            front = [other for other in front if not _covers(mine, other)] + [mine]
            share = hypervolume_share(front, reference)
        shares.append(share)
    return shares


def _covers(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))
