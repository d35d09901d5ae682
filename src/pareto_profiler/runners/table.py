"""TableRunner: recorded trials in place of a device, for offline mode and for tests."""

from __future__ import annotations

from collections.abc import Iterable

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Failure, Placement, Trial
from pareto_profiler.errors import FailureKind, RunError


class TableRunner:
    """Answers with what was recorded, failures included.

    Args:
        space: Of the recorded search.
        trials: What it recorded; the first trial of an assignment counts.
        placements: What it read back.
    """

    def __init__(
        self,
        space: DecisionSpace,
        trials: Iterable[Trial],
        placements: Iterable[Placement] = (),
    ) -> None:
        self._space = space
        self._outcomes: dict[Assignment, Measurement | Failure] = {}
        for trial in trials:
            self._outcomes.setdefault(trial.assignment, trial.outcome)
        self._placements = {p.assignment: p for p in placements}

    def run(self, assignment: Assignment) -> Measurement:
        outcome = self._outcomes.get(assignment)
        if isinstance(outcome, Measurement):
            return outcome
        self._space.check(assignment)
        if outcome is None:
            raise RunError(FailureKind.NOT_RECORDED, "the table does not hold this assignment")
        raise RunError(outcome.kind, outcome.message)

    def placement(self, assignment: Assignment) -> Placement | None:
        self._space.check(assignment)
        return self._placements.get(assignment)

    def close(self) -> None:
        """Nothing to leave."""
