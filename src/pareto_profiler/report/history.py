"""History: how the front grew, over trials and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import hypervolume_share
from pareto_profiler.core.measurement import Measurement
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
    seen, front, found = set(), list[tuple[float, ...]](), []
    seconds = share = 0.0
    for count, trial in enumerate(trials, start=1):
        seconds += trial.duration_s + trial.rested_s
        mine = values.get(trial.assignment)
        if mine is None or trial.assignment in seen or not isinstance(trial.outcome, Measurement):
            continue
        seen.add(trial.assignment)
        if not any(_covers(other, mine) for other in front):
            front = [other for other in front if not _covers(mine, other)] + [mine]
            share = hypervolume_share(front, reference)
        found.append(Step(count, len(seen), seconds, share))
    return tuple(found)


def _covers(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))
