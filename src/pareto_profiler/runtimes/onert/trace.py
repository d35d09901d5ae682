"""Reading onert's traces: how long each operation took, and on which backend it ran."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from pareto_profiler.core.trial import OperationTime, Profile

_OPERATION: Final = re.compile(r"@(\d+) (.+)")
_SUBGRAPH: Final = re.compile(r"\$(\d+) subg")


@dataclass(frozen=True, slots=True)
class Traced:
    """One operation in a trace.

    Attributes:
        index: Its index; one beyond the model's own is a copy that the runtime inserted.
        subgraph: The subgraph it is in.
        name: The runtime's display name, such as ``Add`` for a BinaryArithmetic.
        backend: Where it ran.
        seconds: How long it took, one per traced run, warm-ups left out.
    """

    index: int
    subgraph: int
    name: str
    backend: str
    seconds: tuple[float, ...]


def operation_times(text: str, warmups: int) -> tuple[Traced, ...]:
    """Read a Chrome trace (``*.chrome.json``) that onert wrote, of any version.

    Args:
        text: Its content.
        warmups: How many runs at the beginning to leave out.

    Returns:
        In the order of execution; empty where the text is no such trace.

    Examples:
        >>> begin = {"ph": "B", "ts": "5", "name": "@0 Conv2D", "tid": "$0 sess, $0 subg, cpu"}
        >>> text = json.dumps({"traceEvents": [begin, begin | {"ph": "E", "ts": "7"}, {}]})
        >>> operation_times(text, warmups=0)[0].seconds
        (2e-06,)
    """
    try:
        events = json.loads(text)["traceEvents"]
    except (ValueError, KeyError, TypeError):
        return ()
    began: dict[tuple[int, int, str, str], float] = {}
    seconds: dict[tuple[int, int, str, str], list[float]] = {}
    for event in events if isinstance(events, list) else ():
        key = _key(event) if isinstance(event, dict) else None
        if key is None:
            continue
        try:
            at = float(event["ts"]) * 1e-6
        except (KeyError, ValueError, TypeError):
            continue
        if event.get("ph") == "B":
            began[key] = at
            seconds.setdefault(key, [])
        elif event.get("ph") == "E" and key in began:
            seconds[key].append(round(at - began.pop(key), 9))
    return tuple(
        Traced(index, subgraph, name, backend, tuple(times[warmups:]))
        for (index, subgraph, name, backend), times in seconds.items()
    )


def profile_of(times: tuple[Traced, ...], operations: int) -> Profile:
    """The profile of a traced assignment: medians, of the main subgraph.

    Args:
        times: As :func:`operation_times` gives them.
        operations: How many the model has; what is numbered beyond is a copy.
    """
    medians = tuple(
        OperationTime(t.index, t.backend, median(t.seconds))
        for t in times
        if t.seconds and t.subgraph == 0
    )
    return Profile(
        tuple(t for t in medians if t.index < operations),
        tuple(t for t in medians if t.index >= operations),
    )


def _key(event: dict[str, Any]) -> tuple[int, int, str, str] | None:
    """Index, subgraph, name and backend of an operation's event; None for any other."""
    named = _OPERATION.fullmatch(str(event.get("name", "")))
    track = str(event.get("tid", ""))
    subgraph = _SUBGRAPH.search(track)
    if not named or not subgraph:
        return None
    return int(named[1]), int(subgraph[1]), named[2], track.rsplit(",", 1)[-1].strip()
