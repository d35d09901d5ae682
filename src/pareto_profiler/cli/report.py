"""``pareto-profiler report``: a run as a page to look at, and as a picture for slides."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import (
    InsteadOption,
    JudgingOptions,
    LimitOptions,
    TableOptions,
    command,
)
from pareto_profiler.cli.output import write_file
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.recording import Recording
from pareto_profiler.errors import InputError
from pareto_profiler.files import is_folder
from pareto_profiler.quantities import split
from pareto_profiler.report.beliefs import beliefs_about
from pareto_profiler.report.page import page_of
from pareto_profiler.report.picture import picture_of
from pareto_profiler.report.selection import Limit
from pareto_profiler.report.summary import Summary
from pareto_profiler.shipping import check_no_model
from pareto_profiler.storage.opening import newest_run, open_recording

REPORT = "report.html"


@command
def report(
    judging: JudgingOptions,
    limits: LimitOptions,
    given: TableOptions,
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="Folder of a run, its journal, or a result dump of ONE's tools.",
            show_default="the newest in pareto-runs",
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Page to write.",
            show_default="report.html in the run's folder, or here",
        ),
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Write the front as a PNG, too.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the front as an SVG, too.")] = None,
    objectives: InsteadOption = "",
    is_to_open: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a run as one HTML page that opens anywhere, without a network.

    The front, each assignment on the model's graph, how the search went, what was learned, what
    failed, and how it was made. Limits are drawn as lines. `search` leaves the page in the run's
    folder; this makes it again.
    """
    run = run or newest_run(Path("pareto-runs"))
    recording = open_recording(run, given.names, given.baseline)
    for written in filter(None, (to, png, svg)):
        check_no_model(written, recording.header)
    summary = Summary.of(
        recording,
        objectives_of(split(objectives)) if objectives else (),
        **judging.given,
    )
    lines = Limit.several(limits.asked, summary)
    for file, picture_format in ((png, "png"), (svg, "svg")):
        if file is not None:
            if not summary.measured:
                raise InputError(f"{run}: nothing was measured: there is nothing to draw")
            write_file(file, picture_of(summary, picture_format, lines))
            note(f"picture: {file}")
    file = to or (run / REPORT if is_folder(run) else Path(REPORT))
    write_file(file, page_of(summary, beliefs_about(recording, summary), lines, str(run)))
    note(f"report: {file}")
    if is_to_open and not webbrowser.open(file.resolve().as_uri()):
        raise InputError(f"{file}: there is no browser here to open it")


def leave_report(recording: Recording, summary: Summary, folder: Path) -> None:
    """Write the page of a run into its folder."""
    write_file(
        folder / REPORT, page_of(summary, beliefs_about(recording, summary), run=str(folder))
    )
    note(f"report: {folder / REPORT}")
