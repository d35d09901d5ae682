"""onert for tests: graphs in its names, and spaces by its support tables."""

from __future__ import annotations

from functools import partial

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.support import Support
from pareto_profiler.models.reader import read_graph
from pareto_profiler.runtimes import runtime
from pareto_profiler.runtimes.onert import named

ONERT = runtime("onert")

onert_space = partial(DecisionSpace.of, support=Support(ONERT))


def onert_graph(data: bytes, path: str = "model") -> Graph:
    """What onert makes of a file."""
    return named(read_graph(data, path))


onert_problem = partial(Problem, traits=ONERT.traits)
