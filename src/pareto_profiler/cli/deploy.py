"""``pareto-profiler deploy``: an assignment as files that ship, run once to be sure."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareto_profiler.cli.exits import TARGET_UNUSABLE, reporting_errors
from pareto_profiler.cli.measure import AddressOption, JsonOption, TargetsOption, choices_again
from pareto_profiler.cli.show import id_words
from pareto_profiler.errors import InputError, RunError, TargetError

if TYPE_CHECKING:
    from pareto_profiler.core.recording import Header, Recording
    from pareto_profiler.core.space import Assignment
    from pareto_profiler.core.trial import Placement
    from pareto_profiler.deploy.shipment import Shipment
    from pareto_profiler.deploy.verification import Verified
    from pareto_profiler.models import Model
    from pareto_profiler.report.summary import Row, Summary
    from pareto_profiler.runners.onert import Deployed, OnertRunner

# Turns where the noise is not known, and at most, until both ways are as fast as each other.
UNLIKE = 1
_SOME_TURNS = 3
_MOST_TURNS = 8
_PYTHON_RUNS = "60"
_PYTHON_LIMIT_S = 300
_SOURCE_LIMIT_S = 10


class Form(StrEnum):
    """What ``deploy`` can write."""

    ENV = "env"
    NNPACKAGE = "nnpackage"
    API = "api"
    JSON = "json"
    PYTHON = "python"


_SUFFIXES = {
    Form.ENV: ".sh",
    Form.NNPACKAGE: "",
    Form.API: ".h",
    Form.JSON: ".json",
    Form.PYTHON: ".py",
}


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
        Form,
        typer.Option(
            "--to",
            help="env: a shell script; nnpackage: a package with the configuration inside; api: a "
            "C header for onert's calls; json: the whole front, for a scheduler that switches at "
            "run time; python: a program for the onert wheel.",
        ),
    ] = Form.ENV,
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
    from pareto_profiler.cli.output import note, print_json
    from pareto_profiler.cli.show import open_recording
    from pareto_profiler.report.summary import Summary

    recording = open_recording(run)
    summary = Summary.of(recording)
    header, rows = recording.header, _rows(run, summary, number, form)
    model = (
        _model_of(recording, model_file)
        if form in {Form.NNPACKAGE, Form.PYTHON} or verify
        else None
    )
    if verify and model is not None and header.runtime and header.target != "table":
        _check_target(header, address, targets)
    to = output or Path(f"{_name_of(summary, rows, form)}{_SUFFIXES[form]}")
    if verify and form is not Form.NNPACKAGE and to.exists() and not to.is_file():
        raise InputError(f"{to}: is no file, so that what is written cannot be run; --no-verify")
    shipments = [_shipment(row, summary) for row in rows]
    _write(form, shipments, model, to)
    note(f"written: {to}")
    found: list[Verified] = []
    if verify and model is None:
        note("not verified: the run does not say where its model is; name it with --model")
    elif verify and model is not None:
        found = _verified(recording, summary, shipments, rows, form, to, model, address, targets)
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


def _rows(run: Path, summary: Summary, number: str, form: Form) -> list[Row]:
    from pareto_profiler.report.naming import id_of, on_front

    if form is Form.JSON:
        if number:
            raise InputError(f"id {number}: json takes the whole front; leave the id out")
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


def _model_of(recording: Recording, named: Path | None) -> Model | None:
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
    model = load_measurable(path)
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


def _name_of(summary: Summary, rows: list[Row], form: Form) -> str:
    from pareto_profiler.cli.assembly import shortened
    from pareto_profiler.report.naming import short_id

    name = re.sub(r"[^\w.-]+", "_", summary.header.model_name) or "model"
    name = shortened(name)
    if form is Form.JSON:
        return f"{name}-switching"
    return f"{name}-{short_id(rows[0].id).replace('…', '_')}"


def _shipment(row: Row, summary: Summary) -> Shipment:
    from pareto_profiler.deploy.shipment import Measured, Shipment

    figures = [
        Measured(o, row.values[o.name], row.intervals.get(o.name)) for o in summary.objectives
    ]
    return Shipment(summary.header, row.estimate.assignment, figures)


def _write(form: Form, shipments: list[Shipment], model: Model | None, to: Path) -> None:
    from pareto_profiler.cli.output import note, write_file
    from pareto_profiler.deploy.code import header_of, python_of
    from pareto_profiler.deploy.package import write_package
    from pareto_profiler.deploy.script import script_of
    from pareto_profiler.deploy.switching import switching_of

    shipment = shipments[0]
    if form in {Form.NNPACKAGE, Form.PYTHON} and model is None:
        raise InputError("the run does not say where its model is: name it with --model")
    match form:
        case Form.ENV:
            write_file(to, script_of(shipment))
        case Form.API:
            write_file(to, header_of(shipment))
        case Form.JSON:
            write_file(to, switching_of(shipments))
        case Form.PYTHON if model is not None:
            write_file(to, python_of(shipment, model.path))
        case Form.NNPACKAGE if model is not None:
            left_out = write_package(shipment, model.path, model.graph, to)
            if left_out:
                note(
                    f"left out, since it was measured without them: {', '.join(left_out)} of the "
                    f"package's own configuration"
                )
        case _:
            raise AssertionError(form)


def _verified(
    recording: Recording,
    summary: Summary,
    shipments: list[Shipment],
    rows: list[Row],
    form: Form,
    to: Path,
    model: Model,
    address: str,
    targets: Path | None,
) -> list[Verified]:
    """Run what was written; empty where that cannot be done, which is said."""
    from pareto_profiler.cli.assembly import prepare
    from pareto_profiler.cli.output import note
    from pareto_profiler.runners.onert import OnertRunner

    header = recording.header
    if header.target == "table" or not header.runtime:
        note("not verified: the run is of no target that could be asked again")
        return []
    job = prepare(choices_again(recording, model.path, address, targets), header.space)
    try:
        if form is Form.PYTHON and job.target.shell != "local":
            note(f"not verified: the program is for the onert wheel, not for {job.target.name}")
            return []
        with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
            runner = job.runner(Path(here))
            try:
                if not isinstance(runner, OnertRunner):
                    note(f"not verified: {job.header.runtime} cannot run it, the probe is needed")
                    return []
                return [
                    _verify(one, row, summary, runner, _way(form, to, one, runner, i))
                    for i, (one, row) in enumerate(zip(shipments, rows, strict=True))
                ]
            finally:
                runner.close()
    finally:
        job.shell.close()


def _verify(
    shipment: Shipment, row: Row, summary: Summary, runner: OnertRunner, way: _Way
) -> Verified:
    from pareto_profiler.core.estimate import Figure
    from pareto_profiler.core.measurement import OBJECTIVES
    from pareto_profiler.deploy.verification import Verified, expected_range

    time = OBJECTIVES["exec_time"]
    names = [o.name for o in summary.objectives]
    if time.name in names:
        figure = row.estimate.figures[names.index(time.name)]
    else:
        figure = Figure(median(getattr(row.trial.outcome, "samples", {}).get(time.name, (1.0,))))
    noise = summary.noise.get(time.name, 0.0) if summary.is_noise_known else 0.0
    margin = summary.header.margin
    expected = expected_range(figure, noise, margin)
    taken: list[float] = []
    beside: list[float] = []
    disturbed = 0
    wrong: tuple[str, ...] | None = way.differences or None
    while True:
        try:
            seconds, placement = way.run()
        except RunError as error:
            words = f"what was written does not run: {error.kind}: {error.message}"
            raise TargetError(words) from error
        try:
            measured = runner.run(row.estimate.assignment, is_repeat=True)
            beside.append(measured.value(time))
            disturbed += measured.is_contended
        except RunError as error:
            words = f"id {shipment.id} itself does not run any more: {error.kind}: {error.message}"
            raise TargetError(words) from error
        taken.append(seconds)
        if placement is not None:
            wrong = tuple(dict.fromkeys([*(wrong or ()), *placement.mismatches]))
        found = Verified(
            tuple(taken),
            expected,
            wrong,
            tuple(beside),
            noise,
            margin,
            is_disturbed=2 * disturbed > len(beside),
        )
        is_known = noise > 0 or len(taken) >= _SOME_TURNS
        if wrong or (found.is_as_fast and is_known) or len(taken) == _MOST_TURNS:
            return found


@dataclass(frozen=True)
class _Way:
    """How what was written is run, from the files that were written.

    Attributes:
        run: Once.
        differences: What the files say otherwise than they should, a line each.
    """

    run: Callable[[], tuple[float, Placement | None]]
    differences: tuple[str, ...] = ()


def _way(form: Form, to: Path, shipment: Shipment, runner: OnertRunner, index: int) -> _Way:
    from pareto_profiler.core.measurement import OBJECTIVES
    from pareto_profiler.deploy.code import read_header
    from pareto_profiler.deploy.verification import differences
    from pareto_profiler.runners.onert import Deployed

    assignment = shipment.assignment
    time = OBJECTIVES["exec_time"]

    def run(deployed: Deployed) -> tuple[float, Placement | None]:
        measurement, placement = runner.run_deployed(deployed, assignment)
        return measurement.value(time), placement

    if form is Form.PYTHON:
        return _Way(lambda: _run_python(to, assignment, runner))
    if form is Form.ENV:
        found = differences(_sourced(to), shipment.variables)
        return _Way(lambda: run(Deployed(script=to.resolve())), found)
    if form is Form.JSON:
        deployed = _from_switching(to, index)
        wanted = shipment.settings if deployed.backends else shipment.variables
        return _Way(lambda: run(deployed), differences(deployed.environment, wanted))
    if form is Form.API:
        backends, operations = read_header(to.read_text(encoding="utf-8"))
        told = Deployed(backends, operations, shipment.settings)
        return _Way(lambda: run(told))
    return _way_of_package(to, shipment, run)


def _way_of_package(
    to: Path, shipment: Shipment, run: Callable[[Deployed], tuple[float, Placement | None]]
) -> _Way:
    from pareto_profiler.cli.output import note
    from pareto_profiler.deploy.package import CALLS, configured, read_configuration
    from pareto_profiler.deploy.verification import differences
    from pareto_profiler.runners.onert import Deployed

    alone = Deployed(package=to.resolve())
    found = differences(read_configuration(to), configured(shipment))
    calls = to / "metadata" / CALLS
    try:
        _, placement = run(alone)
    except RunError as error:
        words = f"what was written does not run: {error.kind}: {error.message}"
        raise TargetError(words) from error
    if placement is not None and placement.mismatches and calls.exists():
        note(
            f"this onert ignores backends that a package's configuration names: the application "
            f"has to make the two calls in {calls}; verified with these"
        )
        alone = replace(alone, **_calls_of(calls))
    return _Way(lambda: run(alone), found)


def _sourced(script: Path) -> dict[str, str]:
    """The environment of a shell that sourced a script."""
    from pareto_profiler.shells.local import LocalShell

    done = LocalShell().run(
        ["sh", "-c", '. "$0" && exec env -0', str(script.resolve())],
        environment={},
        time_limit_s=_SOURCE_LIMIT_S,
    )
    pairs = done.stdout.decode("utf-8", "replace").split("\0")
    return {name: value for name, sign, value in (p.partition("=") for p in pairs) if sign}


def _calls_of(file: Path) -> dict[str, Any]:
    from pareto_profiler.deploy.code import read_header

    backends, operations = read_header(file.read_text(encoding="utf-8"))
    return {"backends": backends, "operation_map": operations}


def _from_switching(file: Path, index: int) -> Deployed:
    import json

    from pareto_profiler.runners.onert import Deployed

    entry = json.loads(file.read_text(encoding="utf-8"))["configurations"][index]
    return Deployed(
        entry["backends"] or "", entry["operation_backends"] or "", entry["environment"]
    )


def _run_python(
    file: Path, assignment: Assignment, runner: OnertRunner
) -> tuple[float, Placement | None]:
    from pareto_profiler.runners.log import LOG_VARIABLES, read_placement
    from pareto_profiler.shells.local import LocalShell

    def start(runs: str, environment: dict[str, str]) -> Any:
        done = LocalShell().run(
            [sys.executable, str(file.resolve()), runs],
            environment=environment,
            time_limit_s=_PYTHON_LIMIT_S,
        )
        if done.status:
            words = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise TargetError(
                f"{file}: ended with {done.status}: {words[-1] if words else 'it said nothing'}"
            )
        return done

    text = start(_PYTHON_RUNS, {}).stdout.decode("utf-8", "replace")
    found = re.search(r"^exec_time ([0-9.]+) ms$", text, re.MULTILINE)
    if found is None:
        raise TargetError(f"{file}: said nothing of its time")
    told = start("1", dict(LOG_VARIABLES))
    log = (told.stdout + told.stderr).decode("utf-8", "replace")
    return float(found[1]) / 1e3, read_placement(log, runner.space, assignment)
