"""Forms: the ways to ship an assignment for onert, and how each is run from the files written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pareto_profiler.errors import InputError
from pareto_profiler.files import write_whole
from pareto_profiler.models import Model
from pareto_profiler.runtimes.base import Artifact, Form, Launch
from pareto_profiler.runtimes.onert.code import header_of, python_of, read_header
from pareto_profiler.runtimes.onert.engine import OnertLaunch
from pareto_profiler.runtimes.onert.package import (
    CALLS,
    configured,
    read_configuration,
    write_package,
)
from pareto_profiler.runtimes.onert.part import part_of, placed_by
from pareto_profiler.runtimes.onert.script import script_of
from pareto_profiler.runtimes.onert.shipment import settings_of, variables_of
from pareto_profiler.runtimes.onert.switching import switching_of
from pareto_profiler.shells.local import LocalShell

_SOURCE_LIMIT_S: Final = 10


def differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that have another value than they should, a line each.

    Examples:
        >>> differences({"NUM_THREADS": "1"}, {"NUM_THREADS": "2", "EXECUTOR": "Linear"})
        ('NUM_THREADS is 1, expected 2', 'EXECUTOR is not set, expected Linear')
    """
    return tuple(
        f"{name} is {found.get(name, 'not set')}, expected {value}"
        for name, value in wanted.items()
        if found.get(name) != value
    )


def _write_script(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    del model
    write_whole(to, script_of(artifacts[0]))
    return []


def _run_script(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    found = differences(_sourced(to), variables_of(artifacts[0]))
    return [OnertLaunch(found, script=to.resolve())]


def _write_package(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    if model is None:
        raise InputError("the package holds the model: name it with --model")
    left_out = write_package(artifacts[0], model.path, model.graph, to)
    if not left_out:
        return []
    named = ", ".join(left_out)
    words = f"left out, since it was measured without them: {named} of the package's own "
    return [f"{words}configuration"]


def _run_package(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    found = differences(read_configuration(to), configured(artifacts[0]))
    calls = to / "metadata" / CALLS
    instead = _calls_in(calls) if calls.exists() else ("", "")
    return [OnertLaunch(found, package=to.resolve(), calls_instead=instead)]


def _write_header(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    del model
    write_whole(to, header_of(artifacts[0]))
    return []


def _run_header(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    backends, operations = _calls_in(to)
    return [OnertLaunch((), backends, operations, settings_of(artifacts[0]))]


def _write_part(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    del model
    write_whole(to, part_of(artifacts[0]))
    settings = artifacts[0].header.space.settings(artifacts[0].assignment)
    named = ", ".join(f"{name} {choice}" for name, choice in settings.items())
    return [f"a part file says nothing of settings: {named}"] if named else []


def _run_part(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    graph = artifacts[0].header.graph
    if graph is None:
        raise InputError("a part file names operations: this run does not hold the model's graph")
    placed = placed_by(to.read_text(encoding="utf-8"), graph)
    backends = ";".join(dict.fromkeys(placed.values()))
    operations = ";".join(f"{index}={backend}" for index, backend in placed.items())
    return [OnertLaunch((), backends, operations, settings_of(artifacts[0]))]


def _write_switching(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    del model
    write_whole(to, switching_of(artifacts))
    return []


def _run_switching(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    entries = json.loads(to.read_text(encoding="utf-8"))["configurations"]
    found: list[Launch] = []
    for artifact, entry in zip(artifacts, entries, strict=True):
        wanted = (settings_of if entry["backends"] else variables_of)(artifact)
        found.append(
            OnertLaunch(
                differences(entry["environment"], wanted),
                entry["backends"] or "",
                entry["operation_backends"] or "",
                entry["environment"],
            )
        )
    return found


def _write_program(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    if model is None:
        raise InputError("the program opens the model: name it with --model")
    write_whole(to, python_of(artifacts[0], model.path))
    return []


def _run_program(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts
    return [OnertLaunch(program=to.resolve())]


def _sourced(script: Path) -> dict[str, str]:
    """The environment of a shell that sourced a script."""
    done = LocalShell().run(
        ["sh", "-c", '. "$0" && exec env -0', str(script.resolve())],
        environment={},
        time_limit_s=_SOURCE_LIMIT_S,
    )
    pairs = done.stdout.decode("utf-8", "replace").split("\0")
    return {name: value for name, sign, value in (p.partition("=") for p in pairs) if sign}


def _calls_in(file: Path) -> tuple[str, str]:
    return read_header(file.read_text(encoding="utf-8"))


FORMS: Final[Mapping[str, Form]] = {
    "env": Form("a shell script", ".sh", _write_script, _run_script),
    "nnpackage": Form(
        "a package with the configuration inside",
        "",
        _write_package,
        _run_package,
        needs_model=True,
    ),
    "api": Form("a C header for onert's calls", ".h", _write_header, _run_header),
    "part": Form("a part file for ONE's partitioner", ".part", _write_part, _run_part),
    "json": Form(
        "the whole front, for a scheduler that switches at run time",
        ".json",
        _write_switching,
        _run_switching,
        is_of_front=True,
    ),
    "python": Form(
        "a program for the onert wheel",
        ".py",
        _write_program,
        _run_program,
        needs_model=True,
        runs_here=True,
    ),
}
