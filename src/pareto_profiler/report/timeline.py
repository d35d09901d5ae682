"""Timeline: traced operations as trace events, for Perfetto and chrome://tracing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.trial import Profile


def timeline_of(graph: Graph, profiles: Mapping[str, Profile]) -> dict[str, Any]:
    """A track for each profile: its operations in the order of execution, then its copies.

    Medians of several runs are laid end to end: how long each takes is measured, that one begins
    where the one before it ends is not.

    Args:
        graph: Of the model.
        profiles: Name of what was traced → its profile.
    """
    events: list[dict[str, Any]] = []
    for track, (name, profile) in enumerate(profiles.items(), start=1):
        events.append(
            {"ph": "M", "pid": 1, "tid": track, "name": "thread_name", "args": {"name": name}}
        )
        now = 0.0
        named = [(f"@{o.index} {graph.operations[o.index].builtin}", o) for o in profile.operations]
        named += [(f"copy {o.index}", o) for o in profile.transfers]
        for what, timed in named:
            events.append(
                {
                    "ph": "X",
                    "pid": 1,
                    "tid": track,
                    "ts": round(now, 3),
                    "dur": round(1e6 * timed.seconds, 3),
                    "name": what,
                    "cat": timed.backend,
                    "args": {"backend": timed.backend},
                }
            )
            now += 1e6 * timed.seconds
    return {"traceEvents": events, "displayTimeUnit": "ms"}
