"""``pareto-profiler explain``: why an assignment is good, and what of it is needless."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.cli.measure import (
    AddressOption,
    JsonOption,
    TargetsOption,
    choices_again,
    reopened,
)
from pareto_profiler.cli.show import BackendsOfDumpOption, BaselineOption, IdArgument, RunArgument
from pareto_profiler.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from pareto_profiler.core.recording import Recording
    from pareto_profiler.core.space import Assignment
    from pareto_profiler.report.summary import Row, Summary
    from pareto_profiler.samplers.structured.explanation import Choice, Effect, Explanation

_SHOWN = 15
_ROUNDS = 3
_NAMED = 6
_WORKS = 0.5


@dataclass(frozen=True)
class _Tried:
    """A simpler assignment after it was measured against the one to explain.

    Attributes:
        number: Its id.
        changes: Objective → by which fraction it is worse, and where that lies with 95 %; empty
            where it failed.
        words: What comes of it.
        is_good: Whether it can take the place of the other.
    """

    number: int
    changes: dict[str, tuple[float, float, float]]
    words: str
    is_good: bool


@reporting_errors
def explain(
    run: RunArgument,
    name: IdArgument,
    simplify: Annotated[
        bool,
        typer.Option(
            "--simplify",
            help="Measure what it could do without on the run's target, and add that to the run.",
        ),
    ] = False,
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="With --simplify: how often each is measured.")
    ] = _ROUNDS,
    everything: Annotated[
        bool, typer.Option("--all", help=f"Show all choices, not the {_SHOWN} that change most.")
    ] = False,
    backends: BackendsOfDumpOption = "",
    baseline: BaselineOption = "",
    model: Annotated[
        Path | None,
        typer.Option(help="With --simplify: the model, where it is no longer where it was."),
    ] = None,
    address: AddressOption = "",
    targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain why an assignment is as good as it is: what each choice saves, and what it costs.

    By the model that `structured` fits to all trials: time of each operation, hand-overs, backends
    pulled in. And what it could do without: choices that change nothing beyond noise, put back to
    the baseline's. `--simplify` measures whether that stays on the front.
    """
    from pareto_profiler.cli.joint import within
    from pareto_profiler.cli.output import console, note, print_json
    from pareto_profiler.cli.report import leave_report
    from pareto_profiler.cli.show import open_recording
    from pareto_profiler.files import is_folder
    from pareto_profiler.report.summary import Summary
    from pareto_profiler.runtimes.problem import problem_of
    from pareto_profiler.samplers.structured.explanation import explanation_of

    run, name = within(run, name)
    recording = reopened(run) if simplify else open_recording(run, backends, baseline)
    summary = Summary.of(recording)
    header = recording.header
    assignment = _assignment_of(summary, name)
    problem = problem_of(header, summary.objectives)
    found = explanation_of(problem, recording.trials, assignment, _tolerances(summary, assignment))
    if found is None:
        raise InputError(f"{run}: the baseline was not measured: there is nothing to explain by")
    if not as_json:
        out = console()
        for part in _parts(run, summary, assignment, found, everything=everything):
            out.print(part)
    tried: list[_Tried] = []
    if simplify and not found.simplifications:
        note("nothing to simplify: no choice is known not to matter")
    elif simplify:
        simpler = [s.assignment for s in found.simplifications]
        recording, tried = _try(run, assignment, simpler, rounds, model, address, targets)
    if as_json:
        print_json(_to_json(summary, assignment, found, tried))
    else:
        _print_tried(run, summary, assignment, tried)
    if tried:
        folder = run if is_folder(run) else run.parent
        leave_report(recording, Summary.of(recording), folder)


def _to_json(
    summary: Summary, assignment: Assignment, found: Explanation, tried: Sequence[_Tried]
) -> dict[str, Any]:
    space = summary.header.space
    return {
        "id": str(space.id_of(assignment)),
        "objectives": {o.name: o.shown_unit for o in summary.objectives},
        **found.to_json(),
        "simplification_ids": [str(space.id_of(s.assignment)) for s in found.simplifications],
        "tried": [
            {
                "id": str(t.number),
                "changes": {name: list(change) for name, change in t.changes.items()},
                "is_good": t.is_good,
                "words": t.words,
            }
            for t in tried
        ],
    }


def _print_tried(
    run: Path, summary: Summary, assignment: Assignment, tried: Sequence[_Tried]
) -> None:
    for one in tried:
        print(f"id {one.number}: {one.words}")
    best = next((t for t in tried if t.is_good), None)
    if best is not None:
        print(f"the simplest that is as good is id {best.number}; to ship it: ", end="")
        print(f"pareto-profiler deploy {shlex.quote(str(run))} {best.number}")
    elif tried:
        print(f"none of them is as good: id {summary.header.space.id_of(assignment)} stays")


def _assignment_of(summary: Summary, name: str) -> Assignment:
    from pareto_profiler.report.naming import id_of

    space, number = summary.header.space, id_of(summary, name)
    assignment = space.assignment_of(number)
    if not space.is_feasible(assignment):
        raise InputError(f"id {name}: is not feasible: a backend cannot run what it asks of it")
    return assignment


def _tolerances(summary: Summary, assignment: Assignment) -> tuple[float, ...]:
    """For each objective by which fraction it may get worse: the margin, or the noise."""
    row = _row_of(summary, assignment)
    found = []
    for o in summary.objectives:
        ends = row.intervals.get(o.name) if row else None
        value = row.values[o.name] if row else 0.0
        width = (ends[1] - ends[0]) / 2 / value if ends and value else 0.0
        found.append(max(summary.header.margin, width))
    return tuple(found)


def _untold(summary: Summary) -> set[str]:
    """Objectives of which nothing can be explained: those of the baseline tell nothing."""
    return set(summary.baseline.untold) if summary.baseline else set()


def _row_of(summary: Summary, assignment: Assignment) -> Row | None:
    return next((r for r in summary.measured if r.estimate.assignment == assignment), None)


# What is said.


def _parts(
    run: Path,
    summary: Summary,
    assignment: Assignment,
    found: Explanation,
    *,
    everything: bool,
) -> list[RenderableType]:
    from rich.text import Text

    parts: list[RenderableType] = [Text(_headline(summary, assignment, found))]
    if not found.choices:
        parts.append(Text("It is the baseline: there is nothing to explain."))
        return parts
    parts += [
        _differences(summary, assignment, found),
        _choices(summary, found, everything=everything),
    ]
    more = len(found.choices) - _SHOWN
    is_cut = more > 0 and not everything
    parts.append(Text(f"and {more} more that change less (--all)\n" if is_cut else ""))
    parts.append(Text(_simplifications(run, summary, assignment, found)))
    return parts


def _headline(summary: Summary, assignment: Assignment, found: Explanation) -> str:
    row = _row_of(summary, assignment)
    number = summary.header.space.id_of(assignment)
    lines = []
    if row is None:
        lines.append(f"id {number} of {summary.header.model_name}: not measured, as predicted")
    else:
        of = {name: f" ({x:.1%} of the baseline)" for name, x in row.against_baseline.items()}
        figures = [
            f"{o.name} {_plain(row.values[o.name])} {o.shown_unit}"
            + (", no verdict" if o.name in row.untold else of.get(o.name, ""))
            for o in summary.objectives
        ]
        place = "on the front" if any(r.id == number for r in summary.front) else "not on the front"
        lines.append(f"id {number} of {summary.header.model_name}: {', '.join(figures)}; {place}")
    untold = _untold(summary)
    if untold:
        lines.append(f"no verdict on {', '.join(sorted(untold))}: the baseline's cannot be told")
    errors = ", ".join(
        f"{s.objective} {f'to {s.error:.2%}' if s.error < 1 else 'not at all'}"
        for s in found.skills
        if s.objective not in untold
    )
    lines.append(f"by a model that predicts {errors} (each measurement from all others)\n")
    return "\n".join(lines)


def _differences(summary: Summary, assignment: Assignment, found: Explanation) -> RenderableType:
    from rich.table import Table

    table = Table("", box=None, title="The difference from the baseline", title_justify="left")
    for o in summary.objectives:
        table.add_column(f"{o.name} {o.shown_unit}", justify="right")
    for part in found.parts:
        table.add_row(part.name, *_cells(part.effect, summary))
    table.add_section()
    table.add_row("in all, by the model", *_cells(found.whole, summary))
    measured = _row_of(summary, assignment)
    if measured is not None and summary.baseline is not None:
        base, untold = summary.baseline.values, {*measured.untold, *summary.baseline.untold}
        differences = [measured.values[o.name] - base[o.name] for o in summary.objectives]
        told = [o.name not in untold for o in summary.objectives]
        beyond = [d - m for d, m in zip(differences, found.whole.values, strict=True)]
        for name, values in (("beyond the model", beyond), ("as measured", differences)):
            cells = [
                _signed(value) if is_told else "–"
                for value, is_told in zip(values, told, strict=True)
            ]
            table.add_row(name, *cells)
    table.caption = "±: standard deviation\n"
    return table


def _choices(summary: Summary, found: Explanation, *, everything: bool) -> RenderableType:
    from rich.table import Table

    shown = found.choices if everything else found.choices[:_SHOWN]
    objectives, untold = summary.objectives, _untold(summary)
    telling = [
        k
        for k, o in enumerate(objectives)
        if o.name not in untold and any(_is_telling(c, k) for c in found.choices)
    ]
    table = Table(
        "choice",
        "",
        box=None,
        title="What each choice changes, all others as they are",
        title_justify="left",
    )
    for k, o in enumerate(objectives):
        table.add_column(f"{o.name} {o.shown_unit}", justify="right")
        if k in telling:
            table.add_column("of it\nhand-overs", justify="right")
    table.add_column("")
    for choice in shown:
        cells = []
        for k, cell in enumerate(_cells(choice.effect, summary)):
            cells.append(cell)
            if k in telling:
                share = choice.through["hand-overs"][k]
                cells.append(_signed(share) if _is_telling(choice, k) else "")
        needed = "" if choice.works > _WORKS else "without it, it likely fails"
        table.add_row(choice.variable, f"{choice.default} → {choice.choice}", *cells, needed)
    return table


def _is_telling(choice: Choice, k: int) -> bool:
    """Whether what hand-overs change can be told from nothing."""
    return abs(choice.through["hand-overs"][k]) > max(
        choice.effect.deviations[k], 0.02 * abs(choice.effect.values[k]), 1e-9
    )


def _cells(effect: Effect, summary: Summary) -> list[str]:
    baseline, untold = summary.baseline, _untold(summary)
    cells = []
    for o, value, deviation in zip(
        summary.objectives, effect.values, effect.deviations, strict=True
    ):
        if o.name in untold:
            cells.append("–")
            continue
        # What is less than a ten-thousandth of the baseline is not worth digits.
        least = 1e-4 * baseline.values[o.name] if baseline else 0.0
        if abs(value) < least and deviation < least:
            cells.append("0")
        else:
            cells.append(_signed(value) + (f" ± {_plain(deviation, 2)}" if deviation else ""))
    return cells


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '-'}{_plain(abs(value), 3)}"


def _plain(value: float, digits: int = 4) -> str:
    """With so many digits that tell, no power of ten."""
    if not math.isfinite(value):
        return "?"
    decimals = max(0, digits - 1 - math.floor(math.log10(value))) if value else 0
    return f"{value:,.{min(6, decimals)}f}"


def _simplifications(
    run: Path, summary: Summary, assignment: Assignment, found: Explanation
) -> str:
    if not found.simplifications:
        return (
            "None of these is known not to matter: put back to the baseline's, each may cost more "
            "than noise, or fail.\n"
        )
    from pareto_profiler.store import is_journal

    space = summary.header.space
    lines = ["What it could do without: choices put back to the baseline's"]
    for simpler in found.simplifications:
        names = ", ".join(simpler.put_back[:_NAMED])
        more = len(simpler.put_back) - _NAMED
        names += f" and {more} more" if more > 0 else ""
        cells = _cells(simpler.effect, summary)
        changes = ", ".join(
            f"{o.name} {cell} {o.shown_unit}"
            for o, cell in zip(summary.objectives, cells, strict=True)
            if o.name not in _untold(summary)
        )
        lines.append(
            f"  id {space.id_of(simpler.assignment)}: {len(simpler.put_back)} of "
            f"{len(found.choices)} ({names}): {changes}, predicted; works with {simpler.works:.0%}"
        )
    if is_journal(run) and "model" in summary.header.origin:
        number = space.id_of(assignment)
        where = shlex.quote(str(run))
        lines.append(f"To measure that: pareto-profiler explain {where} {number} --simplify")
    return "\n".join(lines) + "\n"


# What is measured.


def _try(
    run: Path,
    assignment: Assignment,
    simpler: Sequence[Assignment],
    rounds: int,
    model: Path | None,
    address: str,
    targets: Path | None,
) -> tuple[Recording, list[_Tried]]:
    from pareto_profiler.cli.assembly import prepare
    from pareto_profiler.cli.output import note
    from pareto_profiler.core.trial import EXPLAIN
    from pareto_profiler.files import is_folder
    from pareto_profiler.report.places import front_of
    from pareto_profiler.report.summary import Summary
    from pareto_profiler.search import measure_in_turns, verify
    from pareto_profiler.store import JOURNAL, Store

    recording = reopened(run)
    space = recording.header.space
    job = prepare(choices_again(recording, model, address, targets), space)
    folder = run if is_folder(run) else run.parent
    try:
        store = Store(run / JOURNAL if is_folder(run) else run, job.header)
        runner = job.engine(folder)
        before = len(store.trials)
        try:
            every = [assignment, *simpler]
            trials = measure_in_turns(
                runner, store, space.default, every, rounds, source=EXPLAIN, seed=job.header.seed
            )
            whole = rounds * len({space.default, *every})
            for made, _ in enumerate(trials, 1):
                note(f"{made} of {whole} measured")
            for _ in verify(
                runner,
                store,
                store.placements,
                lambda placed: front_of(replace(store.recording, placements=placed)),
            ):
                pass
            recording = store.recording
        finally:
            runner.close()
            store.close()
    finally:
        job.shell.close()
    summary = Summary.of(recording)
    return recording, [_judged(summary, assignment, other, before) for other in simpler]


def _judged(summary: Summary, assignment: Assignment, other: Assignment, since: int) -> _Tried:
    """What came of measuring a simpler assignment, in trials from that number on."""
    from pareto_profiler.core.estimate import Figure
    from pareto_profiler.core.membership import LIKELY, Verdict

    number = summary.header.space.id_of(other)
    mine, theirs = _row_of(summary, assignment), _row_of(summary, other)
    failures = [t.outcome for t in summary.failures if t.assignment == other and t.number >= since]
    if failures:
        message = getattr(failures[-1], "message", "")
        return _Tried(number, {}, f"fails: {message}", is_good=False)
    if mine is None or theirs is None:
        words = "the assignment itself" if mine is None else "it"
        return _Tried(number, {}, f"{words} ran elsewhere than asked", is_good=False)
    if not (mine.estimate.is_told and theirs.estimate.is_told):
        return _Tried(number, {}, "no verdict: other work disturbed it", is_good=False)
    changes, worse = {}, []
    pairs = zip(
        summary.objectives,
        mine.estimate.figures,
        theirs.estimate.figures,
        _tolerances(summary, assignment),
        strict=True,
    )
    for o, a, b, tolerance in pairs:
        ratio = Figure(
            b.value / max(a.value, 1e-300),
            math.hypot(a.deviation, b.deviation),
            min(a.freedom, b.freedom),
        )
        ends = ratio.interval()
        if ends is None:
            return _Tried(number, {}, f"no verdict: {o.name} scatters too much", is_good=False)
        low, high = ends
        changes[o.name] = (ratio.value - 1, low - 1, high - 1)
        if ratio.value - 1 > tolerance or low - 1 > summary.header.margin:
            worse.append(o.name)
    words = ", ".join(
        f"{name} {change:+.2%} ({low:+.2%} to {high:+.2%})"
        for name, (change, low, high) in changes.items()
    )
    place = theirs.place
    is_near = place.probability >= LIKELY or mine.id in theirs.ties
    if worse:
        words += f": worse in {', '.join(worse)}"
    elif place.verdict is Verdict.OFF or not is_near:
        words += ": as good, but off the front" if place.verdict is Verdict.OFF else ": likely off"
    else:
        sure = "" if place.verdict is Verdict.ON else f", with {place.probability:.0%}"
        words += f": as good, and on the front{sure}"
    is_good = not worse and place.verdict is not Verdict.OFF and is_near
    return _Tried(number, changes, words, is_good=is_good)
