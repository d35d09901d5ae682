"""``pareto-profiler report``: a run as a page to look at, and as a picture for slides."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping, Sequence
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
from pareto_profiler.report.beliefs import told_page_of
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.picture import picture_of
from pareto_profiler.report.selection import Limit
from pareto_profiler.report.summary import Judged, Row, Summary
from pareto_profiler.shipping import check_no_model
from pareto_profiler.storage.opening import newest_run, open_recording, open_runs, runs_in

REPORT = "report.html"


@command
def report(
    judging: JudgingOptions,
    limits: LimitOptions,
    given: TableOptions,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]…",
            help="Folder of a run or of the runs of several runtimes, a journal, a table, a result "
            "dump of ONE's tools; several are shown on one page.",
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

    What to ship, the front, each assignment on the model's graph, how the search went, what was
    learned, what failed, and how it was made. Limits are drawn as lines. `search` leaves the page
    in the run's folder; this makes it again. Several runs of one model, on several runtimes or
    devices, share one page and one front.
    """
    paths = runs or [newest_run(Path("pareto-runs"))]
    recordings = _recordings(paths, given)
    for recording in recordings.values():
        for written in filter(None, (to, png, svg)):
            check_no_model(written, recording.header)
    chosen = objectives_of(split(objectives)) if objectives else ()
    judged: Summary | Joint
    if "" in recordings:
        judged = Summary.of(recordings[""], chosen, **judging.given)
    else:
        judged = Joint.of(recordings, chosen, **judging.given)
    lines = Limit.several(limits.asked, judged)
    _draw(judged, {"png": png, "svg": svg}, lines)
    whole = paths[0] if len(paths) == 1 else Path()
    file = to or (whole / REPORT if is_folder(whole) else Path(REPORT))
    names = dict(zip(recordings, paths, strict=False))

    def shipped(row: Row, name: str) -> Sequence[str]:
        if len(paths) == 1:
            return str(paths[0]), name
        return str(names[row.runtime]), str(row.id)

    write_file(file, told_page_of(judged, recordings, shipped, lines))
    note(f"report: {file}")
    if is_to_open and not webbrowser.open(file.resolve().as_uri()):
        raise InputError(f"{file}: there is no browser here to open it")


def _draw(
    judged: Summary | Joint, wanted: Mapping[str, Path | None], limits: Sequence[Limit]
) -> None:
    """Write the pictures that are wanted."""
    for picture_format, file in wanted.items():
        if file is None:
            continue
        if not isinstance(judged, Summary):
            raise InputError(f"--{picture_format}: is of one run, name a single one")
        if not judged.measured:
            raise InputError("nothing was measured: there is nothing to draw")
        write_file(file, picture_of(judged, picture_format, limits))
        note(f"picture: {file}")


def _recordings(paths: Sequence[Path], given: TableOptions) -> dict[str, Recording]:
    """The runs to show by their names; one alone has none."""
    if len(paths) > 1:
        recordings = {}
        for path in paths:
            name = path.resolve().name
            name = name if name not in recordings else str(path)
            recordings[name] = open_recording(path, given.names, given.baseline)
        return recordings
    if runs_in(paths[0]):
        return open_runs(paths[0])
    return {"": open_recording(paths[0], given.names, given.baseline)}


def leave_report(
    judged: Judged,
    recordings: Mapping[str, Recording],
    folder: Path,
    limits: Sequence[Limit] = (),
) -> None:
    """Write the page of a run, or of several together, into its folder."""
    write_file(folder / REPORT, told_page_of(judged, recordings, str(folder), limits))
    note(f"report: {folder / REPORT}")
