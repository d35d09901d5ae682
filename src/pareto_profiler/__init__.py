"""Estimate the Pareto front of latency against peak memory over backend assignments.

The public names; each is imported when it is first used, so that importing the package is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from pareto_profiler.version import __version__

if TYPE_CHECKING:
    from pareto_profiler.api import search
    from pareto_profiler.core.configuration import Configuration
    from pareto_profiler.core.front import Front, hypervolume, nondominated
    from pareto_profiler.core.graph import Graph, Operation
    from pareto_profiler.core.measurement import OBJECTIVES, Measurement, Objective
    from pareto_profiler.core.plan import Plan
    from pareto_profiler.core.ports import Runner, Sampler
    from pareto_profiler.core.recording import Header, Recording
    from pareto_profiler.core.space import Assignment, DecisionSpace, Granularity, Variable
    from pareto_profiler.core.support import Support
    from pareto_profiler.core.trial import Failure, Placement, Trial
    from pareto_profiler.errors import FailureKind, RunError
    from pareto_profiler.loop import Budget, verify
    from pareto_profiler.models import Model, load
    from pareto_profiler.report.summary import Summary
    from pareto_profiler.runners.function import FunctionSpace
    from pareto_profiler.runners.table import TableRunner
    from pareto_profiler.runs import JointRun, Point, Run, compare, deploy, open, select  # noqa: A004
    from pareto_profiler.runtimes import RUNTIMES, runtime
    from pareto_profiler.samplers import SAMPLERS
    from pareto_profiler.storage.journal import Store, read


_HOMES: Final = {
    "Assignment": "core.space",
    "Budget": "loop",
    "Configuration": "core.configuration",
    "DecisionSpace": "core.space",
    "Failure": "core.trial",
    "Front": "core.front",
    "Granularity": "core.space",
    "Graph": "core.graph",
    "Header": "core.recording",
    "Measurement": "core.measurement",
    "Model": "models",
    "OBJECTIVES": "core.measurement",
    "Objective": "core.measurement",
    "Operation": "core.graph",
    "Placement": "core.trial",
    "Plan": "core.plan",
    "Recording": "core.recording",
    "Run": "runs",
    "JointRun": "runs",
    "Point": "runs",
    "FunctionSpace": "runners.function",
    "RunError": "errors",
    "FailureKind": "errors",
    "Runner": "core.ports",
    "RUNTIMES": "runtimes",
    "SAMPLERS": "samplers",
    "Sampler": "core.ports",
    "Store": "storage.journal",
    "Summary": "report.summary",
    "Support": "core.support",
    "TableRunner": "runners.table",
    "Trial": "core.trial",
    "Variable": "core.space",
    "compare": "runs",
    "deploy": "runs",
    "hypervolume": "core.front",
    "load": "models",
    "nondominated": "core.front",
    "open": "runs",
    "read": "storage.journal",
    "runtime": "runtimes",
    "search": "api",
    "select": "runs",
    "verify": "loop",
}

__all__ = [
    "OBJECTIVES",
    "RUNTIMES",
    "SAMPLERS",
    "Assignment",
    "Budget",
    "Configuration",
    "DecisionSpace",
    "Failure",
    "FailureKind",
    "Front",
    "FunctionSpace",
    "Granularity",
    "Graph",
    "Header",
    "JointRun",
    "Measurement",
    "Model",
    "Objective",
    "Operation",
    "Placement",
    "Plan",
    "Point",
    "Recording",
    "Run",
    "RunError",
    "Runner",
    "Sampler",
    "Store",
    "Summary",
    "Support",
    "TableRunner",
    "Trial",
    "Variable",
    "__version__",
    "compare",
    "deploy",
    "hypervolume",
    "load",
    "nondominated",
    "open",
    "read",
    "runtime",
    "search",
    "select",
    "verify",
]


def __dir__() -> list[str]:
    return [*__all__]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
