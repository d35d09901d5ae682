"""The joint front of several runtimes as text, on one screen of 80 columns."""

from __future__ import annotations

import shlex
from pathlib import Path

from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.membership import Verdict
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import tame
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.naming import counts_of, handle
from pareto_profiler.report.selection import knee_of, offered
from pareto_profiler.report.summary import Row, Summary
from pareto_profiler.report.terminal import (
    decimals_of,
    front_legend,
    front_table,
    more_on,
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
    lines += front_table(joint, _counts)
    lines += [more_on(joint)] if joint.undecided else []
    lines.append("")
    warnings = [f"warning: {words}" for words in joint.warnings]
    for words in (*warnings, *_pure(joint), *_knee(joint), *_doubts(joint)):
        lines += wrap(words)
    path = shlex.quote(str(folder))
    lines += [
        "",
        f"ship one:    pareto-profiler deploy {path} {_shipped(joint)}",
        f"understand:  pareto-profiler explain {path} {_shipped(joint)}",
    ]
    if joint.undecided or any(row.place.verdict is not Verdict.ON for row in joint.front):
        names = dict.fromkeys(row.runtime for row in (*joint.front, *joint.undecided))
        runs = (shlex.quote(str(folder / name)) for name in names)
        lines += [f"be surer:    pareto-profiler confirm {run}" for run in runs]
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
    row = knee_of(joint)
    if row is None:
        return []
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
    return [f"The knee is {_shipped(joint)}{against}."]


def _doubts(joint: Joint) -> list[str]:
    """How much of the front is decided, and which search may not be done."""
    if not joint.is_noise_known:
        return []
    sure = sum(row.place.verdict is Verdict.ON for row in joint.front)
    confidence = f"{100 * joint.header.confidence:g} %"
    return [
        f"{sure} of its {len(joint.front)} points are decided with {confidence}.",
        *(
            f"! {name}: {check.words}"
            for name, run in joint.runs.items()
            for check in run.checks
            if check.about == "convergence" and not check.is_good
        ),
    ]


def _shipped(joint: Joint) -> str:
    """What a reader is offered first."""
    row = offered(joint)
    places = (i for i, other in enumerate(joint.front) if other.name == row.name)
    place = next(places, None)
    return row.name if place is None else handle(place)
