"""``pareto-profiler deploy``: an assignment as files that ship, run once to be sure."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from pareto_profiler.cli.exits import TARGET_UNUSABLE, reporting_errors
from pareto_profiler.cli.measure import AddressOption, JsonOption, TargetsOption, choices_again
from pareto_profiler.cli.show import id_words
from pareto_profiler.errors import InputError
from pareto_profiler.runtimes import RUNTIMES, runtime, runtime_of

if TYPE_CHECKING:
    from pareto_profiler.core.recording import Header, Recording
    from pareto_profiler.deploy.verification import Verified
    from pareto_profiler.models import Model
    from pareto_profiler.report.summary import Row, Summary
    from pareto_profiler.runtimes.base import Artifact, Form, Launch, Runtime

UNLIKE = 1


def form_names() -> list[str]:
    """What completes a form."""
    return list(dict.fromkeys(form for name in RUNTIMES for form in runtime(name).forms))


@reporting_errors
def deploy(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or its journal.")],
    number: Annotated[
        str,
        typer.Argument(
            metavar="[ID]",
            help="Which assignment: an id, also as show shortens it, or fastest, smallest, knee, "
            "baseline, uniform. Not with json, which takes the whole front.",
            autocompletion=id_words,
            show_default=False,
        ),
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--to",
            help="env: a shell script; nnpackage: a package with the configuration inside; api: a "
            "C header for its calls; json: the whole front, for a scheduler that switches at run "
            "time; python: a program.",
            show_default="the first that the run's runtime has",
            autocompletion=form_names,
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            help="File or folder to write.", show_default="named after model and id, here"
        ),
    ] = None,
    model_file: Annotated[
        Path | None,
        typer.Option("--model", help="The model, where it is no longer where it was."),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            help="Run what was written on the run's target, and compare placement and exec_time."
        ),
    ] = True,
    address: AddressOption = "",
    targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an assignment in the form that ships, and run it to see that it does what was measured.

    It is run on the target of the run, in turns with the search's own way: each operation has to
    run where it was measured, and both have to be as fast as each other. Exit status 1 if not, 3 if
    the target is too busy to tell.
    """
    from pareto_profiler.cli.joint import within
    from pareto_profiler.cli.output import check_no_journal, note, print_json
    from pareto_profiler.cli.show import open_recording
    from pareto_profiler.report.summary import Summary

    run, number = within(run, number)
    recording = open_recording(run)
    summary = Summary.of(recording)
    header = recording.header
    room = runtime_of(header)
    way = _way(room, form)
    rows = _rows(run, summary, number, form, way)
    model = _model_of(recording, room, model_file) if way.needs_model or verify else None
    if verify and model is not None and header.runtime and header.target != "table":
        _check_target(header, address, targets)
    to = output or Path(f"{_name_of(summary, rows, way)}{way.suffix}")
    if verify and way.suffix and to.exists() and not to.is_file():
        raise InputError(f"{to}: is no file, so that what is written cannot be run; --no-verify")
    artifacts = [_artifact(row, summary) for row in rows]
    check_no_journal(to)
    for words in way.write(artifacts, model, to):
        note(words)
    note(f"written: {to}")
    found: list[Verified] = []
    if verify and model is None:
        note("not verified: the run does not say where its model is; name it with --model")
    elif verify and model is not None:
        launches = partial(way.launches, artifacts, to)
        found = _verified(recording, summary, rows, way, launches, model, address, targets)
    if as_json:
        print_json(
            {
                "written": str(to),
                "ids": [str(row.id) for row in rows],
                "verified": [
                    {
                        "exec_time_ms": [1e3 * s for s in v.seconds],
                        "expected_ms": [1e3 * x for x in v.expected] if v.is_telling else None,
                        "beside_ms": [1e3 * s for s in v.beside],
                        "mismatches": None if v.mismatches is None else list(v.mismatches),
                        "is_good": v.is_good,
                    }
                    for v in found
                ],
            }
        )
    else:
        # Not all were run where the target can run none of this form.
        for row, one in zip(rows, found, strict=False):
            print(f"id {row.id}: {one.words}")
    if any(v.is_good is False for v in found):
        raise typer.Exit(UNLIKE)
    if any(v.is_good is None for v in found):
        raise typer.Exit(TARGET_UNUSABLE)


def _way(room: Runtime, form: str) -> Form:
    form = form or next(iter(room.forms), "")
    if form not in room.forms:
        raise InputError(f"--to {form}: {room.name} ships as {', '.join(room.forms) or 'nothing'}")
    return room.forms[form]


def _rows(run: Path, summary: Summary, number: str, form: str, way: Form) -> list[Row]:
    from pareto_profiler.report.naming import id_of, on_front

    if way.is_of_front:
        if number:
            raise InputError(f"id {number}: {form} takes the whole front; leave the id out")
        if not summary.front:
            raise InputError(f"{run}: nothing was measured: there is no front")
        return list(summary.front)
    if not number:
        raise InputError(f"which one? name an id; {on_front(summary)}")
    wanted = id_of(summary, number)
    for row in summary.measured:
        if row.id == wanted:
            return [row]
    raise InputError(f"id {number}: was not measured in {run}; {on_front(summary)}")


def _model_of(recording: Recording, room: Runtime, named: Path | None) -> Model | None:
    """The model that a run was made with; None where it was not made from one.

    Raises:
        InputError, ModelError: It is no longer there, or another.
    """
    from pareto_profiler.cli.assembly import load_measurable

    header = recording.header
    path = named or (Path(header.origin["model"]) if "model" in header.origin else None)
    if path is None:
        return None
    if not path.exists():
        raise InputError(f"{path}: the run's model is not there any more; name it with --model")
    model = load_measurable(room, path)
    if header.model_digest and model.graph.digest != header.model_digest:
        raise InputError(
            f"{path}: is not the model of the run: SHA-256 {model.graph.digest[:12]}, "
            f"expected {header.model_digest[:12]}"
        )
    return model


def _check_target(header: Header, address: str, targets: Path | None) -> None:
    """Before anything is written.

    Raises:
        InputError: What is written could not be run: the target is not known here.
    """
    from pareto_profiler.targets import find

    file = targets or (Path(header.origin["targets"]) if header.origin.get("targets") else None)
    try:
        find(header.target, file, address)
    except InputError as error:
        raise InputError(f"{error}; name its file with --targets, or --no-verify") from error


def _name_of(summary: Summary, rows: list[Row], way: Form) -> str:
    from pareto_profiler.cli.assembly import shortened
    from pareto_profiler.report.naming import short_id

    name = re.sub(r"[^\w.-]+", "_", summary.header.model_name) or "model"
    name = shortened(name)
    if way.is_of_front:
        return f"{name}-switching"
    return f"{name}-{short_id(rows[0].id).replace('…', '_')}"


def _artifact(row: Row, summary: Summary) -> Artifact:
    from pareto_profiler.runtimes.base import Artifact, Measured

    figures = [
        Measured(o, row.values[o.name], row.intervals.get(o.name)) for o in summary.objectives
    ]
    return Artifact(summary.header, row.estimate.assignment, figures)


def _verified(
    recording: Recording,
    summary: Summary,
    rows: list[Row],
    way: Form,
    launches: Callable[[], list[Launch]],
    model: Model,
    address: str,
    targets: Path | None,
) -> list[Verified]:
    """Run what was written; empty where that cannot be done, which is said."""
    from pareto_profiler.cli.assembly import prepare
    from pareto_profiler.cli.output import note
    from pareto_profiler.core.estimate import Figure
    from pareto_profiler.deploy.verification import verify

    header = recording.header
    if header.target == "table" or not header.runtime:
        note("not verified: the run is of no target that could be asked again")
        return []
    job = prepare(choices_again(recording, model.path, address, targets), header.space)
    try:
        if way.runs_here and job.target.shell != "local":
            note(f"not verified: {way.meaning} runs here only, not on {job.target.name}")
            return []
        names = [o.name for o in summary.objectives]
        noise = summary.noise.get("exec_time", 0.0) if summary.is_noise_known else 0.0

        def figure_of(row: Row) -> Figure:
            if "exec_time" in names:
                return row.estimate.figures[names.index("exec_time")]
            samples = getattr(row.trial.outcome, "samples", {})
            return Figure(median(samples.get("exec_time", (1.0,))))

        with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
            engine = job.engine(Path(here))
            try:
                return [
                    verify(
                        engine,
                        launch,
                        row.estimate.assignment,
                        figure_of(row),
                        noise=noise,
                        margin=summary.header.margin,
                    )
                    for row, launch in zip(rows, launches(), strict=True)
                ]
            finally:
                engine.close()
    finally:
        job.shell.close()
