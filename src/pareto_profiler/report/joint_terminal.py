"""The joint front of several runtimes as text, on one screen of 80 columns."""

from __future__ import annotations

import shlex
from pathlib import Path

from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import tame
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.naming import counts_of, handle
from pareto_profiler.report.selection import Goal, Selection
from pareto_profiler.report.summary import Row, Summary
from pareto_profiler.report.terminal import (
    decimals_of,
    front_legend,
    front_table,
    progress_of,
    wrap,
)


def joint_text(joint: Joint, folder: Path) -> str:
    """What was searched, the joint front, what single backends do, the knee, and what to do next.

    Args:
        joint: The front.
        folder: Of the runs.
    """
    lines = [f"{joint.header.model_name} on {joint.header.target}"]
    for summary in joint.runs.values():
        lines += wrap(f"  {_searched(summary)}")
    lines += ["", *front_legend("Joint front", joint.objectives), ""]
    lines += [*front_table(joint, _counts), ""]
    for words in (*(f"warning: {w}" for w in joint.warnings), *_pure(joint), *_knee(joint)):
        lines += wrap(words)
    path = shlex.quote(str(folder))
    lines += [
        "",
        f"ship one:    pareto-profiler deploy {path} {_knee_name(joint)}",
        f"understand:  pareto-profiler explain {path} {_knee_name(joint)}",
    ]
    return tame("\n".join(lines))


def _searched(summary: Summary) -> str:
    space, header = summary.header.space, summary.header
    failed = sum(isinstance(t.outcome, Failure) for t in summary.failures)
    return (
        f"{header.runtime or 'a table'}: {', '.join(space.backends)}; {progress_of(summary)} "
        f"assignments measured in {summary.trials} processes"
        + (f", {failed} of them failed" if failed else "")
    )


def _counts(row: Row, width: int) -> str:
    del width
    return counts_of(row.header.space, row.estimate.assignment)


def _pure(joint: Joint) -> list[str]:
    """What each single backend does, and whether that is on the front."""
    names = {row.name: handle(i) for i, row in enumerate(joint.front)}
    found = []
    for runtime, run in joint.runs.items():
        space = run.header.space
        pure = [*dict.fromkeys((space.default, *space.uniforms()))]
        for row in run.measured:
            if row.estimate.assignment in pure:
                place = names.get(f"{runtime}:{row.id}")
                figures = " ".join(_figure(row, o) for o in joint.objectives)
                where = counts_of(space, row.estimate.assignment)
                found.append(f"{where} on {runtime} {place or figures}")
    return [f"Uniform assignments: {'; '.join(found)}"] if found else []


def _figure(row: Row, o: Objective) -> str:
    value = row.values[o.name]
    return f"{value:.{decimals_of([value], o)}f} {o.shown_unit}"


def _knee(joint: Joint) -> list[str]:
    if len(joint.front) < 3:
        return []
    row = Selection.of(joint, Goal()).row
    base = joint.baseline
    untold = {n for r in (row, base) if r and r.estimate.is_contended for n in r.untold}
    changes = [
        f"{o.name} no verdict"
        if o.name in untold
        else f"{o.name} {row.values[o.name] / base.values[o.name] - 1:+.0%}"
        for o in joint.objectives
        if base is not None and base.values[o.name]
    ]
    against = f", {' and '.join(changes)} against the baseline" if changes else ""
    return [f"The knee is {_knee_name(joint)}{against}."]


def _knee_name(joint: Joint) -> str:
    row = Selection.of(joint, Goal()).row
    places = (i for i, other in enumerate(joint.front) if other.name == row.name)
    place = next(places, None)
    return row.name if place is None else handle(place)
