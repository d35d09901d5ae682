"""Configured: an assignment as operations of backends, threads and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from pareto_profiler.core.configuration import THREADS
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.drivers.engine import place_of
from pareto_profiler.errors import InputError


@dataclass(frozen=True, slots=True)
class Configured:
    """What rooms derive from whose runtime is told so much and no more.

    Attributes:
        backend_by_operation: Operation index → backend, of those that are decided.
        threads: Of the runtime.
        settings: Setting → value, of those that are varied.
    """

    backend_by_operation: Mapping[int, str]
    threads: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, space: DecisionSpace, assignment: Assignment, plan: Plan | None) -> Self:
        """The configuration of an assignment.

        Raises:
            SpaceError: The assignment is of another space.
        """
        settings = space.settings(assignment)
        threads = int(settings.get(THREADS, plan.threads if plan else 1))
        return cls(space.backend_by_operation(assignment), threads, settings)

    @property
    def sets(self) -> dict[str, str]:
        """Backend → its operations, as ranges; in the order of their first ones."""
        joined: dict[str, list[str]] = {}
        for ranges, backend in place_of(self.backend_by_operation):
            joined.setdefault(backend, []).append(ranges)
        return {backend: ",".join(ranges) for backend, ranges in joined.items()}

    @property
    def text(self) -> str:
        """As one line for people.

        Examples:
            >>> Configured({0: "packed", 3: "packed", 5: "plain"}, 1, {"arena": "off"}).text
            'packed 0,3; plain 5; threads 1; arena off'
        """
        parts = [f"{backend} {ranges}" for backend, ranges in self.sets.items()]
        more = [f"{name} {value}" for name, value in self.settings.items() if name != THREADS]
        return "; ".join([*parts, f"threads {self.threads}", *more])

    def check(self, space: DecisionSpace, model_name: str) -> None:
        """See that operations have numbers, which some tables do not say.

        Raises:
            InputError: They have none.
        """
        if not self.backend_by_operation and any(not v.is_setting for v in space.variables):
            raise InputError(f"{model_name}: the recording does not number its operations")
