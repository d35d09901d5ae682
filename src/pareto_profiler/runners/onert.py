"""OnertRunner: one fresh probe process per assignment, through any shell."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from pareto_profiler import probe
from pareto_profiler.core.configuration import Configuration
from pareto_profiler.core.graph import Graph
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Placement
from pareto_profiler.errors import FailureKind, InputError, RunError, TargetError
from pareto_profiler.runners.inputs import Array
from pareto_profiler.shells.base import Completed, Shell

Event = Mapping[str, Any]

# The probe ends itself too, in case the shell's connection is lost.
_PROBE_GRACE_S: Final = 2
_MAP_ENTRIES: Final = 1000
_BACKENDS_LIMIT: Final = 31
_MESSAGE_LIMIT: Final = 2000
# Float kernels of different backends sum in different orders.
_ROUNDING: Final = 1e-5
_ONE_ELEMENT_BYTES: Final = 8
_QUANTISED: Final = {"int8", "uint8", "int16"}
# Fits every onert since 2021: "backend for  @12: cpu".
_PLACEMENT: Final = re.compile(r"backend for\s+@(\d+): (\S+)")
_NNFW_OUT_OF_MEMORY: Final = 4
# The last is what a thread that finds no room for its stack reports.
_NO_MEMORY: Final = re.compile("bad_alloc|Cannot allocate memory|Resource temporarily unavailable")
_LOG_KEYS: Final = {"ONERT_LOG_ENABLE": "1", "ENABLE_LOG": "1"}


@dataclass(frozen=True, slots=True)
class OnertTarget:
    """An onert on a target.

    Attributes:
        shell: How the target is reached.
        probe: The probe on the target.
        library: ``libonert.so`` on the target.
        work: A folder on the target for the model, inputs and reference outputs.
    """

    shell: Shell
    probe: PurePosixPath
    library: PurePosixPath
    work: PurePosixPath

    def version(self) -> str:
        """The runtime's version, such as ``1.30.0``.

        Raises:
            TargetError: The library cannot be opened or is no onert.
        """
        done = self.shell.run(
            [str(self.probe), "--library", str(self.library), "--version-only"],
            environment={},
            time_limit_s=30.0,
        )
        for event in _events(done):
            if event.get("event") == "opened":
                if event.get("protocol") != probe.PROTOCOL:
                    raise TargetError(
                        f"{self.probe} speaks protocol {event.get('protocol')}, "
                        f"expected {probe.PROTOCOL}"
                    )
                return str(event["runtime_version"])
        raise TargetError(f"{self.library}: no usable onert: {_words(done) or _ending(done)}")


def wheel_library() -> Path:
    """``libonert.so`` of the installed ``onert`` wheel.

    Raises:
        TargetError: The wheel is not installed.
    """
    spec = importlib.util.find_spec("onert")
    for folder in (spec and spec.submodule_search_locations) or ():
        library = Path(folder) / "native" / "libonert.so"
        if library.is_file():
            return library
    raise TargetError(
        "the onert wheel is not installed (it exists for Linux on x86_64 and aarch64): "
        "pip install onert, or name a library with --onert-library"
    )


def library_backends(library: Path) -> tuple[str, ...]:
    """Backends that lie beside an onert library, ``cpu`` first; empty where none can be seen."""
    folders = (library.parent / "nnfw" / "backend", library.parent)
    found = {
        file.name.removeprefix("libbackend_").removesuffix(".so")
        for folder in folders
        for file in folder.glob("libbackend_*.so")
    }
    found -= {"train", "builtin"}
    return tuple(sorted(found, key=lambda name: (name != "cpu", name)))


class OnertRunner:
    """Measures assignments of one model with onert.

    The first measurement of the baseline leaves its outputs on the target; those of every other
    assignment are compared with them there.

    Args:
        target: Where to measure.
        space: What may be asked for.
        plan: How to measure.
        graph: The model.
        model_file: The model's file on this machine.
        inputs: Input tensors.

    Raises:
        InputError: The backends' names are longer together than onert's 31 characters.
        TargetError: The target cannot take the files.
    """

    def __init__(
        self,
        target: OnertTarget,
        space: DecisionSpace,
        plan: Plan,
        *,
        graph: Graph,
        model_file: Path,
        inputs: Sequence[Array],
    ) -> None:
        if len(";".join(space.backends)) > _BACKENDS_LIMIT:
            raise InputError(
                f"backends {';'.join(space.backends)}: onert takes {_BACKENDS_LIMIT} characters"
            )
        self._target = target
        self._space = space
        self._plan = plan
        # onert applies an index map to every subgraph; names are told through the environment.
        self._by_name = graph.subgraph_count > 1
        # onert goes by the suffix, whatever the file was called.
        self._model = target.work / f"model.{graph.format}"
        self._reference = target.work / "reference"
        self._has_reference = False
        self._inputs: list[str] = []
        try:
            target.shell.push(model_file, self._model)
            self._push_inputs(inputs)
        except BaseException:
            self.close()
            raise

    def run(self, assignment: Assignment) -> Measurement:
        is_baseline = assignment == self._space.default
        if not is_baseline and not self._has_reference:
            self._make_reference()
        outputs = ["--write-outputs" if is_baseline else "--reference", str(self._reference)]
        done = self._probe(
            assignment,
            ["--warmups", str(self._plan.warmups), "--runs", str(self._plan.repeats), *outputs],
        )
        events = _checked(done, "measured")
        self._has_reference = self._has_reference or is_baseline
        measured = events["measured"]
        return Measurement(
            samples={
                "exec_time": _seconds(measured["run_wall_ns"]),
                "cpu_time": _seconds(measured["run_cpu_ns"]),
                "load_time": _seconds([events["loaded"]["load_ns"]]),
                "prepare_time": _seconds([events["prepared"]["prepare_ns"]]),
                "first_run_time": _seconds([events["first_run"]["first_run_ns"]]),
                "max_rss": _bytes(measured["hwm_after_runs_kib"]),
                "rss_before_load": _bytes(events["opened"]["hwm_before_load_kib"]),
                "rss_after_prepare": _bytes(events["prepared"]["hwm_after_prepare_kib"]),
            },
            warmups={
                "exec_time": _seconds(measured["warmup_wall_ns"]),
                "cpu_time": _seconds(measured["warmup_cpu_ns"]),
            },
            output_error=None if is_baseline else self._compare(measured["outputs"]),
            notes=_notes(events) if is_baseline else (),
        )

    def placement(self, assignment: Assignment) -> Placement | None:
        done = self._probe(assignment, ["--prepare-only"], environment=_LOG_KEYS)
        _checked(done, "prepared")
        found: dict[int, set[str]] = {}
        for index, backend in _PLACEMENT.findall(done.stderr.decode("utf-8", "replace")):
            found.setdefault(int(index), set()).add(backend)
        if not found:  # built without a log, or of another wording
            return None
        wanted = self._space.backend_by_operation(assignment)
        return Placement(
            assignment=assignment,
            backend_by_operation=tuple((i, "+".join(sorted(b))) for i, b in sorted(found.items())),
            mismatches=tuple(
                f"operation {i}: {backend} was asked for, "
                f"{'+'.join(sorted(found[i])) if i in found else 'nothing'} was reported"
                for i, backend in wanted.items()
                if backend not in found.get(i, ())
            ),
        )

    def close(self) -> None:
        self._target.shell.remove(self._target.work)

    def _push_inputs(self, inputs: Sequence[Array]) -> None:
        for i, array in enumerate(inputs):
            remote = self._target.work / f"input.{i}"
            try:
                with tempfile.NamedTemporaryFile(prefix="pareto-profiler-") as local:
                    local.write(np.ascontiguousarray(array).tobytes())
                    local.flush()
                    self._target.shell.push(Path(local.name), remote)
            except OSError as error:
                raise TargetError(f"input {i} cannot be written: {error.strerror}") from error
            shape = ",".join(map(str, array.shape))
            self._inputs += ["--input", str(remote), "--shape", shape]

    def _make_reference(self) -> None:
        """One inference of the baseline, for its outputs: after a resume they are gone."""
        done = self._probe(
            self._space.default, ["--runs", "0", "--write-outputs", str(self._reference)]
        )
        try:
            _checked(done, "measured")
        except RunError as error:
            raise TargetError(
                f"the baseline cannot be run: {error.kind}: {error.message}"
            ) from error
        self._has_reference = True

    def _probe(
        self,
        assignment: Assignment,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> Completed:
        configuration = Configuration.of(
            self._space,
            assignment,
            load_every_backend=self._plan.load_every_backend,
            threads=self._plan.threads,
        )
        command = [str(self._target.probe), "--library", str(self._target.library)]
        command += ["--model", str(self._model), "--backends", ";".join(configuration.backends)]
        placed = dict(environment or {})
        if self._by_name:
            placed |= {f"OP_BACKEND_{name}": b for name, b in configuration.backend_by_name.items()}
        else:
            entries = [f"{i}={b}" for i, b in configuration.backend_by_operation.items()]
            for start in range(0, len(entries), _MAP_ENTRIES):
                command += ["--map", ";".join(entries[start : start + _MAP_ENTRIES])]
        if self._plan.memory_limit_kib:
            command += ["--memory-limit", str(self._plan.memory_limit_kib)]
        limit_s = self._plan.time_limit_s
        command += ["--time-limit", str(int(limit_s) + _PROBE_GRACE_S)]
        return self._target.shell.run(
            [*command, *self._inputs, *arguments],
            environment=configuration.environment | placed,
            time_limit_s=limit_s,
        )

    def _compare(self, outputs: Sequence[Event]) -> float:
        """Largest error as a fraction of the reference's range.

        Raises:
            RunError: An output differs beyond the tolerance.
        """
        largest = 0.0
        for i, output in enumerate(outputs):
            span, error = float(output["reference_range"]), float(output["max_abs_error"])
            size = max(abs(float(output["min"])), abs(float(output["max"])))
            # Of a constant output there is no range, only its size.
            scale = span or size
            allowed = (
                self._plan.tolerance * scale
                + _ROUNDING * size
                + (1.0 if output["dtype"] in _QUANTISED else 0.0)
            )
            if output["reference_bytes"] != output["bytes"]:
                what = (
                    f"has {output['bytes']} bytes, the baseline's has {output['reference_bytes']}"
                )
            elif output["nonfinite_mismatches"]:
                what = f"has {output['nonfinite_mismatches']} NaN or infinite values of its own"
            elif error > allowed:
                what = (
                    f"differs from the baseline's by up to {error:.3g}, {allowed:.3g} is allowed "
                    f"(range of the baseline's {span:.3g}, tolerance {self._plan.tolerance:g})"
                )
            else:
                largest = max(largest, error / (scale or 1.0))
                continue
            raise RunError(FailureKind.WRONG_OUTPUT, f"output {i} {what}")
        return largest


def _notes(events: Mapping[str, Event]) -> tuple[str, ...]:
    """What makes the figures or the checks weaker than they look."""
    notes = []
    for i, output in enumerate(events["measured"]["outputs"]):
        if output["nonfinite"]:
            notes.append(f"output {i} of the baseline has {output['nonfinite']} NaN or infinities")
        elif output["bytes"] > _ONE_ELEMENT_BYTES and output["min"] == output["max"]:
            notes.append(
                f"output {i} of the baseline is the same everywhere: comparing outputs finds "
                f"gross errors only; measure with a telling --input"
            )
    if events["opened"]["addresses"] != "fixed":
        notes.append(
            "address randomisation cannot be switched off here: peak memory scatters by some "
            "100 KiB from process to process"
        )
    return tuple(notes)


def _seconds(nanoseconds: Sequence[int]) -> tuple[float, ...]:
    return tuple(n / 1e9 for n in nanoseconds)


def _bytes(kib: int) -> tuple[float, ...]:
    return (float(kib * 1024),)


def _events(done: Completed) -> list[Event]:
    """The answer's lines; one that a killed process left half written is dropped."""
    events: list[Event] = []
    for line in done.stdout.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def _checked(done: Completed, last: str) -> dict[str, Event]:
    """The events by name, where the probe came to ``last``.

    Raises:
        RunError: The assignment failed.
        TargetError: The probe or the library is unusable.
    """
    events = {str(event.get("event")): event for event in _events(done)}
    if done.status == 0 and not done.timed_out and last in events:
        return events
    words = _words(done)
    stage = "opening the runtime"
    for name, following in (
        ("opened", "load"),
        ("loaded", "prepare"),
        ("prepared", "the first run"),
        ("first_run", "the runs"),
    ):
        stage = following if name in events else stage
    if done.timed_out or done.status == -signal.SIGALRM:
        raise RunError(FailureKind.TIMED_OUT, f"the time limit passed during {stage}")
    if "refused" in events:
        refused = events["refused"]
        if refused["stage"] == "open_library":
            raise TargetError(f"onert cannot be opened: {words}")
        if refused["status"] == _NNFW_OUT_OF_MEMORY or _NO_MEMORY.search(words):
            raise RunError(FailureKind.OUT_OF_MEMORY, f"{refused['stage']}: {words}")
        raise RunError(FailureKind.REJECTED, words or f"{refused['stage']} was refused")
    if done.status == 2:
        raise TargetError(f"the probe cannot do what it was asked: {words}")
    if done.status == -signal.SIGKILL or _NO_MEMORY.search(words):
        raise RunError(
            FailureKind.OUT_OF_MEMORY, f"{_ending(done)} during {stage}, memory ran out: {words}"
        )
    raise RunError(FailureKind.CRASHED, f"{_ending(done)} during {stage}: {words}")


def _words(done: Completed) -> str:
    """What the runtime wrote on stderr, its end where it is long, without its log."""
    lines = [
        line.strip()
        for line in done.stderr.decode("utf-8", "replace").splitlines()
        if line.strip() and not line.startswith("[")
    ]
    return " | ".join(lines)[-_MESSAGE_LIMIT:]


def _ending(done: Completed) -> str:
    if done.status >= 0:
        return f"exit status {done.status}"
    try:
        return f"ended by {signal.Signals(-done.status).name}"
    except ValueError:
        return f"ended by signal {-done.status}"
