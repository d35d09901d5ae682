"""History: what a sampler was told so far, assignment by assignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.front import nondominated
from pareto_profiler.core.measurement import Measurement, Objective
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Profile, Trial

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Row:
    """One measurement: its values, then the same but for the peak of loading the model."""

    is_contended: bool
    is_first: bool
    values: tuple[float, ...]


class History:
    """Values of what was measured, and what failed.

    Repeats of an assignment are averaged: geometric mean over the trials that other work did not
    disturb, of memory without the first one, which is at fixed addresses. An assignment that was
    measured once counts as measured, however often it failed.

    Args:
        objectives: What is minimised.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._objectives = tuple(objectives)
        self._levels: dict[Assignment, list[_Row]] = {}
        self._values: dict[Assignment, tuple[float, ...]] = {}
        self._beneath: dict[Assignment, tuple[float, ...]] = {}
        self._failed: set[Assignment] = set()
        self._changed: set[Assignment] = set()

    def add(self, trial: Trial) -> None:
        """Take in a trial; a profile says nothing of the objectives."""
        outcome = trial.outcome
        if isinstance(outcome, Profile):
            return
        if not isinstance(outcome, Measurement) or not all(map(outcome.has, self._objectives)):
            self._failed.add(trial.assignment)
            return
        values = tuple(outcome.value(o) for o in self._objectives)
        beneath = [
            outcome.beneath(o) if o.is_memory else value
            for o, value in zip(self._objectives, values, strict=True)
        ]
        known = self._levels.setdefault(trial.assignment, [])
        known.append(_Row(outcome.is_contended, trial.is_first, (*values, *beneath)))
        # In their order from now on; what they are together is computed when it is asked for.
        self._values.setdefault(trial.assignment, values)
        self._beneath.setdefault(trial.assignment, tuple(beneath))
        self._changed.add(trial.assignment)

    def _settle(self) -> None:
        for assignment in self._changed:
            known = self._levels[assignment]
            centre = self._centre([row for row in known if not row.is_contended] or known)
            count = len(self._objectives)
            self._values[assignment] = centre[:count]
            self._beneath[assignment] = centre[count:]
        self._changed.clear()

    def _centre(self, rows: Sequence[_Row]) -> tuple[float, ...]:
        if len(rows) == 1:
            return rows[0].values
        later = [row for row in rows if not row.is_first] or rows
        return tuple(
            _mean([row.values[k] for row in (later if objective.is_memory else rows)])
            for k, objective in enumerate((*self._objectives, *self._objectives))
        )

    def __contains__(self, assignment: Assignment) -> bool:
        return assignment in self._values or assignment in self._failed

    def __len__(self) -> int:
        return len(self._values.keys() | self._failed)

    @property
    def values(self) -> dict[Assignment, tuple[float, ...]]:
        """Assignment → its objectives, in the order of first measurement."""
        self._settle()
        return self._values

    @property
    def beneath(self) -> dict[Assignment, tuple[float, ...]]:
        """The same, but for the peak of loading the model: see :meth:`Measurement.beneath`."""
        self._settle()
        return self._beneath

    @property
    def failed(self) -> set[Assignment]:
        """What failed and was never measured."""
        return self._failed - self._values.keys()

    def repeats(self, assignment: Assignment) -> int:
        """How many measurements an assignment's values are made of."""
        known = self._levels.get(assignment, [])
        return sum(not row.is_contended for row in known) or len(known)

    def spread(self, objective: int) -> tuple[float, int]:
        """How far repeats of one assignment are apart, of all that were repeated.

        Args:
            objective: Its position.

        Returns:
            The sum of squared distances from each one's mean, in units of that mean; and how many
            squares of independent deviations it stands for. Disturbed measurements do not count.
        """
        total, freedom = 0.0, 0
        for known in (k for k in self._levels.values() if len(k) > 1):
            mine = np.array([row.values[objective] for row in known if not row.is_contended])
            if len(mine) > 1 and mine.mean() > 0:
                total += float(((mine / mine.mean() - 1) ** 2).sum())
                freedom += len(mine) - 1
        return total, freedom

    def is_disturbed(self, assignment: Assignment) -> bool:
        """Whether others worked on the device each time that it was measured."""
        return all(row.is_contended for row in self._levels.get(assignment, ()))

    def front(self) -> list[Assignment]:
        """What nothing dominates, in the order of first measurement."""
        if not self._values:
            return []
        keep = nondominated(np.array(list(self.values.values())))
        return [a for a, is_kept in zip(self._values, keep, strict=True) if is_kept]

    def worst(self) -> tuple[float, ...]:
        """The largest value of each objective; ones where nothing was measured."""
        if not self._values:
            return (1.0,) * len(self._objectives)
        return tuple(max(column) for column in zip(*self.values.values(), strict=True))


def _mean(column: Sequence[float]) -> float:
    return math.exp(fmean(map(math.log, column))) if min(column) > 0 else fmean(column)
