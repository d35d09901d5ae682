"""Forms: the ways to ship an assignment for onert, and how each is run from the files written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Script:
    meaning: str = "a shell script"
    suffix: str = ".sh"
    is_of_front: bool = False
    needs_model: bool = False
    runs_here: bool = False

    def write(self, artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
        del model
        write_whole(to, script_of(artifacts[0]))
        return []

    def launches(self, artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
        found = differences(_sourced(to), variables_of(artifacts[0]))
        return [OnertLaunch(found, script=to.resolve())]


@dataclass(frozen=True, slots=True)
class _Package:
    meaning: str = "a package with the configuration inside"
    suffix: str = ""
    is_of_front: bool = False
    needs_model: bool = True
    runs_here: bool = False

    def write(self, artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
        if model is None:
            raise InputError("the package holds the model: name it with --model")
        left_out = write_package(artifacts[0], model.path, model.graph, to)
        if not left_out:
            return []
        named = ", ".join(left_out)
        words = f"left out, since it was measured without them: {named} of the package's own "
        return [f"{words}configuration"]

    def launches(self, artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
        found = differences(read_configuration(to), configured(artifacts[0]))
        calls = to / "metadata" / CALLS
        instead = _calls_in(calls) if calls.exists() else ("", "")
        return [OnertLaunch(found, package=to.resolve(), calls_instead=instead)]


@dataclass(frozen=True, slots=True)
class _Header:
    meaning: str = "a C header for onert's calls"
    suffix: str = ".h"
    is_of_front: bool = False
    needs_model: bool = False
    runs_here: bool = False

    def write(self, artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
        del model
        write_whole(to, header_of(artifacts[0]))
        return []

    def launches(self, artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
        backends, operations = _calls_in(to)
        return [OnertLaunch((), backends, operations, settings_of(artifacts[0]))]


@dataclass(frozen=True, slots=True)
class _Switching:
    meaning: str = "the whole front, for a scheduler that switches at run time"
    suffix: str = ".json"
    is_of_front: bool = True
    needs_model: bool = False
    runs_here: bool = False

    def write(self, artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
        del model
        write_whole(to, switching_of(artifacts))
        return []

    def launches(self, artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
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


@dataclass(frozen=True, slots=True)
class _Program:
    meaning: str = "a program for the onert wheel"
    suffix: str = ".py"
    is_of_front: bool = False
    needs_model: bool = True
    runs_here: bool = True

    def write(self, artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
        if model is None:
            raise InputError("the program opens the model: name it with --model")
        write_whole(to, python_of(artifacts[0], model.path))
        return []

    def launches(self, artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
        del artifacts
        return [OnertLaunch(program=to.resolve())]


FORMS: Final[Mapping[str, Form]] = {
    "env": _Script(),
    "nnpackage": _Package(),
    "api": _Header(),
    "json": _Switching(),
    "python": _Program(),
}


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
