"""What ONNX Runtime is told of an assignment beside the model's file: options of the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.drivers.engine import place_of
from pareto_profiler.runtimes import allocator

SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "threads": (),
    # Weights in a file beside the model, which the runtime maps, or inside it, as most have them.
    # Where it is not varied they are beside it: that costs no time.
    "external_data": ("off", "on"),
    "arena": ("on", "off"),
    "memory_pattern": ("on", "off"),
    allocator.SETTING: allocator.VALUES,
}
"""Settings that can be varied, each with its values, the baseline's first."""

_OF_SESSION: Final = ("arena", "memory_pattern")


@dataclass(frozen=True, slots=True)
class OnnxRuntimeConfiguration:
    """One assignment in ONNX Runtime's words.

    Attributes:
        backend_by_operation: Operation index → ``packed`` or ``plain``.
        threads: Of the session.
        settings: Setting → value, of those that are varied.
    """

    backend_by_operation: Mapping[int, str]
    threads: int
    settings: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> OnnxRuntimeConfiguration:
        """The configuration of an assignment.

        Raises:
            SpaceError: The assignment is of another space.
        """
        settings = space.settings(assignment)
        threads = int(settings.get("threads", plan.threads if plan else 1))
        return cls(space.backend_by_operation(assignment), threads, settings)

    @property
    def external_data(self) -> bool:
        """Whether weights lie in a file beside the model."""
        return (self.settings or {}).get("external_data") != "off"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the process."""
        return allocator.environment(self.settings or {})

    @property
    def options(self) -> dict[str, str]:
        """Options of the session that differ from the default."""
        told = self.settings or {}
        return {name: "off" for name in _OF_SESSION if told.get(name) == "off"}

    @property
    def text(self) -> str:
        """Operations of each backend, and the settings.

        Examples:
            >>> OnnxRuntimeConfiguration({0: "packed", 3: "packed", 5: "plain"}, 1).text
            'packed 0,3; plain 5; threads 1'
        """
        places = sorted(place_of(self.backend_by_operation), key=lambda p: p[1])
        joined = [
            f"{b} {','.join(p[0] for p in group)}" for b, group in groupby(places, lambda p: p[1])
        ]
        more = [f"{n} {v}" for n, v in (self.settings or {}).items() if n != "threads"]
        return "; ".join([*joined, f"threads {self.threads}", *more])


def options_text(options: Mapping[str, str]) -> str:
    r"""Options of a session as the driver reads them.

    Examples:
        >>> options_text({"arena": "off"})
        'arena = off\n'
    """
    return "".join(f"{key} = {value}\n" for key, value in options.items())
