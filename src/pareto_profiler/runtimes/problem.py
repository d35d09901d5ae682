"""What a sampler of a run knows beforehand, the runtime's traits included."""

from __future__ import annotations

from collections.abc import Sequence

from pareto_profiler.core.measurement import Objective, objectives_of
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.recording import Header
from pareto_profiler.core.traits import Traits
from pareto_profiler.runtimes import runtime_of


def traits_of(header: Header) -> Traits:
    """What was recorded of the runtime's costs; of older runs what is known of it today."""
    return runtime_of(header).traits if header.traits is None else header.traits


def problem_of(header: Header, objectives: Sequence[Objective] = ()) -> Problem:
    """What a sampler of a run knows beforehand.

    Args:
        header: Of the run.
        objectives: Instead of the run's own.
    """
    chosen = tuple(objectives) or objectives_of(header.objectives)
    return Problem(
        header.space,
        chosen,
        header.graph,
        header.seed,
        traits_of(header),
        faults=runtime_of(header).faults(header),
    )
