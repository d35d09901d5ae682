"""DriverEngine: one fresh driver process per measurement, whatever the runtime."""

from __future__ import annotations

import json
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Placement, Profile
from pareto_profiler.drivers import PROTOCOL
from pareto_profiler.drivers.answer import (
    Event,
    checked,
    ending,
    events_of,
    measurement_of,
    notes_of,
    words_of_runtime,
)
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.runners.inputs import Array, other_inputs
from pareto_profiler.runners.outputs import largest_error
from pareto_profiler.runners.workspace import Workspace
from pareto_profiler.shells.base import Completed, Shell
from pareto_profiler.shells.local import LocalShell

# The driver ends itself too, in case the shell's connection is lost.
_GRACE_S: Final = 2
_LIMIT_S: Final = 30.0
_PROGRAM_RUNS: Final = 60
_PROGRAM_LIMIT_S: Final = 300.0
# What stands on the command line lies in the memory that is measured: to be longer by less than
# a page is all that assignments may differ in.
_LONGEST_ARGUMENT: Final = 4_000


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver on a target, and the library that it opens.

    Attributes:
        shell: How the target is reached.
        program: The driver there.
        library: The runtime's library there.
        library_path: Where the library's own libraries are; empty where it finds them itself.
        local_program: The driver on this machine, where it has to be pushed.
        local_library: The library on this machine, where it has to be pushed.
        interpreter: Words before the driver, where it is no program by itself.
    """

    shell: Shell
    program: PurePosixPath
    library: PurePosixPath
    library_path: str = ""
    local_program: Path | None = None
    local_library: Path | None = None
    interpreter: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that every start needs."""
        return {"LD_LIBRARY_PATH": self.library_path} if self.library_path else {}

    def push(self) -> None:
        """Put on the target what is not there.

        Raises:
            TargetError: It cannot be copied, or the folder allows no programs.
        """
        # What is there may have been cut short by a power failure.
        script = '[ -e "$0" ] && [ "$(wc -c <"$0")" -eq "$1" ]'
        for local, remote in (
            (self.local_program, self.program),
            (self.local_library, self.library),
        ):
            if local is None:
                continue
            there = ["sh", "-c", script, str(remote), str(local.stat().st_size)]
            if self.shell.run(there, environment={}, time_limit_s=_LIMIT_S).status:
                self.shell.push(local, remote)

    def opened(self) -> Event:
        """What the runtime says of itself: ``runtime_version``, empty where it does not tell.

        Raises:
            TargetError: The library cannot be opened or is not the runtime's.
        """
        done = self.start({"version_only": True}, {}, _LIMIT_S)
        for event in events_of(done):
            if event.get("event") == "opened":
                return event
        raise TargetError(f"{self.library}: not usable: {words_of_runtime(done) or ending(done)}")

    def version(self) -> str:
        """The runtime's version, such as ``1.30.0``; empty where the library does not tell.

        Raises:
            TargetError: As :meth:`opened`.
        """
        return str(self.opened()["runtime_version"])

    def start(
        self,
        request: Mapping[str, Any],
        environment: Mapping[str, str],
        time_limit_s: float,
        *,
        prefix: Sequence[str] = (),
        is_random: bool = False,
        file: PurePosixPath | None = None,
    ) -> Completed:
        """Start it.

        Args:
            request: Without protocol and library, which are added.
            environment: Variables beside those that every start needs.
            time_limit_s: Seconds after which it is ended.
            prefix: Words before the command, such as a shell that sources a file first.
            is_random: Whether addresses are random, as in use.
            file: Where the request lies instead.
        """
        text = str(file) if file else request_text(request, self.library)
        words = [*prefix, *self.interpreter, str(self.program), "--request", text]
        return self.shell.run(
            [*words, "--random-addresses"] if is_random else words,
            environment={**self.environment, **environment},
            time_limit_s=time_limit_s,
        )


def request_text(request: Mapping[str, Any], library: PurePosixPath) -> str:
    """A request as the driver reads it."""
    return json.dumps({"protocol": PROTOCOL, "library": str(library), **request})


@dataclass(frozen=True, slots=True)
class Realisation:
    """What a driver is told to realise an assignment.

    Attributes:
        request: Members of the request: ``model``, ``backends``, ``place``, ``settings``.
        environment: Variables.
        prefix: Words before the command.
    """

    request: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()


def place_of(backend_by_operation: Mapping[int, str]) -> list[list[str]]:
    """Where operations run, as a request says it: ranges of numbers and their backend.

    Examples:
        >>> place_of({0: "cpu", 1: "cpu", 3: "cpu", 4: "ruy"})
        [['0-1', 'cpu'], ['3', 'cpu'], ['4', 'ruy']]
    """
    numbers = sorted(backend_by_operation)
    cuts = [
        i
        for i, (a, b) in enumerate(pairwise(numbers), start=1)
        if b != a + 1 or backend_by_operation[a] != backend_by_operation[b]
    ]
    found = []
    for start, end in pairwise([0, *cuts, len(numbers)] if numbers else []):
        first, last = numbers[start], numbers[end - 1]
        text = str(first) if first == last else f"{first}-{last}"
        found.append([text, backend_by_operation[first]])
    return found


class _InputSet:
    """Further inputs that outputs are compared for, and the baseline's outputs on the target."""

    def __init__(self, folder: PurePosixPath, number: int, arrays: Sequence[Array]) -> None:
        self.arrays = arrays
        self.files = [folder / f"set{number}.input.{i}" for i in range(len(arrays))]
        self.reference = folder / f"set{number}.reference"
        self.written_at = 0

    @property
    def members(self) -> dict[str, Any]:
        """Of a request for one inference."""
        given = zip(self.files, self.arrays, strict=True)
        shapes = [{"file": str(f), "shape": list(a.shape)} for f, a in given]
        return {"runs": [0, 0], "inputs": shapes}


class DriverEngine(ABC):
    """Measures assignments of one model through a driver.

    The first measurement of the baseline leaves its outputs on the target; those of every other
    assignment are compared with them there.

    Args:
        driver: What measures.
        folder: A folder on the target for the model, inputs and reference outputs.
        space: What may be asked for.
        plan: How to measure.
        files: What has to lie on the target: there → a file here, or bytes.
        inputs: Input tensors.
        output_types: Of the model's outputs.
        energy: Files of counters of energy or sensors of power that are read with the runs.

    Raises:
        TargetError: The target cannot take the files.
    """

    def __init__(
        self,
        driver: Driver,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        *,
        files: Mapping[PurePosixPath, Path | bytes],
        inputs: Sequence[Array],
        output_types: Sequence[str],
        energy: Sequence[str] = (),
    ) -> None:
        self._driver = driver
        self._output_types = list(output_types)
        self._folder = folder
        self._space = space
        self._plan = plan
        self._energy = list(energy)
        self._reference = folder / "reference"
        self._reference_of = 0
        self._sets: list[_InputSet] = []
        self._input_files = [folder / f"input.{i}" for i in range(len(inputs))]
        self._inputs = list(inputs)
        others = other_inputs(inputs)
        is_another = any((a != b).any() for a, b in zip(inputs, others, strict=True))
        self._other_inputs = others if is_another else []
        pairs = zip(self._input_files, inputs, strict=True)
        self._workspace = Workspace(
            driver.shell,
            folder,
            {**files, **{file: np.ascontiguousarray(a).tobytes() for file, a in pairs}},
            needs=[driver.program],
            restore=driver.push,
        )

    @abstractmethod
    def _realise(self, assignment: Assignment) -> Realisation:
        """What realises an assignment."""

    @abstractmethod
    def _prepare(self, backend_by_operation: Mapping[int, str]) -> Realisation:
        """What places some operations, and leaves others on the first backend."""

    @abstractmethod
    def _check(self, assignment: Assignment, prepared: Event) -> None:
        """See that what was prepared is what was asked for.

        Raises:
            RunError: It is not.
        """

    def _refused(self, backend_by_operation: Mapping[int, str], prepared: Event) -> str:
        """What was prepared elsewhere than asked for, in words; empty where that is not told."""
        del backend_by_operation, prepared
        return ""

    @abstractmethod
    def loads(self, backend: str) -> bool: ...

    @abstractmethod
    def _placement(self, assignment: Assignment) -> Placement | None: ...

    @abstractmethod
    def _profile(self, assignment: Assignment) -> Profile: ...

    @property
    def can_profile(self) -> bool:
        return True

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        step = partial(self._measure, assignment, is_repeat=is_repeat)
        measured = self._workspace.recovering(step)
        if assignment != self._space.default or not self._other_inputs:
            return measured
        # A step of its own: what is lost meanwhile does not cost the measurement.
        notes = measured.notes + self._workspace.recovering(self._deafness)
        return replace(measured, notes=notes)

    def placement(self, assignment: Assignment) -> Placement | None:
        return self._workspace.recovering(lambda: self._placement(assignment))

    def profile(self, assignment: Assignment) -> Profile:
        return self._workspace.recovering(lambda: self._profile(assignment))

    def refusal(self, backend_by_operation: Mapping[int, str]) -> str:
        def step() -> str:
            way = self._prepare(backend_by_operation)
            try:
                prepared = self._answer(way, {"prepare_only": True}, "prepared")["prepared"]
            except RunError as error:
                if error.kind is not FailureKind.REJECTED:
                    raise
                return error.message or "refused"
            return self._refused(backend_by_operation, prepared)

        return self._workspace.recovering(step)

    def reference(self) -> list[Array] | None:
        def step() -> list[Array] | None:
            self._have_reference()
            found: list[Array] = []
            for i, dtype in enumerate(self._output_types):
                file = self._reference.with_name(f"{self._reference.name}.{i}")
                content = self._workspace.read(file)
                if content is None:
                    return None
                found.append(np.frombuffer(content, dtype))
            return found

        return self._workspace.recovering(step)

    def remarks(self) -> list[str]:
        return []

    def compare_on(self, sets: Sequence[Sequence[Array]]) -> None:
        self._sets = [_InputSet(self._folder, k, list(arrays)) for k, arrays in enumerate(sets, 1)]

    def close(self) -> None:
        self._workspace.close()

    def _start(
        self,
        realisation: Realisation,
        members: Mapping[str, Any],
        *,
        is_random: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        plan = self._plan
        given = zip(self._input_files, self._inputs, strict=True)
        request = {
            "threads": plan.threads,
            "inputs": [{"file": str(f), "shape": list(a.shape)} for f, a in given],
            "time_limit_s": int(plan.time_limit_s) + _GRACE_S,
            "memory_limit_kib": plan.memory_limit_kib,
            "cpus": plan.cpus or None,
            **realisation.request,
            **members,
        }
        file = None
        text = request_text(request, self._driver.library)
        if len(text) > _LONGEST_ARGUMENT:
            file = self._folder / "request.json"
            self._workspace.write(text.encode(), file)
        return self._driver.start(
            request,
            {**realisation.environment, **(environment or {})},
            plan.time_limit_s,
            prefix=realisation.prefix,
            is_random=is_random,
            file=file,
        )

    def _answer(
        self,
        realisation: Realisation,
        members: Mapping[str, Any],
        last: str,
        *,
        is_random: bool = False,
    ) -> dict[str, Event]:
        return checked(self._start(realisation, members, is_random=is_random), last)

    def _measure(self, assignment: Assignment, *, is_repeat: bool) -> Measurement:
        is_baseline = assignment == self._space.default
        if not is_baseline:
            self._have_reference()
        outputs = {"write_outputs" if is_baseline else "reference": str(self._reference)}
        if self._plan.pause_s:
            time.sleep(self._plan.pause_s)
        members = {**self._runs(), **outputs, "energy": self._energy}
        events = self._answer(self._realise(assignment), members, "measured", is_random=is_repeat)
        notes: tuple[str, ...] = ()
        if is_baseline:
            self._reference_of = self._workspace.pushed
            notes = notes_of(events, is_repeat=is_repeat)
        self._check(assignment, events["prepared"])
        error = 0.0 if is_baseline else self._error_of(events)
        for one in self._sets if not (is_baseline or is_repeat) else ():
            error = max(error, self._error_on(assignment, one))
        return measurement_of(events, error, notes=notes)

    def _error_on(self, assignment: Assignment, one: _InputSet) -> float:
        """How far outputs for another set of inputs are from the baseline's, with one inference.

        Raises:
            RunError: Farther than tolerated.
        """
        if one.written_at != self._workspace.pushed:
            for file, array in zip(one.files, one.arrays, strict=True):
                self._workspace.write(np.ascontiguousarray(array).tobytes(), file)
            members = {**one.members, "write_outputs": str(one.reference)}
            self._answer(self._realise(self._space.default), members, "measured")
            one.written_at = self._workspace.pushed
        members = {**one.members, "reference": str(one.reference)}
        return self._error_of(self._answer(self._realise(assignment), members, "measured"))

    def _error_of(self, events: Mapping[str, Event]) -> float:
        """How far outputs are from the baseline's.

        Raises:
            RunError: Farther than tolerated.
        """
        return largest_error(
            events["measured"]["outputs"], self._plan.tolerance, self._plan.tolerance_kind
        )

    def _deafness(self) -> tuple[str, ...]:
        """A note if another input gives the same outputs; found out once, with one inference."""
        inputs = self._other_inputs
        self._have_reference()
        files = [self._folder / f"other.{i}" for i in range(len(inputs))]
        for file, array in zip(files, inputs, strict=True):
            self._workspace.write(np.ascontiguousarray(array).tobytes(), file)
        members = {
            "runs": [0, 0],
            "reference": str(self._reference),
            "inputs": [
                {"file": str(f), "shape": list(a.shape)} for f, a in zip(files, inputs, strict=True)
            ],
        }
        done = self._start(self._realise(self._space.default), members)
        self._other_inputs = []
        try:
            self._error_of(checked(done, "measured"))
        except RunError:
            return ()  # it differs, as it should; or what takes this input does not take every one
        words = "another input gives the outputs of the baseline, too: that outputs agree proves "
        return (f"{words}nothing with these weights",)

    def _runs(self) -> dict[str, Any]:
        plan = self._plan
        exact = plan.repeats
        return {
            "warmups": "auto" if plan.warmups is None else plan.warmups,
            "run_time_ms": round(1000 * plan.run_time_s),
            "runs": [plan.min_repeats, plan.max_repeats] if exact is None else [exact, exact],
            "precision_ppm": round(1e6 * plan.precision) if exact is None else 0,
        }

    def _have_reference(self) -> None:
        """One inference of the baseline, where its outputs are gone or were never made."""
        if self._reference_of == self._workspace.pushed:
            return
        members = {"runs": [0, 0], "write_outputs": str(self._reference)}
        try:
            self._answer(self._realise(self._space.default), members, "measured")
        except RunError as error:
            raise TargetError(
                f"the baseline cannot be run: {error.kind}: {error.message}"
            ) from error
        self._reference_of = self._workspace.pushed


def run_program(program: Path) -> Measurement:
    """Run a Python program on this machine that prints its ``exec_time``.

    Raises:
        TargetError: It fails, or says nothing of its time.
    """
    text = start_program(program, _PROGRAM_RUNS, {}).stdout.decode("utf-8", "replace")
    told = re.search(r"^exec_time ([0-9.]+) ms$", text, re.MULTILINE)
    if told is None:
        raise TargetError(f"{program}: said nothing of its time")
    return Measurement({"exec_time": (float(told[1]) / 1e3,)})


def start_program(program: Path, runs: int, environment: Mapping[str, str]) -> Completed:
    """Start a Python program on this machine that takes a number of runs.

    Raises:
        TargetError: It fails.
    """
    done = LocalShell().run(
        [sys.executable, str(program), str(runs)],
        environment=environment,
        time_limit_s=_PROGRAM_LIMIT_S,
    )
    if done.status:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = words[-1] if words else "it said nothing"
        raise TargetError(f"{program}: ended with {done.status}: {said}")
    return done
