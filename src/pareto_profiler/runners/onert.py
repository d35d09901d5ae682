"""OnertRunner: one fresh probe process per assignment, through any shell."""

from __future__ import annotations

import importlib.util
import json
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from pareto_profiler import probe
from pareto_profiler.core.configuration import Configuration
from pareto_profiler.core.graph import Graph
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Placement, Profile
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.runners.inputs import Array, other_inputs
from pareto_profiler.runners.log import (
    LOG_VARIABLES,
    NO_MEMORY,
    NOT_LOADED,
    WRONG_EXECUTOR,
    read_placement,
    words_of_runtime,
)
from pareto_profiler.runners.outputs import largest_error
from pareto_profiler.runners.trace import OperationTime, operation_times, profile_of
from pareto_profiler.runners.workbench import Workbench
from pareto_profiler.shells.base import Completed, Shell

Event = Mapping[str, Any]

# The probe ends itself too, in case the shell's connection is lost.
_PROBE_GRACE_S: Final = 2
_MAP_ENTRIES: Final = 1000
_BACKENDS_LIMIT: Final = 31
_ONE_ELEMENT_BYTES: Final = 8
_NNFW_OUT_OF_MEMORY: Final = 4


@dataclass(frozen=True, slots=True)
class OnertTarget:
    """An onert on a target.

    Attributes:
        shell: How the target is reached.
        probe: The probe on the target.
        library: ``libonert.so`` on the target.
        work: A folder on the target for the model, inputs and reference outputs.
        library_path: Where the library's own libraries are; empty where it finds them itself.
        local_probe: The probe on this machine, where it has to be pushed.
        reads_environment: Whether the runtime takes its settings from environment variables, as
            all do but Tizen's builds; None to find out.
        energy: Files of counters of energy or sensors of power that are read with the runs.
    """

    shell: Shell
    probe: PurePosixPath
    library: PurePosixPath
    work: PurePosixPath
    library_path: str = ""
    local_probe: Path | None = None
    reads_environment: bool | None = None
    energy: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that every start of the probe needs."""
        return {"LD_LIBRARY_PATH": self.library_path} if self.library_path else {}

    def push_probe(self) -> None:
        """Put the probe on the target unless it is there.

        Raises:
            TargetError: It cannot be copied, or the folder allows no programs.
        """
        if self.local_probe is None:
            return
        # What is there may have been cut short by a power failure.
        script = '[ -x "$0" ] && [ "$(wc -c <"$0")" -eq "$1" ]'
        size = self.local_probe.stat().st_size
        there = ["sh", "-c", script, str(self.probe), str(size)]
        if self.shell.run(there, environment={}, time_limit_s=30.0).status:
            self.shell.push(self.local_probe, self.probe)

    def version(self) -> str:
        """The runtime's version, such as ``1.30.0``.

        Raises:
            TargetError: The library cannot be opened or is no onert.
        """
        done = self.shell.run(
            [str(self.probe), "--library", str(self.library), "--version-only"],
            environment=self.environment,
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
        raise TargetError(
            f"{self.library}: no usable onert: {words_of_runtime(done) or _ending(done)}"
        )


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


@dataclass(frozen=True, slots=True)
class Deployed:
    """A configuration as it is shipped, in place of an assignment that the runner realises itself.

    Attributes:
        backends: For the call that sets them, ``;`` between them; empty to leave them alone.
        operation_map: For the call that sets it; empty to leave it alone.
        environment: Variables.
        script: A file for ``sh`` that sets more, on this machine.
        package: An nnpackage directory on this machine; None for the model as the runner has it.
    """

    backends: str = ""
    operation_map: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    script: Path | None = None
    package: Path | None = None


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
        self._target = target
        self._space = space
        self._plan = plan
        self._reference = target.work / "reference"
        self._reference_of = 0
        self._reads_environment = target.reads_environment
        self._bench = Workbench(
            target.shell,
            target.work,
            graph=graph,
            model_file=model_file,
            inputs=inputs,
            needs=[target.probe],
            restore=target.push_probe,
        )
        self._inputs = _input_words(self._bench.input_files, inputs)
        others = other_inputs(inputs)
        is_another = any((a != b).any() for a, b in zip(inputs, others, strict=True))
        self._other_inputs = others if is_another else []
        # onert applies an index map to every subgraph; names are told by variables.
        self._by_name = graph.subgraph_count > 1
        try:
            if self._by_name and not self._bench.until_reached(self._environment_is_read):
                raise TargetError(
                    "this onert ignores environment variables, as Tizen's builds do: where the "
                    "operations of a model with several subgraphs run cannot be told to it"
                )
        except BaseException:
            self.close()
            raise

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        measured = self._bench.until_reached(lambda: self._measure(assignment, is_repeat=is_repeat))
        if assignment != self._space.default or not self._other_inputs:
            return measured
        # A step of its own: what is lost meanwhile does not cost the measurement.
        notes = measured.notes + self._bench.until_reached(self._deafness)
        return replace(measured, notes=notes)

    def placement(self, assignment: Assignment) -> Placement | None:
        return self._bench.until_reached(lambda: self._placement(assignment))

    def trace(self, assignment: Assignment) -> tuple[OperationTime, ...]:
        """How long each operation took, from a run of its own that the runtime traces.

        Tracing takes time itself, and acl_cl tells when work was handed over, not how long it took.

        Returns:
            In the order of execution; empty where the runtime left no trace.

        Raises:
            RunError, SpaceError, TargetError: As :meth:`run`.
        """
        return self._bench.until_reached(lambda: self._trace(assignment))

    @property
    def can_profile(self) -> bool:
        return True

    def profile(self, assignment: Assignment) -> Profile:
        return profile_of(self.trace(assignment))

    def prepare(self, backend_by_operation: Mapping[int, str]) -> None:
        """Let the runtime prepare some operations on the backends given, others on the first one.

        Raises:
            RunError: It does not.
            TargetError: The target is unusable.
        """
        first = self._space.backends[0]
        backends = dict.fromkeys((first, *backend_by_operation.values()))

        def step() -> None:
            arguments = [*self._inputs, "--prepare-only"]
            done = self._probe(tuple(backends), backend_by_operation, {}, arguments)
            _checked(done, "prepared")

        self._bench.until_reached(step)

    def loads(self, backend: str) -> bool:
        """Whether a backend can be loaded at all.

        Raises:
            TargetError: The target is unusable.
        """
        index = next(iter(self._space.backend_by_operation(self._space.default)), None)
        if index is None:
            return False
        try:
            self.prepare({index: backend})
        except RunError as error:
            return not NOT_LOADED.search(error.message)
        return True

    def reads_environment(self) -> bool:
        """Whether the runtime takes its settings from environment variables.

        Raises:
            TargetError: The target is unusable.
        """
        return self._bench.until_reached(self._environment_is_read)

    @property
    def space(self) -> DecisionSpace:
        """What may be asked for."""
        return self._space

    def configuration(self, assignment: Assignment) -> Configuration:
        """What an assignment is realised with.

        Raises:
            SpaceError: It is of another space.
        """
        return Configuration.of(
            self._space,
            assignment,
            load_every_backend=self._plan.load_every_backend,
            threads=self._plan.threads,
        )

    def run_deployed(
        self, deployed: Deployed, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        """Measure what is shipped, once, and read back where it puts each operation.

        Args:
            deployed: What is shipped.
            assignment: What it shall realise.

        Returns:
            The measurement, and the placement; None where the runtime cannot tell.

        Raises:
            RunError: It fails, or its outputs are not the baseline's.
            TargetError: The target is unusable.
        """
        return self._bench.until_reached(lambda: self._run_deployed(deployed, assignment))

    def close(self) -> None:
        self._bench.close()

    def _run_deployed(
        self, deployed: Deployed, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        folder = self._target.work / "deployed"
        package, script = self._bench.package, folder / "script.sh"
        if self._reference_of != self._bench.pushed:
            self._make_reference()
        try:
            if deployed.package is not None:
                package = folder / "package"
                for file in sorted(deployed.package.rglob("*")):
                    if file.is_file():
                        self._target.shell.push(file, package / file.relative_to(deployed.package))
            prefix = ["sh", "-c", '. "$0" && exec "$@"', str(script)] if deployed.script else []
            if deployed.script is not None:
                self._target.shell.push(deployed.script, script)

            def start(arguments: Sequence[str], variables: Mapping[str, str]) -> Completed:
                command = self._command(package, deployed.backends, deployed.operation_map)
                return self._target.shell.run(
                    [*prefix, *command, *self._inputs, *arguments],
                    environment={
                        **self._target.environment,
                        **deployed.environment,
                        **variables,
                    },
                    time_limit_s=self._plan.time_limit_s,
                )

            arguments = [*self._runs(), "--random-addresses"]
            done = start([*arguments, "--reference", str(self._reference)], {})
            events = _checked(done, "measured")
            error = largest_error(events["measured"]["outputs"], self._plan.tolerance)
            told = start(["--prepare-only"], LOG_VARIABLES)
            _checked(told, "prepared")
        finally:
            self._target.shell.remove(folder)
        log = told.stderr.decode("utf-8", "replace")
        return _measurement(events, error), read_placement(log, self._space, assignment)

    def _measure(self, assignment: Assignment, *, is_repeat: bool) -> Measurement:
        is_baseline = assignment == self._space.default
        if not is_baseline and self._reference_of != self._bench.pushed:
            self._make_reference()
        outputs = ["--write-outputs" if is_baseline else "--reference", str(self._reference)]
        sensors = [word for file in self._target.energy for word in ("--energy", file)]
        if self._plan.pause_s:
            time.sleep(self._plan.pause_s)
        where = ["--random-addresses"] if is_repeat else []
        done = self._realise(assignment, [*self._runs(), *where, *sensors, *outputs])
        events = _checked(done, "measured")
        notes: tuple[str, ...] = ()
        if is_baseline:
            self._reference_of = self._bench.pushed
            notes = _notes(events, is_repeat=is_repeat)
        self._check_loaded(assignment, events["prepared"]["loaded_backends"])
        return _measurement(
            events,
            0.0
            if is_baseline
            else largest_error(events["measured"]["outputs"], self._plan.tolerance),
            notes=notes,
        )

    def _deafness(self) -> tuple[str, ...]:
        """A note if another input gives the same outputs; found out once, with one inference."""
        inputs = self._other_inputs
        if self._reference_of != self._bench.pushed:
            self._make_reference()
        files = [self._target.work / f"other.{i}" for i in range(len(inputs))]
        for file, array in zip(files, inputs, strict=True):
            self._bench.write(np.ascontiguousarray(array).tobytes(), file)
        compare = ["--runs", "0", "--reference", str(self._reference)]
        done = self._realise(self._space.default, compare, inputs=_input_words(files, inputs))
        self._other_inputs = []
        try:
            largest_error(_checked(done, "measured")["measured"]["outputs"], self._plan.tolerance)
        except RunError:
            return ()  # it differs, as it should; or what takes this input does not take every one
        words = "another input gives the outputs of the baseline, too: that outputs agree proves "
        return (f"{words}nothing with these weights",)

    def _placement(self, assignment: Assignment) -> Placement | None:
        done = self._realise(assignment, ["--prepare-only"], LOG_VARIABLES)
        _checked(done, "prepared")
        return read_placement(done.stderr.decode("utf-8", "replace"), self._space, assignment)

    def _trace(self, assignment: Assignment) -> tuple[OperationTime, ...]:
        folder = self._target.work / "trace"
        self._bench.write(b"", folder / "empty")
        # The first two are the way since 1.28, the third is the one before.
        keys = {"TRACING_MODE": "1", "WORKSPACE_DIR": str(folder)}
        keys["TRACE_FILEPATH"] = str(folder / "trace")
        try:
            events = _checked(self._realise(assignment, self._runs(), keys), "measured")
            text = self._bench.read(folder / "trace.chrome.json") or b""
        finally:
            self._target.shell.remove(folder)
        before = 1 + len(events["measured"]["warmup_wall_ns"])
        return operation_times(text.decode("utf-8", "replace"), before)

    def _runs(self) -> list[str]:
        plan = self._plan
        warmups = ["--warmups", "auto" if plan.warmups is None else str(plan.warmups)]
        run_time = ["--run-time-ms", str(round(1000 * plan.run_time_s))]
        if plan.repeats is not None:
            return [*warmups, *run_time, "--runs", str(plan.repeats)]
        counts = ["--runs", str(plan.least_repeats), "--most-runs", str(plan.most_repeats)]
        precision = ["--precision-ppm", str(round(1e6 * plan.precision))]
        return [*warmups, *run_time, *counts, *precision]

    def _check_loaded(self, assignment: Assignment, loaded: Sequence[str]) -> None:
        """That no backend in use was silently replaced by another.

        Raises:
            RunError: One was.
        """
        for backend in sorted(set(self._space.backend_by_operation(assignment).values())):
            if backend not in loaded:
                raise RunError(
                    FailureKind.REJECTED, f"backend {backend} did not load: others took its place"
                )

    def _make_reference(self) -> None:
        """One inference of the baseline, for its outputs: after a resume they are gone."""
        done = self._realise(
            self._space.default, ["--runs", "0", "--write-outputs", str(self._reference)]
        )
        try:
            _checked(done, "measured")
        except RunError as error:
            raise TargetError(
                f"the baseline cannot be run: {error.kind}: {error.message}"
            ) from error
        self._reference_of = self._bench.pushed

    def _environment_is_read(self) -> bool:
        """Whether the runtime takes its settings from variables; found out once, by a wrong one."""
        if self._reads_environment is None:
            backends = self._space.backends[:1]
            done = self._probe(backends, {}, WRONG_EXECUTOR, [*self._inputs, "--prepare-only"])
            events = {event.get("event") for event in _events(done)}
            self._reads_environment = "prepared" not in events
        return self._reads_environment

    def _realise(
        self,
        assignment: Assignment,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        inputs: Sequence[str] = (),
    ) -> Completed:
        """Start the probe on an assignment, with the inputs of the search or other ones."""
        configuration = self.configuration(assignment)
        variables = dict(environment or {})
        if self._environment_is_read():
            variables |= configuration.environment
        else:
            self._bench.tell(configuration.environment | variables)
        by_operation: Mapping[int, str] = configuration.backend_by_operation
        if self._by_name:
            by_operation = {}
            names = configuration.backend_by_name
            variables |= {f"OP_BACKEND_{name}": backend for name, backend in names.items()}
        words = [*(inputs or self._inputs), *arguments]
        return self._probe(configuration.backends, by_operation, variables, words)

    def _probe(
        self,
        backends: Sequence[str],
        backend_by_operation: Mapping[int, str],
        variables: Mapping[str, str],
        arguments: Sequence[str],
    ) -> Completed:
        named = ";".join(backends)
        if len(named) > _BACKENDS_LIMIT:
            raise RunError(
                FailureKind.REJECTED,
                f"backends {named} are more than the {_BACKENDS_LIMIT} characters onert takes",
            )
        by_operation = ";".join(f"{i}={b}" for i, b in backend_by_operation.items())
        return self._target.shell.run(
            [*self._command(self._bench.package, named, by_operation), *arguments],
            environment=self._target.environment | dict(variables),
            time_limit_s=self._plan.time_limit_s,
        )

    def _command(self, package: PurePosixPath, backends: str, operation_map: str) -> list[str]:
        """The probe's command line but for inputs and what to measure."""
        command = [str(self._target.probe), "--library", str(self._target.library)]
        command += ["--model", str(package)]
        command += ["--backends", backends] if backends else []
        entries = operation_map.split(";") if operation_map else []
        for start in range(0, len(entries), _MAP_ENTRIES):
            command += ["--map", ";".join(entries[start : start + _MAP_ENTRIES])]
        if self._plan.memory_limit_kib:
            command += ["--memory-limit", str(self._plan.memory_limit_kib)]
        if self._plan.cpus:
            command += ["--cpus", self._plan.cpus]
        command += ["--time-limit", str(int(self._plan.time_limit_s) + _PROBE_GRACE_S)]
        return command


def _input_words(files: Sequence[PurePosixPath], arrays: Sequence[Array]) -> list[str]:
    """What tells the probe its inputs."""
    return [
        word
        for file, array in zip(files, arrays, strict=True)
        for word in ("--input", str(file), "--shape", ",".join(map(str, array.shape)))
    ]


def _measurement(
    events: Mapping[str, Event], output_error: float, notes: tuple[str, ...] = ()
) -> Measurement:
    """What the probe measured."""
    measured = events["measured"]
    told = {
        "run_delay": _seconds(measured["run_delay_ns"]),
        "involuntary_switches": tuple(map(float, measured["run_involuntary_switches"])),
        "other_cpus": tuple(n / 1000 for n in measured["run_milli_cpus_of_others"]),
        "steal_time": _seconds([measured["steal_ns"]]),
        "clock_frequency": (measured["clock_khz"] * 1e3,),
        "temperature": (measured["milli_degrees"] / 1e3,),
        "pss": _bytes(measured["pss_kib"]),
        "rss_anon": _bytes(measured["rss_anon_kib"]),
        "rss_file": _bytes(measured["rss_file_kib"]),
        "energy": (measured.get("energy_j", -1.0),),
    }
    return Measurement(
        samples={
            # Where the kernel does not count, it says -1.
            name: values
            for name, values in told.items()
            if all(value >= 0 for value in values)
        }
        | {
            "exec_time": _seconds(measured["run_wall_ns"]),
            "cpu_time": _seconds(measured["run_cpu_ns"]),
            "load_time": _seconds([events["loaded"]["load_ns"]]),
            "prepare_time": _seconds([events["prepared"]["prepare_ns"]]),
            "first_run_time": _seconds([events["first_run"]["first_run_ns"]]),
            "max_rss": _bytes(measured["peak_after_runs_kib"]),
            "rss_before_load": _bytes(events["opened"]["peak_before_load_kib"]),
            "rss_after_load": _bytes(events["loaded"]["peak_after_load_kib"]),
            "rss_after_prepare": _bytes(events["prepared"]["peak_after_prepare_kib"]),
        },
        warmups={
            "exec_time": _seconds(measured["warmup_wall_ns"]),
            "cpu_time": _seconds(measured["warmup_cpu_ns"]),
        },
        output_error=output_error,
        notes=notes,
    )


def _notes(events: Mapping[str, Event], *, is_repeat: bool) -> tuple[str, ...]:
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
    if events["opened"]["addresses"] != "fixed" and not is_repeat:
        notes.append(
            "address randomisation cannot be switched off here: peak memory scatters by some "
            "100 KiB from process to process"
        )
    if events["opened"]["addresses"] == "fixed" and is_repeat:
        notes.append(
            "address randomisation is off here: that repeats agree on peak memory says little of "
            "what it is elsewhere"
        )
    if events["measured"]["pss_kib"] < 0:
        notes.append(
            "the kernel does not show page tables here (/proc/self/smaps): its own count of peak "
            "memory may lack what threads have not reported yet, up to 1 MB"
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
    words = words_of_runtime(done)
    said = words or "it said nothing"
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
            raise TargetError(f"onert cannot be opened: {said}")
        if refused["status"] == _NNFW_OUT_OF_MEMORY or NO_MEMORY.search(words):
            raise RunError(FailureKind.OUT_OF_MEMORY, f"{refused['stage']}: {said}")
        raise RunError(FailureKind.REJECTED, words or f"{refused['stage']} was refused")
    if done.status == 2:
        raise TargetError(f"the probe cannot do what it was asked: {said}")
    if done.status == -signal.SIGKILL or NO_MEMORY.search(words):
        raise RunError(
            FailureKind.OUT_OF_MEMORY, f"{_ending(done)} during {stage}, memory ran out: {said}"
        )
    raise RunError(FailureKind.CRASHED, f"{_ending(done)} during {stage}: {said}")


def _ending(done: Completed) -> str:
    if done.status >= 0:
        return f"exit status {done.status}"
    try:
        return f"ended by {signal.Signals(-done.status).name}"
    except ValueError:
        return f"ended by signal {-done.status}"
