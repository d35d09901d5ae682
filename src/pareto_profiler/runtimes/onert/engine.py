"""OnertEngine: assignments of one model on onert, through its driver."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Placement, Profile
from pareto_profiler.drivers.answer import Event, checked, events_of, measurement_of
from pareto_profiler.drivers.engine import (
    Driver,
    DriverEngine,
    Realisation,
    place_of,
    run_program,
    start_program,
)
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Launch
from pareto_profiler.runtimes.onert.configuration import OnertConfiguration
from pareto_profiler.runtimes.onert.log import (
    LOG_VARIABLES,
    NOT_LOADED,
    WRONG_EXECUTOR,
    read_placement,
)
from pareto_profiler.runtimes.onert.nnpackage import files_of, package_of, tell
from pareto_profiler.runtimes.onert.trace import operation_times, profile_of
from pareto_profiler.shells.base import Completed

BACKENDS_LIMIT: Final = 31
"""Characters that onert's call for backends takes."""

_LOG = logging.getLogger(__name__)


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
        "pip install onert, or name a library with --library"
    )


@dataclass(frozen=True, slots=True)
class OnertLaunch(Launch):
    """A configuration as it is shipped, in place of an assignment that the engine realises itself.

    Attributes:
        backends: For the call that sets them, ``;`` between them; empty to leave them alone.
        operation_map: For the call that sets it; empty to leave it alone.
        environment: Variables.
        script: A file for ``sh`` that sets more, on this machine.
        package: An nnpackage directory on this machine; None for the model as the engine has it.
        program: A Python program on this machine that runs the model.
        calls_instead: Backends and map for an onert that ignores those of a package.
    """

    backends: str = ""
    operation_map: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    script: Path | None = None
    package: Path | None = None
    program: Path | None = None
    calls_instead: tuple[str, str] = ("", "")


class OnertEngine(DriverEngine):
    """Measures assignments of one model with onert.

    Args:
        driver: What measures.
        folder: A folder on the target for the package, inputs and reference outputs.
        space: What may be asked for.
        plan: How to measure.
        model: The model.
        inputs: Input tensors.
        reads_environment: Whether the runtime takes its settings from environment variables, as
            all do but Tizen's builds; None to find out.
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
        model: Model,
        inputs: Sequence[Array],
        reads_environment: bool | None = None,
        energy: Sequence[str] = (),
    ) -> None:
        files = files_of(folder, model)
        super().__init__(
            driver,
            folder,
            space,
            plan,
            files=files,
            inputs=inputs,
            output_types=model.graph.output_types,
            energy=energy,
        )
        self._model = model
        self._package = package_of(folder)
        self._reads_environment = reads_environment
        self._ignoring: set[Path | None] = set()
        # onert applies an index map to every subgraph; names are told by variables.
        self._by_name = model.graph.subgraph_count > 1
        try:
            if self._by_name and not self._workspace.recovering(self._environment_is_read):
                raise TargetError(
                    "this onert ignores environment variables, as Tizen's builds do: where the "
                    "operations of a model with several subgraphs run cannot be told to it"
                )
        except BaseException:
            self.close()
            raise

    def loads(self, backend: str) -> bool:
        index = next(iter(self._space.backend_by_operation(self._space.default)), None)
        if index is None:
            return False
        try:
            return not NOT_LOADED.search(self.refusal({index: backend}))
        except RunError:
            return True

    def remarks(self) -> list[str]:
        if self._workspace.recovering(self._environment_is_read):
            return []
        words = "this onert ignores environment variables, as Tizen's builds do: settings go by "
        return [f"{words}the package, placements by the driver; placements cannot be read back"]

    def run_artifact(
        self, launch: Launch, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        if not isinstance(launch, OnertLaunch):
            raise TargetError("what was written is for another runtime")
        if launch.program is not None:
            measurement = run_program(launch.program)
            told = start_program(launch.program, 1, LOG_VARIABLES)
            log = (told.stdout + told.stderr).decode("utf-8", "replace")
            return measurement, read_placement(log, self._space, assignment)
        if launch.package in self._ignoring:
            launch = _with_calls(launch)
        found = self._workspace.recovering(lambda: self._run_artifact(launch, assignment))
        placement = found[1]
        is_elsewhere = placement is not None and bool(placement.mismatches)
        if not is_elsewhere or launch.backends or not launch.calls_instead[0]:
            return found
        _LOG.warning(
            "this onert ignores backends that a package's configuration names: the application has "
            "to make the two calls in its metadata; verified with these"
        )
        self._ignoring.add(launch.package)
        return self.run_artifact(launch, assignment)

    def _run_artifact(
        self, launch: OnertLaunch, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        folder = self._folder / "deployed"
        shell, package, script = self._driver.shell, self._package, folder / "script.sh"
        self._have_reference()
        try:
            if launch.package is not None:
                package = folder / "package"
                for file in sorted(launch.package.rglob("*")):
                    if file.is_file():
                        shell.push(file, package / file.relative_to(launch.package))
            if launch.script is not None:
                shell.push(launch.script, script)
            count = len(self._model.graph.operations)
            request: dict[str, Any] = {"model": str(package), "operations": count}
            if launch.backends:
                request["backends"] = {b: {} for b in launch.backends.split(";")}
            if launch.operation_map:
                entries = (e.split("=", 1) for e in launch.operation_map.split(";"))
                request["place"] = place_of({int(i): b for i, b in entries})
            prefix = ["sh", "-c", '. "$0" && exec "$@"', str(script)] if launch.script else []
            way = Realisation(request, launch.environment, prefix)
            members = {**self._runs(), "reference": str(self._reference)}
            events = self._answer(way, members, "measured", is_random=True)
            error = self._error_of(events)
            told = self._start(way, {"prepare_only": True}, environment=LOG_VARIABLES)
            checked(told, "prepared")
        finally:
            shell.remove(folder)
        return measurement_of(events, error), read_placement(_log(told), self._space, assignment)

    def _placement(self, assignment: Assignment) -> Placement | None:
        way = self._realise(assignment, LOG_VARIABLES)
        done = self._start(way, {"prepare_only": True})
        checked(done, "prepared")
        return read_placement(_log(done), self._space, assignment)

    def _profile(self, assignment: Assignment) -> Profile:
        folder = self._folder / "trace"
        self._workspace.write(b"", folder / "empty")
        # The first two are the way since 1.28, the third is the one before.
        keys = {"TRACING_MODE": "1", "WORKSPACE_DIR": str(folder)}
        keys["TRACE_FILEPATH"] = str(folder / "trace")
        try:
            way = self._realise(assignment, keys)
            events = self._answer(way, self._runs(), "measured")
            text = self._workspace.read(folder / "trace.chrome.json") or b""
        finally:
            self._driver.shell.remove(folder)
        before = 1 + len(events["measured"]["warmup_wall_ns"])
        times = operation_times(text.decode("utf-8", "replace"), before)
        return profile_of(times, len(self._model.graph.operations))

    def _check(self, assignment: Assignment, prepared: Event) -> None:
        """See that no backend in use was silently replaced by another."""
        for backend in sorted(set(self._space.backend_by_operation(assignment).values())):
            if backend not in prepared["loaded_backends"]:
                raise RunError(
                    FailureKind.REJECTED, f"backend {backend} did not load: others took its place"
                )

    def _environment_is_read(self) -> bool:
        """Whether the runtime takes its settings from variables; found out once, by a wrong one."""
        if self._reads_environment is None:
            way = self._on(self._space.backends[:1], {}, WRONG_EXECUTOR)
            done = self._start(way, {"prepare_only": True})
            events = {event.get("event") for event in events_of(done)}
            self._reads_environment = "prepared" not in events
        return self._reads_environment

    def _realise(
        self, assignment: Assignment, variables: Mapping[str, str] | None = None
    ) -> Realisation:
        configuration = OnertConfiguration.of(
            self._space,
            assignment,
            load_every_backend=self._plan.load_every_backend,
            threads=self._plan.threads,
        )
        told = configuration.environment | dict(variables or {})
        if not self._environment_is_read():
            tell(self._workspace, self._model, told)
            told = {}
        if not self._by_name:
            return self._on(configuration.backends, configuration.backend_by_operation, told)
        names = configuration.backend_by_name
        told |= {f"OP_BACKEND_{name}": backend for name, backend in names.items()}
        return self._on(configuration.backends, {}, told)

    def _prepare(self, backend_by_operation: Mapping[int, str]) -> Realisation:
        first = self._space.backends[0]
        backends = dict.fromkeys((first, *backend_by_operation.values()))
        return self._on(tuple(backends), backend_by_operation, {})

    def _on(
        self,
        backends: Sequence[str],
        backend_by_operation: Mapping[int, str],
        variables: Mapping[str, str],
    ) -> Realisation:
        named = ";".join(backends)
        if len(named) > BACKENDS_LIMIT:
            raise RunError(
                FailureKind.REJECTED,
                f"backends {named} are more than the {BACKENDS_LIMIT} characters onert takes",
            )
        request = {
            "model": str(self._package),
            "backends": {backend: {} for backend in backends},
            "place": place_of(backend_by_operation),
            "operations": len(self._model.graph.operations),
        }
        return Realisation(request, variables)


def _with_calls(launch: OnertLaunch) -> OnertLaunch:
    backends, operation_map = launch.calls_instead
    return replace(launch, backends=backends, operation_map=operation_map)


def _log(done: Completed) -> str:
    return done.stderr.decode("utf-8", "replace")
