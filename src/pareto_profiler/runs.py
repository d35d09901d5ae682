"""Runs in Python: open one, choose points of it, compare, explain, report and ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from pareto_profiler.core.measurement import ALIASES, Measurement, objectives_of
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import InputError, said_in_python
from pareto_profiler.files import write_whole
from pareto_profiler.jobs import shortened
from pareto_profiler.report.compare import Comparison
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.naming import handle, short_id
from pareto_profiler.report.selection import Goal, Limit, Selection, check_objective
from pareto_profiler.report.summary import Judged, Row, Summary
from pareto_profiler.runtimes import FUNCTION
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.shipping import Shipment
from pareto_profiler.storage.opening import open_recording, open_runs, runs_in
from pareto_profiler.verification import Verification

if TYPE_CHECKING:
    from pareto_profiler.samplers.structured.explanation import Explanation


@dataclass(frozen=True, slots=True)
class Deployed:
    """What was written of a run.

    Attributes:
        path: File or folder.
        verified: What came of running it, for each assignment; empty where it was not run.
    """

    path: Path
    verified: Sequence[Verification]


@dataclass(frozen=True, slots=True, repr=False)
class Point:
    """An assignment of a run, with what is known of it.

    Attributes:
        path: Of the run; None where that is kept in memory only.
        recording: Of the run of its runtime.
        row: Everything that is known of it.
    """

    path: Path | None
    recording: Recording
    row: Row

    def __repr__(self) -> str:
        objectives = objectives_of(self.row.header.objectives)
        figures = [f"{o.name} {self.values[o.name]:.5g} {o.shown_unit}" for o in objectives]
        disturbed = "; disturbed by other work" if self.row.estimate.is_contended else ""
        return f"<Point {self.row.name}: {', '.join(figures)}{disturbed}>"

    @property
    def id(self) -> int:
        """Its number in the space of its runtime."""
        return self.row.id

    @property
    def values(self) -> Mapping[str, float]:
        """Objective → figure, in the unit that it is shown in: ms, KiB."""
        return self.row.values

    @property
    def choices(self) -> dict[str, str]:
        """Operation or setting → what was chosen for it."""
        pairs = zip(self.row.header.space.variables, self.row.estimate.assignment, strict=True)
        return {v.name: choice for v, choice in pairs}

    @property
    def configuration(self) -> str:
        """What realises it, in the words of its runtime."""
        return self.row.configuration

    def deploy(
        self,
        to: str | Path,
        *,
        format: str = "",  # noqa: A002 - as the command's option
        is_to_run: bool | None = None,
    ) -> Deployed:
        """Write it in a form that ships; see :func:`deploy`."""
        if self.path is None:
            raise InputError("the run is kept in memory only: search with output=…")
        return deploy(self.path, self.row.name, to, format=format, is_to_run=is_to_run)

    def explain(self) -> Explanation:
        """What each choice saves, and what it costs, by the model of the structured sampler.

        Raises:
            InputError: The baseline was not measured.
        """
        from pareto_profiler.samplers.structured.explanation import explanation_of
        from pareto_profiler.simplifying import tolerances

        summary, assignment = Summary.of(self.recording), self.row.estimate.assignment
        problem = problem_of(self.recording.header, summary.objectives)
        tolerated = tolerances(summary, assignment)
        found = explanation_of(problem, self.recording.trials, assignment, tolerated)
        if found is None:
            raise InputError("the baseline was not measured: there is nothing to explain by")
        return found


@dataclass(frozen=True, repr=False)
class Run:
    """A run: what was searched, every trial, and what they say.

    Attributes:
        path: Folder or file that it was read from; None where it is kept in memory only.
        recording: Header, trials and placements.
    """

    path: Path | None
    recording: Recording

    def __repr__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return f"<Run of {self.recording.header.model_name}: {len(self.trials)} trials{where}>"

    @cached_property
    def summary(self) -> Summary:
        """Everything that is said of the run."""
        return Summary.of(self.recording)

    @property
    def warnings(self) -> Sequence[str]:
        """What keeps its figures from being trusted, in words; empty where nothing does."""
        return self.summary.warnings

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, in order."""
        return self.recording.trials

    @property
    def front(self) -> Sequence[Point]:
        """The points on the front, by increasing first objective."""
        return [Point(self.path, self.recording, row) for row in self.summary.front]

    def best(
        self,
        *,
        minimise: str = "",
        is_knee: bool = False,
        weights: Mapping[str, float] | None = None,
        **limits: str | float,
    ) -> Point:
        """The best point within limits, as :func:`select` takes them.

        Raises:
            InputError: An objective is not the run's, a limit is none, or nothing keeps the limits.

        Examples:
            >>> import pareto_profiler as pp
            >>> run = pp.open("examples/tables/mobilenet_v1_025_128-by_name-emulated_board.parquet")
            >>> run.best(max_rss="1.2x baseline").id
            4
        """
        chosen = select(self, minimise=minimise, is_knee=is_knee, weights=weights, **limits)
        return Point(self.path, self.recording, chosen.row)

    def compare(self, after: Run | str | Path, *, is_relative: bool = False) -> Comparison:
        """Whether the front moved from this run to another one; see :func:`compare`."""
        return compare(self, after, is_relative=is_relative)

    def report(self, to: str | Path) -> Path:
        """Write the page of the run.

        Raises:
            InputError: It cannot be written there.
        """
        return _report(self.summary, {"": self.recording}, self.path, to)

    def rows(self) -> list[dict[str, object]]:
        """Every trial flat: choices, figures in seconds and bytes, or why there are none.

        ``point.values`` has them in ms and KiB, as they are shown.

        Examples:
            ``pandas.DataFrame(run.rows())``, or

            >>> import pareto_profiler as pp
            >>> run = pp.open("examples/tables/mobilenet_v1_025_128-by_name-emulated_board.parquet")
            >>> sorted(run.rows()[0])[:3]
            ['Conv2D', 'DepthwiseConv2D', 'Reduce']
        """
        return [_flat(trial, self.recording) for trial in self.trials]

    def _repr_html_(self) -> str:
        return _html(self.summary)


@dataclass(frozen=True, repr=False)
class JointRun:
    """The runs of several runtimes on one model, and their joint front.

    Attributes:
        path: Folder with a run of each.
        runs: Runtime → its run, the one of the baseline first.
    """

    path: Path
    runs: Mapping[str, Run]

    def __repr__(self) -> str:
        parts = [f"{len(run.trials)} trials of {name}" for name, run in self.runs.items()]
        return f"<JointRun: {', '.join(parts)} in {self.path}>"

    @cached_property
    def summary(self) -> Joint:
        """What they say together."""
        return Joint.of({name: run.recording for name, run in self.runs.items()})

    @property
    def front(self) -> Sequence[Point]:
        """The points on the joint front, by increasing first objective."""
        return [self._point(row) for row in self.summary.front]

    def best(
        self,
        *,
        minimise: str = "",
        is_knee: bool = False,
        weights: Mapping[str, float] | None = None,
        **limits: str | float,
    ) -> Point:
        """The best point within limits, of whichever runtime; see :meth:`Run.best`."""
        chosen = select(self, minimise=minimise, is_knee=is_knee, weights=weights, **limits)
        return self._point(chosen.row)

    def report(self, to: str | Path) -> Path:
        """Write the page of all runs together; see :meth:`Run.report`."""
        recordings = {name: run.recording for name, run in self.runs.items()}
        return _report(self.summary, recordings, self.path, to)

    def _point(self, row: Row) -> Point:
        return Point(self.path, self.runs[row.runtime].recording, row)

    def _repr_html_(self) -> str:
        return _html(self.summary)


def open(path: str | Path) -> Run | JointRun:  # noqa: A001 - called as pareto_profiler.open
    """Open a run: its folder, its journal, a packed or CSV table, or a dump of ONE's tools.

    The folder of a search over several runtimes gives a :class:`JointRun`.

    Raises:
        InputError, StoreError: It is none of these, damaged, or empty.
    """
    path = Path(path)
    if paths := runs_in(path):
        recordings = open_runs(path)
        return JointRun(path, {name: Run(paths[name], r) for name, r in recordings.items()})
    return Run(path, open_recording(path))


@said_in_python
def select(
    run: Run | JointRun | str | Path,
    *,
    minimise: str = "",
    is_knee: bool = False,
    weights: Mapping[str, float] | None = None,
    **limits: str | float,
) -> Selection:
    """Select one assignment of a run, and say how surely.

    Args:
        run: Which, or where it is.
        minimise: The smallest of this objective; empty for the first that has no limit.
        is_knee: Where the front bends most, instead.
        weights: Objective → how much it counts, instead.
        limits: Objective → what it may be at most, such as ``max_rss="100MB"``; a number is in the
            unit that the objective is shown in.

    Raises:
        InputError: An objective is not the run's, a limit is none, or nothing keeps the limits.

    Examples:
        >>> import pareto_profiler as pp
        >>> run = pp.open("examples/tables/mobilenet_v1_025_128-by_name-emulated_board.parquet")
        >>> pp.select(run, max_rss="1.2x baseline").row.id
        4
    """
    summary = _run_of(run).summary
    units = {o.name: o.shown_unit for o in summary.objectives}
    asked = [
        (
            name,
            f"{value:f}{units.get(ALIASES.get(name, name), '')}"
            if isinstance(value, int | float)
            else value,
        )
        for name, value in limits.items()
    ]
    bounds = Limit.several(asked, summary)
    if is_knee:
        return Selection.of(summary, Goal(bounds))
    minimise = ALIASES.get(minimise, minimise)
    weights = {ALIASES.get(name, name): weight for name, weight in (weights or {}).items()}
    for name in (*filter(None, [minimise]), *weights):
        check_objective(name, units)
    if minimise:
        weights = {minimise: 1.0}
    if weights:
        return Selection.of(summary, Goal(bounds, weights))
    return Selection.of(summary, Goal.smallest(summary.objectives, bounds))


def compare(
    before: Run | str | Path, after: Run | str | Path, *, is_relative: bool = False
) -> Comparison:
    """Compare two runs of one space: did the front move?

    Args:
        before: The one, or where it is.
        after: The other, the same.
        is_relative: Whether figures are divided by each run's own baseline.

    Raises:
        InputError: They cannot be compared.
    """
    recordings = []
    for run in map(_run_of, (before, after)):
        if isinstance(run, JointRun):
            raise InputError(f"{run.path}: holds runs of several runtimes; name one of them")
        recordings.append(run.recording)
    return Comparison.of(*recordings, is_relative=is_relative)


@said_in_python
def deploy(
    run: Run | JointRun | str | Path,
    name: str | int,
    to: str | Path,
    *,
    format: str = "",  # noqa: A002 - as the command's option
    is_to_run: bool | None = None,
) -> Deployed:
    """Write an assignment of a run in a form that ships, and run it on the run's target.

    Args:
        run: Which, or where it is; also a folder of the runs of several runtimes.
        name: An id of it, or ``fastest``, ``smallest``, ``knee``, ``baseline``, ``uniform``.
        to: File or folder.
        format: One of the runtime's; empty for its first.
        is_to_run: Whether it is run, in turns with the same under the driver; None where it was a
            runtime that ran it, not a function.

    Raises:
        InputError, ModelError: There is no such assignment or form, or the model is not there.
        TargetError: It does not run, or the target is unusable.
    """
    path = Path(run) if isinstance(run, str | Path) else run.path
    if path is None:
        raise InputError("the run is kept in memory only: search with output=…")
    if is_to_run is None:
        found = _run_of(run)
        is_to_run = isinstance(found, JointRun) or found.recording.header.runtime != FUNCTION
    shipment = Shipment.of(path, str(name), format, Path(to), is_to_run=is_to_run)
    shipment.write()
    return Deployed(shipment.to, shipment.verify() if is_to_run else ())


def _run_of(run: Run | JointRun | str | Path) -> Run | JointRun:
    return open(run) if isinstance(run, str | Path) else run


def _flat(trial: Trial, recording: Recording) -> dict[str, object]:
    """A trial in one row."""
    outcome, space = trial.outcome, recording.header.space
    row: dict[str, object] = {
        "number": trial.number,
        "source": trial.source,
        "id": str(space.id_of(trial.assignment)),
        **dict(zip((v.name for v in space.variables), trial.assignment, strict=True)),
    }
    if isinstance(outcome, Measurement):
        known = objectives_of(recording.header.objectives)
        return row | {o.name: outcome.value(o) for o in known if outcome.has(o)}
    if isinstance(outcome, Failure):
        return row | {"failure": str(outcome.kind), "message": outcome.message}
    return row


def _report(
    judged: Judged, recordings: Mapping[str, Recording], path: Path | None, to: str | Path
) -> Path:
    from pareto_profiler.report.beliefs import told_page_of

    write_whole(Path(to), told_page_of(judged, recordings, str(path or "RUN")))
    return Path(to)


def _html(summary: Judged) -> str:
    """The front as a table, for notebooks."""
    objectives = summary.objectives
    heads = ["", *(f"{o.name}, {o.shown_unit}" for o in objectives), "id", "configuration"]
    rows = [
        [
            handle(i),
            *(f"{row.values[o.name]:,.4g}" for o in objectives),
            f"{row.runtime}:{short_id(row.id)}" if row.runtime else short_id(row.id),
            shortened(row.configuration),
        ]
        for i, row in enumerate(summary.front)
    ]
    cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    head = "".join(f"<th>{escape(word)}</th>" for word in heads)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
