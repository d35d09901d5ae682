"""Function: the room of what is no runtime: a Python function measures assignments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Fault, no_faults
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.support import Trusting
from pareto_profiler.core.traits import Traits
from pareto_profiler.errors import InputError
from pareto_profiler.files import write_whole
from pareto_profiler.models import Model
from pareto_profiler.runtimes import PYTHON_ONLY
from pareto_profiler.runtimes.base import Artifact, Form, Installation, Launch, Runtime, Where
from pareto_profiler.shells.base import Shell


@dataclass(frozen=True, slots=True)
class _Choices:
    text: str


class _Function(Trusting):
    name = "function"
    formats: frozenset[str] = frozenset()
    backends: tuple[str, ...] = ()
    on_request: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    rewrites: frozenset[str] = frozenset()
    settings: Mapping[str, tuple[str, ...]] = {}
    traits = Traits()

    @property
    def forms(self) -> Mapping[str, Form]:
        return {"json": Form("names with their choices, as JSON", ".json", _write, _launches)}

    def read(self, path: Path) -> Model:
        raise InputError(f"{path}: {PYTHON_ONLY}")

    def configuration(
        self, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> _Choices:
        del plan
        space.check(assignment)
        pairs = list(zip(space.variables, assignment, strict=True))
        placed = [(v.name, choice) for v, choice in pairs if not v.is_setting]
        told = []
        for backend in dict.fromkeys(choice for _, choice in placed):
            here = [name for name, choice in placed if choice == backend]
            told.append(f"{backend}: {'all' if len(here) == len(placed) else ' '.join(here)}")
        told += [f"{v.name}={choice}" for v, choice in pairs if v.is_setting]
        return _Choices("; ".join(told))

    def faults(self, header: Header) -> Callable[[Assignment], tuple[Fault, ...]]:
        del header
        return no_faults

    def find(self, shell: Shell, where: Where) -> Installation:
        del shell, where
        raise InputError(PYTHON_ONLY)


def _write(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    del model
    (one,) = artifacts
    names = [v.name for v in one.header.space.variables]
    choices = dict(zip(names, one.assignment, strict=True))
    write_whole(to, json.dumps(choices, indent=1, ensure_ascii=False) + "\n")
    return []


def _launches(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts, to
    raise InputError(PYTHON_ONLY)


RUNTIME: Final[Runtime] = _Function()
