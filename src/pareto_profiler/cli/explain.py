"""``pareto-profiler explain``: why an assignment is good, and what of it is needless."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import (
    IdArgument,
    JsonOption,
    RunArgument,
    TableOptions,
    WhereNow,
    command,
)
from pareto_profiler.cli.output import print_json, say, show
from pareto_profiler.cli.report import leave_report
from pareto_profiler.core.space import Assignment
from pareto_profiler.errors import InputError
from pareto_profiler.exploration import opened
from pareto_profiler.files import is_folder
from pareto_profiler.jobs import choices_of, prepare
from pareto_profiler.report.explained import SHOWN, explained
from pareto_profiler.report.naming import id_of, point_of
from pareto_profiler.report.summary import Summary
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.samplers.structured.explanation import Explanation, explanation_of
from pareto_profiler.simplifying import Tried, tolerances, try_simpler
from pareto_profiler.storage.opening import open_measurable, open_recording


@command
def explain(
    run: RunArgument,
    name: IdArgument,
    given: TableOptions,
    now: WhereNow,
    simplify: Annotated[
        bool,
        typer.Option(
            "--simplify",
            help="Measure what it could do without on the run's target, and add that to the run.",
        ),
    ] = False,
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="With --simplify: how often each is measured.")
    ] = 3,
    everything: Annotated[
        bool, typer.Option("--all", help=f"Show all choices, not the {SHOWN} that change most.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain why an assignment is as good as it is: what each choice saves, and what it costs.

    It splits the difference from the baseline into operations, hand-overs and the cost of each
    backend in use, with the model that `structured` fits to all trials. Then it lists choices that
    change nothing beyond noise and could go back to the baseline's backend; `--simplify` measures
    whether the assignment stays on the front without them.
    """
    asked = run
    run, name = point_of(run, name)
    if run != asked:
        note(f"measured in {run}: letters and places below are those of its own front")
    recording = (
        open_measurable(run) if simplify else open_recording(run, given.names, given.baseline)
    )
    summary = Summary.of(recording)
    header = recording.header
    assignment = _assignment_of(summary, name)
    problem = problem_of(header, summary.objectives)
    found = explanation_of(problem, recording.trials, assignment, tolerances(summary, assignment))
    if found is None:
        raise InputError(f"{run}: the baseline was not measured: there is nothing to explain by")
    if not as_json:
        for part in explained(run, summary, assignment, found, everything=everything):
            say(part) if isinstance(part, str) else show(part)
        for fault in problem.faults(assignment):
            say(f"computes wrongly, as far as is known: {fault.words}")
    tried: list[Tried] = []
    if simplify and not found.simplifications:
        note("nothing to simplify: no choice is known not to matter")
    elif simplify:
        simpler = [s.assignment for s in found.simplifications]
        choices = choices_of(header, now.model, now.address, now.targets)
        folder, journal = (run, None) if is_folder(run) else (run.parent, run)
        with prepare(choices, header.space) as job, opened(job, folder, journal) as exploration:
            tried = try_simpler(exploration, assignment, simpler, rounds, _say_progress)
            recording = exploration.recording
    if as_json:
        faults = [asdict(fault) for fault in problem.faults(assignment)]
        print_json(_to_json(summary, assignment, found, tried) | {"faults": faults})
    else:
        _print_tried(run, summary, assignment, tried)
    if tried:
        folder = run if is_folder(run) else run.parent
        leave_report(Summary.of(recording), {"": recording}, folder)


def _say_progress(made: int, whole: int) -> None:
    note(f"{made} of {whole} measured")


def _to_json(
    summary: Summary, assignment: Assignment, found: Explanation, tried: Sequence[Tried]
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
    run: Path, summary: Summary, assignment: Assignment, tried: Sequence[Tried]
) -> None:
    for one in tried:
        say(f"id {one.number}: {one.words}")
    best = next((t for t in tried if t.is_good), None)
    if best is not None:
        print(f"the simplest that is as good is id {best.number}; to ship it: ", end="")
        print(f"pareto-profiler deploy {shlex.quote(str(run))} {best.number}")
    elif any(not t.is_told for t in tried):
        say("which of them are as good could not be told: try again when the machine is quiet")
    elif tried:
        number = summary.header.space.id_of(assignment)
        say(f"none of them is as good: id {number} stays (these trials may have moved letters)")


def _assignment_of(summary: Summary, name: str) -> Assignment:

    space, number = summary.header.space, id_of(summary, name)
    assignment = space.assignment_of(number)
    if not space.is_feasible(assignment):
        raise InputError(f"id {name}: is not feasible: a backend cannot run what it asks of it")
    return assignment
