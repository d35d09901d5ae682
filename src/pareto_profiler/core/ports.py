"""The two ports of a search: who proposes assignments, and who measures them."""

from __future__ import annotations

from typing import Protocol

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Placement, Trial


class Sampler(Protocol):
    """Proposes assignments.

    The same space, seed and tells give the same asks, in any process: a search resumes by telling
    the stored trials again.
    """

    def ask(self, count: int = 1) -> list[Assignment]:
        """Up to ``count`` feasible assignments that were not told yet, all different.

        A query: asking twice gives the same. Empty when nothing is left.
        """
        ...

    def tell(self, trial: Trial) -> None:
        """Take in a finished trial, of any source."""
        ...


class Runner(Protocol):
    """Measures assignments of one model on one target."""

    def run(self, assignment: Assignment) -> Measurement:
        """Measure one assignment.

        Raises:
            RunError: The assignment failed on a healthy target.
            SpaceError: The assignment is of another space.
            TargetError: The target is unusable.
        """
        ...

    def placement(self, assignment: Assignment) -> Placement | None:
        """Where each operation really ran; None where the target cannot tell.

        Raises:
            RunError, SpaceError, TargetError: As :meth:`run`.
        """
        ...

    def close(self) -> None:
        """Leave the target as it was found; a second call does nothing."""
        ...
