"""Fronts on stdout, of a run and of several together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pareto_profiler.cli.output import print_json
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.joint_terminal import joint_text
from pareto_profiler.report.selection import Limit
from pareto_profiler.report.summary import Summary
from pareto_profiler.report.terminal import summary_text


def print_summary(
    summary: Summary, path: Path | None = None, limits: Sequence[Limit] = (), *, as_json: bool
) -> None:
    """Print a summary in either form, with what to do next where the run is kept."""
    if as_json:
        print_json(summary.to_json())
        return
    print(summary_text(summary, path, limits))


def print_joint(joint: Joint, folder: Path, *, as_json: bool) -> None:
    """Print the joint front of several runtimes in either form."""
    if as_json:
        print_json(joint.to_json())
        return
    print(joint_text(joint, folder))
