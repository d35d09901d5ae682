"""``pareto-profiler report``: a run as a page to look at, and as a picture for slides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.cli.select import MaxOption, MaxRssOption, MaxTimeOption, asked_limits
from pareto_profiler.cli.show import (
    BackendsOfDumpOption,
    BaselineOption,
    ConfidenceShownOption,
    MarginShownOption,
    RunArgument,
)
from pareto_profiler.errors import InputError

if TYPE_CHECKING:
    from pareto_profiler.core.recording import Recording
    from pareto_profiler.report.summary import Summary
    from pareto_profiler.samplers.structured.beliefs import Beliefs

REPORT = "report.html"
_MOST_LEARNED = 1000


@reporting_errors
def report(
    run: RunArgument,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Page to write.", show_default="report.html in the run's folder, or here"
        ),
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Write the front as a PNG, too.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the front as an SVG, too.")] = None,
    max_time: MaxTimeOption = "",
    max_rss: MaxRssOption = "",
    limit: MaxOption = None,
    objectives: Annotated[
        str, typer.Option(help="Show the front of these instead of the recorded ones.")
    ] = "",
    margin: MarginShownOption = "",
    confidence: ConfidenceShownOption = "",
    backends: BackendsOfDumpOption = "",
    baseline: BaselineOption = "",
) -> None:
    """Write a run as one HTML page that opens anywhere, without a network.

    The front, each assignment on the model's graph, how the search went, what was learned, what
    failed, and how it was made. Limits are drawn as lines. `search` leaves the page in the run's
    folder; this makes it again.
    """
    from pareto_profiler.cli.assembly import confidence_of, fraction_of, split
    from pareto_profiler.cli.output import note, write_file
    from pareto_profiler.cli.select import limits_of
    from pareto_profiler.cli.show import open_recording
    from pareto_profiler.core.measurement import objectives_of
    from pareto_profiler.files import is_folder
    from pareto_profiler.report.page import page_of
    from pareto_profiler.report.picture import picture_of
    from pareto_profiler.report.summary import Summary

    recording = open_recording(run, backends, baseline)
    summary = Summary.of(
        recording,
        objectives_of(split(objectives)) if objectives else (),
        margin=fraction_of(margin) if margin else None,
        confidence=confidence_of(confidence) if confidence else None,
    )
    limits = limits_of(summary, asked_limits(max_time, max_rss, limit))
    for file, picture_format in ((png, "png"), (svg, "svg")):
        if file is not None:
            if not summary.measured:
                raise InputError(f"{run}: nothing was measured: there is nothing to draw")
            write_file(file, picture_of(summary, picture_format, limits))
            note(f"picture: {file}")
    file = to or (run / REPORT if is_folder(run) else Path(REPORT))
    write_file(file, page_of(summary, beliefs_about(recording, summary), limits))
    note(f"report: {file}")


def leave_report(recording: Recording, summary: Summary, folder: Path) -> None:
    """Write the page of a run into its folder."""
    from pareto_profiler.cli.output import note, write_file
    from pareto_profiler.report.page import page_of

    write_file(folder / REPORT, page_of(summary, beliefs_about(recording, summary)))
    note(f"report: {folder / REPORT}")


def beliefs_about(recording: Recording, summary: Summary) -> Beliefs | None:
    """What the structured model makes of a run; None where it can say nothing in a moment."""
    from pareto_profiler.runtimes.problem import problem_of
    from pareto_profiler.samplers.structured.beliefs import beliefs_of

    header = recording.header
    if summary.baseline is None or len(summary.measured) > _MOST_LEARNED:
        return None
    problem = problem_of(header, summary.objectives)
    found = beliefs_of(problem, recording.trials, has_front=False)
    return found and found.without(summary.baseline.untold)
