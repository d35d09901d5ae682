"""What onert is told of an artifact: strings for its calls, variables, and what is in the way."""

from __future__ import annotations

import re
from typing import Final

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.errors import InputError
from pareto_profiler.runtimes.base import Artifact
from pareto_profiler.runtimes.onert.configuration import OnertConfiguration
from pareto_profiler.runtimes.onert.engine import BACKENDS_LIMIT

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BACKENDS: Final = re.compile(r"[A-Za-z0-9_.;-]*")
_ALWAYS_IN_THE_WAY: Final = (
    *("OP_BACKEND_ALLOPS", "OP_BACKEND_MAP", "EXECUTOR", "USE_SCHEDULER"),
    *("CPU_MEMORY_PLANNER", "USE_MMAPED_DATA"),
)


def configuration(
    space: DecisionSpace, assignment: Assignment, plan: Plan | None
) -> OnertConfiguration:
    """An assignment as it was measured; without a plan every backend is loaded, as the seed does.

    Raises:
        SpaceError: It is of another space.
    """
    return OnertConfiguration.of(
        space,
        assignment,
        load_every_backend=plan is None or plan.load_every_backend,
        threads=plan.threads if plan else None,
    )


def configuration_of(artifact: Artifact) -> OnertConfiguration:
    """What realises it."""
    header = artifact.header
    return configuration(header.space, artifact.assignment, header.plan)


def calls_of(artifact: Artifact) -> tuple[str, str]:
    """What ``nnfw_set_available_backends`` and ``nnfw_set_backends_per_operation`` take.

    Raises:
        InputError: They cannot take it.
    """
    configuration = configuration_of(artifact)
    backends = ";".join(configuration.backends)
    if len(backends) > BACKENDS_LIMIT:
        raise InputError(
            f"backends {backends}: {len(backends)} characters, the call for them takes "
            f"{BACKENDS_LIMIT}"
        )
    if not _BACKENDS.fullmatch(backends):
        raise InputError(f"backends {backends!r}: expected letters, digits and _ . -")
    graph = artifact.header.graph
    if graph is not None and graph.subgraph_count > 1:
        raise InputError(
            f"{artifact.header.model_name}: has {graph.subgraph_count} subgraphs, and the call for "
            f"operations applies to each of them: ship it as env or nnpackage"
        )
    is_placing = any(not v.is_setting for v in artifact.header.space.variables)
    if is_placing and not configuration.operation_map:
        raise InputError(
            f"{artifact.header.model_name}: the recording does not say which operations have which "
            f"name, and the call for operations takes numbers: ship it as env"
        )
    return backends, configuration.operation_map


def variables_of(artifact: Artifact) -> dict[str, str]:
    """All of it as variables of the environment.

    Raises:
        InputError: A name or a value cannot be one's.
    """
    return _checked(configuration_of(artifact).variables)


def settings_of(artifact: Artifact) -> dict[str, str]:
    """What no call sets: variables of the environment.

    Raises:
        InputError: A name or a value cannot be one's.
    """
    return _checked(configuration_of(artifact).environment)


def in_the_way_of(artifact: Artifact) -> list[str]:
    """Variables that would change what runs, were they left from before."""
    graph, ours = artifact.header.graph, configuration_of(artifact).variables
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
