"""``pareto-profiler show``: what a run found, on the screen."""

from __future__ import annotations

from pareto_profiler.cli.fronts import print_joint, print_summary
from pareto_profiler.cli.options import (
    InsteadOption,
    JsonOption,
    JudgingOptions,
    RunArgument,
    TableOptions,
    command,
)
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.quantities import split
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.summary import Summary
from pareto_profiler.storage.opening import open_recording, open_runs, runs_in


@command
def show(
    run: RunArgument,
    judging: JudgingOptions,
    given: TableOptions,
    objectives: InsteadOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the front of a run: a table, a plot where there is room, how far to trust it, failures.

    Works while the search is still running, too.
    """
    wanted = objectives_of(split(objectives)) if objectives else ()
    if runs_in(run) and not given.backends and not given.baseline:
        print_joint(Joint.of(open_runs(run), wanted, **judging.given), run, as_json=as_json)
        return
    recording = open_recording(run, given.names, given.baseline)
    print_summary(Summary.of(recording, wanted, **judging.given), run, as_json=as_json)
