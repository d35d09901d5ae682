"""ToolEngine: the device's own ``onert_run`` or ``nnpackage_run``, of any version since 2021.

The seed's way, and the fallback where the driver cannot run. It reports means only: one sample per
process, without CPU time.
"""

from __future__ import annotations

import io
import re
import shlex
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import numpy as np

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan, cpus_of
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Placement, Profile
from pareto_profiler.drivers.answer import NO_MEMORY, said_by_runtime, words_of_runtime
from pareto_profiler.errors import FailureKind, InputError, RunError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runners.outputs import compared, largest_error
from pareto_profiler.runners.workspace import Workspace
from pareto_profiler.runtimes.base import Launch
from pareto_profiler.runtimes.onert.configuration import OnertConfiguration
from pareto_profiler.runtimes.onert.log import (
    LOG_VARIABLES,
    NOT_LOADED,
    WRONG_EXECUTOR,
    read_placement,
)
from pareto_profiler.runtimes.onert.nnpackage import files_of, package_of, tell
from pareto_profiler.shells.base import Completed, Shell

TOOL_NAMES: Final = ("onert_run", "nnpackage_run")
"""What the tool is called, since 1.22 and before."""

_ANSWER_LIMIT_S: Final = 30.0
# Where the plan leaves it open: the tool itself cannot tell when it is warm.
_WARMUPS: Final = 3
# Since then the runtime reads a package's configuration too late for it to place operations.
_CFG_PLACES_UNTIL: Final = (1, 28)
_KIB: Final = 1024.0
# All of them count whole microseconds, however many digits they print.
_CLOCK_S: Final = 1e-6
# More is an unsigned difference that went below zero.
_MAX_KIB: Final = 2**31


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a tool wants to be spoken to; found out from what it says of itself.

    Attributes:
        version: Of the runtime, such as ``1.26.0``; empty where the tool does not tell.
        flags_take_values: Whether it is ``-m 1`` (until 1.28) or ``-m``.
        has_raw_files: Whether it reads and writes tensors as bare bytes, or as HDF5 only.
        can_report: Whether it can write its figures to a CSV file.
    """

    version: str
    flags_take_values: bool
    has_raw_files: bool
    can_report: bool

    @classmethod
    def of(cls, help_text: str, version_text: str) -> Dialect:
        """Read what ``--help`` and ``--version`` print.

        Raises:
            TargetError: It is no such tool.

        Examples:
            >>> Dialect.of("--nnpackage  -m [ --mem_poll ] arg", "nnpkg_run (v1.14.0)")
            Dialect(version='1.14.0', flags_take_values=True, has_raw_files=False, can_report=False)
        """
        if "mem_poll" not in help_text:
            raise TargetError(f"no onert_run: its help is {' '.join(help_text.split())[:200]!r}")
        found = re.search(r"v(\d+\.\d+\.\d+)", version_text)
        return cls(
            version=found[1] if found else "",
            # Boost's parser, which was replaced in 1.29, and the options that went with it.
            flags_take_values="--nnpackage" in help_text or "--mem_poll ] arg" in help_text,
            has_raw_files="--dump:raw" in help_text,
            can_report="write_report" in help_text,
        )

    def flag(self, name: str) -> list[str]:
        """A switch, turned on."""
        return [name, "1"] if self.flags_take_values else [name]


@dataclass(frozen=True, slots=True)
class Report:
    """What a tool reported, in ms and KiB; None where it did not.

    Attributes:
        mean_ms: Mean of the timed runs.
        load_ms: Loading the model.
        prepare_ms: Compiling it.
        peak_kib: Peak resident set of the process (VmHWM) at its end.
        before_kib: The same before anything was loaded.
    """

    mean_ms: float | None = None
    load_ms: float | None = None
    prepare_ms: float | None = None
    peak_kib: int | None = None
    before_kib: int | None = None


def read_report(text: str) -> Report:
    r"""Read the report on stdout, by what its lines say and not by where they stand.

    What a banner, a log, a terminal's line ends or other lines add does no harm; of two reports the
    last counts.

    Examples:
        >>> read_report("EXECUTE      takes 8.5 ms\r\n- MEAN     :  8.5 ms\r\n").mean_ms
        8.5
    """
    phases: dict[str, float] = {}
    figures: dict[str, int] = {}
    mean: float | None = None
    section = ""
    for line in text.splitlines():
        words = line.strip()
        if words in {"RSS", "HWM", "PSS"}:
            section = words
        elif found := re.fullmatch(r"(MODEL_LOAD|PREPARE|EXECUTE)\s+takes\s+([\d.]+) ms", words):
            phases[found[1]] = float(found[2])
        elif found := re.fullmatch(r"- MEAN\s*:\s+([\d.]+) ms", words):
            mean = float(found[1])
        elif found := re.fullmatch(r"- (\w+)\s+takes\s+(\d+) kb", words):
            figures[f"{section} {found[1]}"] = int(found[2])
        elif found := re.fullmatch(r"- HWM (after run|before init)\s*:\s+(\d+) kb", words):
            figures[found[1]] = int(found[2])
    return Report(
        mean_ms=mean,
        load_ms=phases.get("MODEL_LOAD"),
        prepare_ms=phases.get("PREPARE"),
        peak_kib=_sane(figures.get("after run", figures.get("HWM PEAK"))),
        before_kib=_sane(figures.get("before init")),
    )


def read_csv_report(text: str) -> Report:
    r"""Read the file that ``--write_report`` leaves: a line of names, a line of values.

    Examples:
        >>> read_csv_report("Model,Execute_Time_Mean,Peak_HWM\nm,8.5,7000\n").peak_kib
        7000
    """
    lines = [line.split(",") for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return Report()
    values = dict(zip((name.strip() for name in lines[0]), lines[-1], strict=False))

    def number(name: str) -> float | None:
        try:
            return float(values[name])
        except (KeyError, ValueError):
            return None

    peak = number("Peak_HWM")
    return Report(
        mean_ms=number("Execute_Time_Mean"),
        load_ms=number("ModelLoad_Time"),
        prepare_ms=number("Prepare_Time"),
        peak_kib=_sane(None if peak is None else int(peak)),
    )


def find_tool(shell: Shell, given: str) -> PurePosixPath | None:
    """The tool in a folder, or the tool itself; None where it is not there."""
    folder = shlex.quote(given)
    script = f"for n in {' '.join(TOOL_NAMES)}; do "
    script += f'[ -x {folder}/$n ] && {{ printf %s/%s {folder} "$n"; exit; }}; done; '
    script += f"[ -f {folder} ] && [ -x {folder} ] && printf %s {folder}"
    done = shell.run(["sh", "-c", script], environment={}, time_limit_s=_ANSWER_LIMIT_S)
    found = done.stdout.decode("utf-8", "replace")
    return PurePosixPath(found) if found else None


@dataclass(frozen=True, slots=True)
class OnertRunTarget:
    """A tool on a target.

    Attributes:
        shell: How the target is reached.
        tool: The program.
        library_path: Where its libraries are; empty where it finds them itself.
    """

    shell: Shell
    tool: PurePosixPath
    library_path: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that every start of the tool needs."""
        return {"LD_LIBRARY_PATH": self.library_path} if self.library_path else {}

    def dialect(self) -> Dialect:
        """Ask the tool what it is.

        Raises:
            TargetError: It cannot be started, or is something else.
        """
        said = []
        for option in ("--help", "--version"):
            done = self.shell.run(
                [str(self.tool), option],
                environment=self.environment,
                time_limit_s=_ANSWER_LIMIT_S,
            )
            said.append((done.stdout + done.stderr).decode("utf-8", "replace"))
        try:
            return Dialect.of(*said)
        except TargetError as error:
            raise TargetError(f"{self.tool}: {error}") from error


class ToolEngine:
    """Measures assignments of one model with the device's own tool.

    Args:
        target: Where to measure.
        folder: A folder on the target for the model, inputs and outputs.
        space: What may be asked for.
        plan: How to measure.
        model: The model.
        inputs: Input tensors.

    Raises:
        TargetError: The target cannot take the files, or its tool cannot be told where operations
            are to run.
    """

    def __init__(
        self,
        target: OnertRunTarget,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        *,
        model: Model,
        inputs: Sequence[Array],
    ) -> None:
        self._target = target
        self._folder = folder
        self._space = space
        self._plan = plan
        self._model = model
        self._graph = model.graph
        self._dialect = target.dialect()
        self._reference: list[Array] | None = None
        files = dict(files_of(folder, model))
        files |= {
            folder / f"input.{i}": np.ascontiguousarray(a).tobytes() for i, a in enumerate(inputs)
        }
        self._workspace = Workspace(target.shell, folder, files, needs=[target.tool])
        self._inputs = list(inputs)
        self._h5_pushed = 0
        try:
            self._reads_environment = self._workspace.recovering(self._find_out)
        except BaseException:
            self.close()
            raise

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        del is_repeat  # each is left to chance
        return self._workspace.recovering(lambda: self._measure(assignment))

    def placement(self, assignment: Assignment) -> Placement | None:
        def read() -> Placement | None:
            done = self._start(assignment, ["-w", "0", "-r", "1"], LOG_VARIABLES)
            _check(done)
            text = (done.stdout + done.stderr).decode("utf-8", "replace")
            return read_placement(text, self._space, assignment)

        return self._workspace.recovering(read)

    def loads(self, backend: str) -> bool:
        indices = self._space.backend_by_operation(self._space.default)
        return not NOT_LOADED.search(self.refusal(dict.fromkeys(indices, backend)))

    def refusal(self, backend_by_operation: Mapping[int, str]) -> str:
        assignment = tuple(
            next((backend_by_operation[o] for o in v.operations if o in backend_by_operation), c)
            for v, c in zip(self._space.variables, self._space.default, strict=True)
        )
        try:
            self._workspace.recovering(
                lambda: _check(self._start(assignment, ["-w", "0", "-r", "1"]))
            )
        except RunError as error:
            return error.message or "refused"
        return ""

    def reference(self) -> list[Array] | None:
        if self._reference is None:
            self._workspace.recovering(self._make_reference)
        return self._reference

    def compare_on(self, sets: Sequence[Sequence[Array]]) -> None:
        if sets:
            raise InputError("several inputs: the target's own tool takes one, a driver takes all")

    def remarks(self) -> list[str]:
        return []

    def run_artifact(
        self, launch: Launch, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        del launch, assignment
        raise TargetError(f"{self._target.tool.name} cannot run it, the driver is needed")

    @property
    def can_profile(self) -> bool:
        return False

    def profile(self, assignment: Assignment) -> Profile:
        self._space.check(assignment)
        raise RunError(FailureKind.REJECTED, "the device's own tool does not trace")

    def close(self) -> None:
        self._workspace.close()

    def _find_out(self) -> bool:
        """Whether the tool's runtime takes its settings from variables.

        Raises:
            TargetError: Neither from there nor from the package.
        """
        self._reads_environment = True
        done = self._start(self._space.default, ["-w", "0", "-r", "1"], WRONG_EXECUTOR)
        if done.status:
            return True
        version = self._dialect.version
        if not version or tuple(map(int, version.split(".")[:2])) >= _CFG_PLACES_UNTIL:
            raise TargetError(
                f"{self._target.tool} {version or '(of unknown version)'} ignores environment "
                f"variables, as Tizen's builds do, and since 1.28 packages too: use the driver"
            )
        return False

    def _measure(self, assignment: Assignment) -> Measurement:
        is_baseline = assignment == self._space.default
        if not is_baseline and self._reference is None:
            self._make_reference()
        if self._plan.pause_s:
            time.sleep(self._plan.pause_s)
        # Memory is looked at during warm-ups only, so one there must be.
        warmups = _WARMUPS if self._plan.warmups is None else max(1, self._plan.warmups)
        runs = ["-w", str(warmups), "-r", str(self._plan.repeats or self._plan.min_repeats)]
        runs += self._dialect.flag("-m")
        if self._dialect.can_report:
            runs += self._dialect.flag("-p")
        done = self._start(assignment, runs)
        _check(done)
        report = read_report(done.stdout.decode("utf-8", "replace"))
        if report.mean_ms is None or report.peak_kib is None:
            report = self._read_csv()
        if report.mean_ms is None or report.peak_kib is None:
            raise TargetError(
                f"{self._target.tool}: no time and memory in its report: {said_by_runtime(done)}"
            )
        if report.mean_ms <= 0:
            raise RunError(
                FailureKind.REJECTED,
                f"{self._target.tool.name} reports a mean of {report.mean_ms:g} ms: the runs are "
                f"too short for its clock, whose resolution is 1 µs; measure with the driver",
            )
        outputs = self._read_outputs()
        error = None
        if is_baseline:
            self._reference = outputs
            error = None if outputs is None else 0.0
        elif outputs is not None and self._reference is not None:
            pairs = zip(outputs, self._reference, strict=True)
            error = largest_error(
                [compared(a, b) for a, b in pairs], self._plan.tolerance, self._plan.tolerance_kind
            )
        samples = {
            "exec_time": (report.mean_ms, 1e-3),
            "clock_resolution": (_CLOCK_S, 1.0),
            "load_time": (report.load_ms, 1e-3),
            "prepare_time": (report.prepare_ms, 1e-3),
            "max_rss": (report.peak_kib, _KIB),
            "rss_before_load": (report.before_kib, _KIB),
        }
        notes: tuple[str, ...] = (
            f"{self._target.tool.name} tells means only: one sample per process",
        )
        if outputs is None:
            notes += ("outputs cannot be read back: wrong ones are not found",)
        return Measurement(
            samples={
                name: (value * factor,)
                for name, (value, factor) in samples.items()
                if value is not None
            },
            output_error=error,
            notes=notes if is_baseline else (),
        )

    def _make_reference(self) -> None:
        """One inference of the baseline, for its outputs: after a resume they are gone."""
        try:
            _check(self._start(self._space.default, ["-w", "0", "-r", "1"]))
        except RunError as error:
            raise TargetError(
                f"the baseline cannot be run: {error.kind}: {error.message}"
            ) from error
        self._reference = self._read_outputs()

    def _start(
        self,
        assignment: Assignment,
        runs: Sequence[str],
        variables: Mapping[str, str] | None = None,
    ) -> Completed:
        configuration = OnertConfiguration.of(
            self._space,
            assignment,
            load_every_backend=self._plan.load_every_backend,
            threads=self._plan.threads,
        )
        told = {"BACKENDS": ";".join(configuration.backends)} | configuration.environment
        if configuration.backend_by_name:
            names = configuration.backend_by_name
            told |= {f"OP_BACKEND_{name}": backend for name, backend in names.items()}
        elif configuration.operation_map:
            told["OP_BACKEND_MAP"] = configuration.operation_map
        environment = self._target.environment
        if self._reads_environment:
            environment = environment | told
        else:
            tell(self._workspace, self._model, told | dict(variables or {}))
        command = [str(self._target.tool), str(package_of(self._folder)), *runs, *self._tensors()]
        # In a folder of its own and empty: the report and the outputs are this run's.
        before = 'rm -rf "$0" && mkdir -p "$0" && cd "$0"'
        if self._plan.memory_limit_kib:
            before += f" && ulimit -d {self._plan.memory_limit_kib}"
        if self._plan.cpus:
            # As a bit mask, which every taskset takes.
            mask = sum({1 << cpu for cpu in cpus_of(self._plan.cpus)})
            command = ["taskset", f"{mask:x}", *command]
        return self._target.shell.run(
            ["sh", "-c", f'{before} && exec "$@"', str(self._out), *command],
            environment=environment | dict(variables or {}),
            time_limit_s=self._plan.time_limit_s,
        )

    @property
    def _out(self) -> PurePosixPath:
        return self._folder / "out"

    def _tensors(self) -> list[str]:
        """Options that name the inputs and the outputs."""
        if self._dialect.has_raw_files:
            inputs = ["--load:raw", str(self._folder / "input")] if self._inputs else []
            return [*inputs, "--dump:raw", str(self._out / "output")]
        if self._h5_pushed != self._workspace.pushed:
            self._workspace.write(_h5_of(self._inputs), self._folder / "inputs.h5")
            self._h5_pushed = self._workspace.pushed
        return ["-l", str(self._folder / "inputs.h5"), "-d", str(self._out / "outputs.h5")]

    def _read_outputs(self) -> list[Array] | None:
        """The outputs of the last run; None where the tool left none."""
        if not self._dialect.has_raw_files:
            content = self._workspace.read(self._out / "outputs.h5")
            return None if content is None else _arrays_of(content)
        arrays: list[Array] = []
        for i, t in enumerate(self._graph.outputs):
            content = self._workspace.read(self._out / f"output.{i}")
            if content is None:
                return None
            dtype = np.dtype(self._graph.tensors[t].dtype)
            whole = len(content) // dtype.itemsize * dtype.itemsize
            arrays.append(np.frombuffer(content[:whole], dtype))
        return arrays

    def _read_csv(self) -> Report:
        done = self._target.shell.run(
            ["sh", "-c", 'cat "$0"/*.csv', str(self._out)],
            environment={},
            time_limit_s=_ANSWER_LIMIT_S,
        )
        return read_csv_report(done.stdout.decode("utf-8", "replace"))


def _sane(kib: int | None) -> int | None:
    return kib if kib is not None and 0 < kib < _MAX_KIB else None


def _h5_of(arrays: Sequence[Array]) -> bytes:
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for i, array in enumerate(arrays):
            file[f"value/{i}"] = array
    return content.getvalue()


def _arrays_of(content: bytes) -> list[Array] | None:
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            group = file["value"]
            return [np.asarray(group[name]) for name in sorted(group, key=int)]
    except (OSError, KeyError, ValueError):
        return None


def _check(done: Completed) -> None:
    """See that a run ended well.

    Raises:
        RunError: It did not.
    """
    said = said_by_runtime(done)
    if done.timed_out:
        raise RunError(FailureKind.TIMED_OUT, f"the time limit passed: {said}")
    if done.status == 0:
        return
    words = words_of_runtime(done)
    if done.status == -signal.SIGKILL or NO_MEMORY.search(words):
        raise RunError(FailureKind.OUT_OF_MEMORY, f"memory ran out: {said}")
    if done.status < 0:
        raise RunError(FailureKind.CRASHED, f"ended by signal {-done.status}: {said}")
    raise RunError(FailureKind.REJECTED, words or f"exit status {done.status}: {said}")
