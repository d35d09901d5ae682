"""The two ports of a search: who proposes assignments, and who measures them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pareto_profiler.core.estimate import Predictions
from pareto_profiler.core.graph import Graph
from pareto_profiler.core.measurement import OBJECTIVES, Measurement, Objective
from pareto_profiler.core.rules import Limits
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.traits import Traits
from pareto_profiler.core.trial import Placement, Profile, Trial


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that makes an assignment compute wrongly, as far as it is known beforehand.

    Attributes:
        cause: Of what kind: a version of the runtime has it, or has not.
        words: What goes wrong where, in a sentence.
    """

    cause: str
    words: str


def no_faults(assignment: Assignment) -> tuple[Fault, ...]:  # noqa: ARG001
    """Of a runtime of which none are known."""
    return ()


@dataclass(frozen=True, slots=True)
class Problem:
    """What a sampler knows before anything is measured.

    Attributes:
        space: What may be chosen.
        objectives: What is minimised.
        graph: The model's operations and how they are joined; None where only names are known.
        seed: Of all chance.
        traits: What is known of the runtime's costs.
        within: What objectives may be at most, where one assignment is looked for; see ``Rules``.
        faults: What makes an assignment compute wrongly, as far as that follows from graph and
            runtime: the same answer for the same assignment, in milliseconds.
    """

    space: DecisionSpace
    objectives: tuple[Objective, ...] = (OBJECTIVES["exec_time"], OBJECTIVES["max_rss"])
    graph: Graph | None = None
    seed: int = 0
    traits: Traits = field(default_factory=Traits)
    within: Limits = field(default_factory=dict)
    faults: Callable[[Assignment], tuple[Fault, ...]] = no_faults


class Sampler(Protocol):
    """Proposes assignments.

    The same space, seed and tells give the same asks, in any process: a search resumes by telling
    the stored trials again.
    """

    def ask(self, count: int = 1) -> list[Assignment]:
        """Up to ``count`` feasible assignments that were not told yet, all different.

        A query: asking twice gives the same. Empty when nothing is left, or nothing that is left
        promises to move the front.
        """
        ...

    def tell(self, trial: Trial) -> None:
        """Take in a finished trial, of any source."""
        ...


@runtime_checkable
class LearningSampler(Sampler, Protocol):
    """A sampler that learns what assignments cost: from where the time goes, too."""

    def ask_beside(self, pending: Sequence[Assignment], count: int = 1) -> list[Assignment]:
        """As :meth:`ask`, while some are being measured: what these may gain is not gained twice.

        Args:
            pending: Which; none of them is asked for.
            count: Up to how many.
        """
        ...

    def profiles(self) -> Sequence[Assignment]:
        """Assignments whose profiles it would like before it is asked again: a query, as ask."""
        ...

    def predictions(self) -> Predictions:
        """What it makes of everything measured, each from all others: a query, too."""
        ...


class Runner(Protocol):
    """Measures assignments of one model on one target."""

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        """Measure one assignment.

        Args:
            assignment: Which.
            is_repeat: Whether it was measured before, or is compared with what was: then what a
                first measurement keeps the same for all, such as where things lie in memory, is
                left to chance, as it is in use.

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

    @property
    def can_profile(self) -> bool:
        """Whether :meth:`profile` has a chance."""
        ...

    def profile(self, assignment: Assignment) -> Profile:
        """How long each operation takes.

        Raises:
            RunError, SpaceError, TargetError: As :meth:`run`.
        """
        ...

    def close(self) -> None:
        """Leave the target as it was found; a second call does nothing."""
        ...
