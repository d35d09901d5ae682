"""Shipment: an assignment with what is known of it, ready to be written in some form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pareto_profiler.core.configuration import Configuration
from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import Assignment
from pareto_profiler.errors import InputError

BACKENDS_LIMIT: Final = 31
"""Characters that onert's call for backends takes."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BACKENDS: Final = re.compile(r"[A-Za-z0-9_.;-]*")
_ALWAYS_IN_THE_WAY: Final = (
    *("OP_BACKEND_ALLOPS", "OP_BACKEND_MAP", "EXECUTOR", "USE_SCHEDULER"),
    *("CPU_MEMORY_PLANNER", "USE_MMAPED_DATA"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One objective's figure.

    Attributes:
        objective: Which.
        value: In its shown unit.
        interval: Where it lies with 95 % confidence; None where the noise is unknown.
    """

    objective: Objective
    value: float
    interval: tuple[float, float] | None

    @property
    def words(self) -> str:
        """For people."""
        text = f"{self.objective.name} {self.value:.6g} {self.objective.shown_unit}"
        if self.interval is None:
            return text
        low, high = self.interval
        return f"{text} ({low:.6g} to {high:.6g})"


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is shipped.

    Attributes:
        header: Of the run it is from.
        assignment: Which.
        figures: One for each objective.
    """

    header: Header
    assignment: Assignment
    figures: Sequence[Measured]

    @property
    def id(self) -> int:
        """The seed's integer."""
        return self.header.space.id_of(self.assignment)

    @property
    def configuration(self) -> Configuration:
        """In the runtime's words, as it was measured."""
        plan = self.header.plan
        return Configuration.of(
            self.header.space,
            self.assignment,
            load_every_backend=plan is not None and plan.load_every_backend,
            threads=plan.threads if plan else None,
        )

    @property
    def facts(self) -> list[str]:
        """What a reader of the file wants to know, a line each; without line ends."""
        header = self.header
        where = f"{header.runtime} on {header.target}" if header.runtime else "a table"
        lines = [
            f"model {header.model_name}, SHA-256 {header.model_digest or 'unknown'}",
            f"assignment {self.id} by {header.space.granularity}, measured with {where}",
            *(figure.words for figure in self.figures),
            f"made by pareto-profiler {header.tool_version}",
        ]
        return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]

    def calls(self) -> tuple[str, str]:
        """What ``nnfw_set_available_backends`` and ``nnfw_set_backends_per_operation`` take.

        Raises:
            InputError: They cannot take it.
        """
        configuration = self.configuration
        backends = ";".join(configuration.backends)
        if len(backends) > BACKENDS_LIMIT:
            raise InputError(
                f"backends {backends}: {len(backends)} characters, the call for them takes "
                f"{BACKENDS_LIMIT}"
            )
        if not _BACKENDS.fullmatch(backends):
            raise InputError(f"backends {backends!r}: expected letters, digits and _ . -")
        graph = self.header.graph
        if graph is not None and graph.subgraph_count > 1:
            raise InputError(
                f"{self.header.model_name}: has {graph.subgraph_count} subgraphs, and the call for "
                f"operations applies to each of them: ship it as env or nnpackage"
            )
        is_placing = any(not v.is_setting for v in self.header.space.variables)
        if is_placing and not configuration.operation_map:
            raise InputError(
                f"{self.header.model_name}: the recording does not say which operations have which "
                f"name, and the call for operations takes numbers: ship it as env"
            )
        return backends, configuration.operation_map

    @property
    def variables(self) -> dict[str, str]:
        """All of it as variables of the environment.

        Raises:
            InputError: A name or a value cannot be one's.
        """
        return _checked(self.configuration.variables)

    @property
    def settings(self) -> dict[str, str]:
        """What no call sets: variables of the environment.

        Raises:
            InputError: A name or a value cannot be one's.
        """
        return _checked(self.configuration.environment)

    @property
    def in_the_way(self) -> list[str]:
        """Variables that would change what runs, were they left from before."""
        graph, ours = self.header.graph, self.configuration.variables
        names = sorted({o.name for o in graph.operations if o.name}) if graph else []
        others = (*_ALWAYS_IN_THE_WAY, *(f"OP_BACKEND_{n}" for n in names))
        return [n for n in others if n not in ours and _VARIABLE.fullmatch(n)]


def _checked(variables: dict[str, str]) -> dict[str, str]:
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            raise InputError(f"{name!r}: is no name of a variable of the environment")
        if not value.isprintable():
            raise InputError(f"{name}={value!r}: expected printable characters")
    return variables
