"""Jobs: from what somebody asks for to the model, space, plan and engine of a search."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Final, Self

from pareto_profiler.adapting import adapted_file, way_forward
from pareto_profiler.core.configuration import settings_to_vary
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.plan import Plan, cpus_of
from pareto_profiler.core.recording import Header
from pareto_profiler.core.rules import CONFIDENCE, MARGIN
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import Support, SupportTable
from pareto_profiler.errors import InputError, ModelError, OtherKindError, TargetError
from pareto_profiler.models import Model, load, sized
from pareto_profiler.runners import inputs
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runners.machine import describe, energy_sources
from pareto_profiler.runtimes import (
    FUNCTION,
    PYTHON_ONLY,
    RUNTIMES,
    runtime,
    runtime_for,
    runtime_of,
)
from pareto_profiler.runtimes.base import Engine, Installation, Runtime, Where
from pareto_profiler.shells.base import Shell
from pareto_profiler.storage.seed_formats import Oplist
from pareto_profiler.targets import Target
from pareto_profiler.targets import boards as boards_of
from pareto_profiler.version import __version__

WORK_PREFIX: Final = ".pareto-profiler-work-"
"""Of folders inside a run's, where an engine on this machine has its files."""
_LOG: Final = logging.getLogger(__name__)
# A board of several is not waited for: others measure what it was to.
_PATIENCE_OF_MANY_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Choices:
    """What somebody asks for, by whichever command or call.

    Attributes:
        model: File or package.
        granularity: What shares a backend.
        backends: Of the space, the baseline's first; or how many of those that there are, as one
            number; empty for all.
        oplist: Takes grouping and order from this file.
        adapt: Whether a model that the runtime refuses is adapted to it first.
        original: What ``model`` was adapted from, and the sizes that were fixed; None where it was
            not.
        vary: Settings to search over, too.
        only: Indices of the operations to decide; empty for all.
        allow, forbid: ``BACKEND:OPERATION``, whatever the support tables say.
        objectives: Names of what is minimised.
        plan: What differs from the target's own plan.
        input_file: Input tensors; None for the model's own, else random ones.
        input_shapes: ``NAME=1,224,224,3`` for inputs whose sizes the model leaves free.
        runtime: What runs the model; empty for the default.
        library: Of the runtime, on the target.
        target: Where it is measured.
        targets_file: Where targets are described.
        address: Of the target; those of several boards are joined by commas.
        run_folder: Where on the target the runtime or its own tool is.
        sampler: Who proposes.
        seed: Of chance.
        margin, confidence: Of verdicts.
        command: How all that was asked for, for the record.
    """

    model: Path
    granularity: Granularity = Granularity.NAME
    backends: Sequence[str] = ()
    oplist: Path | None = None
    adapt: bool = False
    original: tuple[Path, Sequence[str]] | None = None
    vary: Sequence[str] = ()
    only: Sequence[int] = ()
    allow: Sequence[str] = ()
    forbid: Sequence[str] = ()
    objectives: Sequence[str] = ("exec_time", "max_rss")
    plan: Mapping[str, Any] = field(default_factory=dict)
    input_file: Path | None = None
    input_shapes: Sequence[str] = ()
    runtime: str = ""
    library: str = ""
    target: str = "local"
    targets_file: Path | None = None
    address: str = ""
    run_folder: str = ""
    sampler: str = "random"
    seed: int = 0
    margin: float = MARGIN
    confidence: float = CONFIDENCE
    command: str = ""


Start = Callable[[PurePosixPath, DecisionSpace], Engine]
"""Makes an engine, with its files in a folder of the target."""


@dataclass(frozen=True, slots=True)
class Job:
    """A search that is ready to begin.

    Attributes:
        model: What was read.
        header: The circumstances, plan and space included.
        inputs: Sets of input tensors, the measured one first.
        boards: What a board is called → how it is reached: all that may measure.
        board: The one that this is about.
        shell: How that is reached; closed when the job, as a context, ends.
        runtime: What runs the model.
        installation: That, as it was found on the board.
        digest: What tells its build from others, where there are other boards.
        start: Makes the engine, with its files in a folder of the board.
        choices: What was asked for.
    """

    model: Model
    header: Header
    inputs: Sequence[Sequence[Array]]
    boards: Mapping[str, Target]
    board: str
    shell: Shell
    runtime: Runtime
    installation: Installation
    digest: str
    start: Start
    choices: Choices

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shell.close()

    @property
    def target(self) -> Target:
        """The board that this is about."""
        return self.boards[self.board]

    def engine(self, run_folder: Path) -> Engine:
        """An engine with its files on the target: here in a new folder inside the run's.

        Raises:
            TargetError: The files cannot be put there.
        """
        if self.target.shell != "local":
            purpose = f"{run_folder.resolve()} {self.board}"
            return self.start(folder_on(self.target, purpose), self.header.space)
        try:
            work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=run_folder))
        except OSError as error:
            raise TargetError(f"{run_folder}: no folder can be made: {error.strerror}") from error
        return self.start(PurePosixPath(work.resolve()), self.header.space)

    def on(self, board: str) -> Job:
        """The same on another board; its shell is to be closed, too.

        Raises:
            OtherKindError: Its processor or its runtime is another.
            TargetError: It cannot be reached, or nothing there can measure.
        """
        target = self.boards[board]
        shell = _open(target, self.boards)
        try:
            check_machine(self.header.machine, shell)
            installation = install(self.runtime, target, shell, self.choices)
            if installation.name != self.installation.name:
                raise OtherKindError(
                    f"{installation.name} is there: expected {self.installation.name}, "
                    f"as on {self.board}"
                )
            if installation.digest() != self.digest:
                raise OtherKindError(
                    f"its library of {installation.name} is another build than on {self.board}: "
                    f"install the same"
                )
            plan = _plan_on(target, self.choices, self.inputs)
            start = _starter(installation, plan, self.model, self.inputs)
        except BaseException:
            shell.close()
            raise
        return replace(self, board=board, shell=shell, installation=installation, start=start)


def check_machine(machine: Mapping[str, Any] | None, shell: Shell) -> None:
    """See that a board is there and has the processor of the others.

    Raises:
        OtherKindError: It has not.
        TargetError: It cannot be reached.
    """
    here = describe(shell).to_json()
    for name in ("architecture", "cpu", "cores"):
        if machine and name in machine and here[name] != machine[name]:
            raise OtherKindError(
                f"its {name} is {here[name]}: expected {machine[name]}, as where the search began"
            )


@contextlib.contextmanager
def measuring(choices: Choices, space: DecisionSpace | None = None) -> Iterator[tuple[Job, Engine]]:
    """A job and an engine for it, whose files are gone in the end; see :func:`prepare`."""
    with (
        prepare(choices, space) as job,
        tempfile.TemporaryDirectory(prefix="pareto-profiler-") as folder,
        contextlib.closing(job.engine(Path(folder))) as engine,
    ):
        yield job, engine


def prepare(choices: Choices, space: DecisionSpace | None = None) -> Job:
    """Read the model, ask the target, and work out the space.

    Args:
        choices: What the user asked for.
        space: Instead of the one that the choices describe: of a run that goes on.

    Raises:
        InputError, ModelError, SpaceError, TargetError: As what they say.
    """
    objectives_of(choices.objectives)
    boards = boards_of(choices.target, choices.targets_file, choices.address)
    room = runtime_for(choices.model, choices.runtime)
    if choices.adapt:
        choices = _adapted(choices, room)
    model = load_measurable(room, choices.model, is_adapted=choices.adapt)
    board, shell = _first_there(boards)
    try:
        return _prepare(choices, room, model, boards, board, shell, space)
    except BaseException:
        shell.close()
        raise


def _first_there(boards: Mapping[str, Target]) -> tuple[str, Shell]:
    """The first board that answers; a single one is not asked."""
    error: TargetError | None = None
    for board, target in boards.items():
        shell = _open(target, boards)
        if len(boards) == 1:
            return board, shell
        try:
            describe(shell)
        except TargetError as problem:
            shell.close()
            error = error or problem
        else:
            return board, shell
    assert error is not None  # noqa: S101 - a name stands for one board at least
    raise error


def _open(target: Target, boards: Mapping[str, Target]) -> Shell:
    if len(boards) == 1:
        return target.open_shell()
    return replace(target, patience_s=min(target.patience_s, _PATIENCE_OF_MANY_S)).open_shell()


def _adapted(choices: Choices, room: Runtime) -> Choices:
    made = adapted_file(room, choices.model, choices.input_shapes, choices.input_file)
    if made is None:
        return choices
    done = "; ".join(made.words) or "its free sizes are fixed"
    _LOG.warning("adapted to %s: %s; as %s", room.name, done, made.path)
    # What was free is fixed in the file.
    original = (choices.model, choices.input_shapes)
    return replace(choices, model=made.path, original=original, input_shapes=())


def _prepare(
    choices: Choices,
    room: Runtime,
    model: Model,
    boards: Mapping[str, Target],
    board: str,
    shell: Shell,
    space: DecisionSpace | None,
) -> Job:
    target = boards[board]
    machine = describe(shell)
    needs_energy = "energy" in choices.objectives
    installation = install(room, target, shell, choices, needs_energy=needs_energy)
    model, sets = _with_inputs(choices, model)
    plan = _plan_on(target, choices, sets)
    start = _starter(installation, plan, model, sets)
    if space is None:
        backends = _backends(choices, room, model, target, installation, start)
        processors = len(cpus_of(plan.cpus)) if plan.cpus else machine.cores
        folder = folder_on(target, f"check by {os.getpid()}")
        table = installation.support(room, backends, folder, model, sets[0])
        space = space_of(choices, room, table, model, backends, processors, plan.threads)
    if len({t.plan.get("cpus", "") for t in boards.values()}) > 1 and "cpus" not in choices.plan:
        plan = replace(plan, cpus="")  # boards have their own
    header = Header(
        model_name=model.name,
        model_digest=model.graph.digest,
        space=space,
        objectives=tuple(o.name for o in objectives_of(choices.objectives)),
        plan=plan,
        target=choices.target,
        runtime=installation.name,
        machine=machine.to_json(),
        sampler=choices.sampler,
        seed=choices.seed,
        tool_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        margin=choices.margin,
        confidence=choices.confidence,
        origin=_origin(choices),
        graph=model.graph,
        traits=room.traits,
    )
    digest = installation.digest() if len(boards) > 1 else ""
    return Job(
        model, header, sets, boards, board, shell, room, installation, digest, start, choices
    )


def _plan_on(target: Target, choices: Choices, sets: Sequence[Sequence[Array]]) -> Plan:
    digest = inputs.digest_of([array for one in sets for array in one])
    return Plan(**{**target.plan, **choices.plan, "input_digest": digest})


def _starter(
    installation: Installation, plan: Plan, model: Model, sets: Sequence[Sequence[Array]]
) -> Start:
    def start(folder: PurePosixPath, space: DecisionSpace) -> Engine:
        engine = installation.start(folder, space, plan, model, sets[0])
        engine.compare_on(sets[1:])
        return engine

    return start


def _with_inputs(choices: Choices, model: Model) -> tuple[Model, list[list[Array]]]:
    """The model in the sizes that the inputs fix, and sets of these, the measured one first."""
    model = sized(model, inputs.shapes_of(model.graph, choices.input_shapes))
    source = choices.input_file or model.input_file
    if not source:
        return model, [inputs.random_inputs(model.graph, choices.seed)]
    graph = model.graph
    sets = inputs.load_input_sets(graph, source)
    pairs = zip(graph.inputs, sets[0], strict=True)
    return sized(model, {t: a.shape for t, a in pairs if graph.tensors[t].signature}), sets


def _origin(choices: Choices) -> dict[str, str]:
    """Where things were and by which command, so that more can be measured from any folder."""
    files = {"model": choices.model, "input": choices.input_file, "targets": choices.targets_file}
    original, shapes = choices.original or (None, ())
    files["original"] = original
    texts = {
        "original_shapes": "\n".join(shapes),
        "library": choices.library,
        "address": choices.address,
        "run_folder": choices.run_folder,
        "input_shapes": "\n".join(choices.input_shapes),
        "command": choices.command,
    }
    paths = {name: str(path.resolve()) for name, path in files.items() if path is not None}
    return paths | {name: text for name, text in texts.items() if text}


def model_of(header: Header, named: Path | None = None) -> Path | None:
    """The model that a run was made with; an adapted one is made again where it is gone.

    Args:
        header: Of the run.
        named: Where it is now, or what it was adapted from.

    Returns:
        None where the run does not say and nothing is named.

    Raises:
        InputError, ModelError: It cannot be adapted again.
    """
    origin, adapted_from = header.origin, header.graph.original if header.graph else ""
    path = named or (Path(origin["model"]) if "model" in origin else None)
    if path is None or not adapted_from:
        return path
    source = named or (None if path.exists() else Path(origin.get("original", "")))
    if source is None or not source.is_file() or load(source).graph.digest != adapted_from:
        return path
    shapes = tuple(filter(None, origin.get("original_shapes", "").split("\n")))
    input_file = Path(origin["input"]) if "input" in origin else None
    made = adapted_file(runtime_of(header), source, shapes, input_file)
    return made.path if made else path


def choices_of(
    header: Header, model: Path | None = None, address: str = "", targets: Path | None = None
) -> Choices:
    """The choices that a run was made with, to measure more of it.

    Args:
        header: Of the run.
        model: Where it is now, if it is no longer where it was.
        address: Of the target, the same.
        targets: File with the targets, the same.

    Raises:
        InputError: It does not say where its model was.
    """
    origin = dict(header.origin)
    named = {"model": model, "targets": targets}
    origin |= {key: str(path) for key, path in named.items() if path is not None}
    path = model_of(header, model)
    if path is None:
        if header.runtime == FUNCTION:
            raise InputError(f"a Python function measured this run: {PYTHON_ONLY}")
        raise InputError("the run does not say where its model is: name it with --model")
    plan = asdict(header.plan) if header.plan else {}
    plan.pop("input_digest", None)
    return Choices(
        model=path,
        granularity=header.space.granularity,
        backends=header.space.backends,
        objectives=header.objectives,
        plan=plan,
        input_file=Path(origin["input"]) if "input" in origin else None,
        input_shapes=tuple(filter(None, origin.get("input_shapes", "").split("\n"))),
        runtime=runtime_of(header).name,
        # Runs of before the tool knew several runtimes call it otherwise.
        library=next((v for k, v in origin.items() if k.endswith("library")), ""),
        target=header.target,
        targets_file=Path(origin["targets"]) if "targets" in origin else None,
        address=address or origin.get("address", ""),
        run_folder=origin.get("run_folder", ""),
        sampler=header.sampler,
        seed=header.seed,
        margin=header.margin,
        confidence=header.confidence,
        command=origin.get("command", ""),
    )


def install(
    room: Runtime,
    target: Target,
    shell: Shell,
    choices: Choices | None = None,
    *,
    needs_energy: bool = False,
) -> Installation:
    """A runtime as it is found on a target.

    Raises:
        InputError: What the user says of it is not there, or it does not measure energy.
        TargetError: Nothing there can measure.
    """
    given = target.given(room.name)
    if choices is not None:
        own = {"library": choices.library, "run_folder": choices.run_folder}
        given = {**given, **{name: text for name, text in own.items() if text}}
    energy = (target.energy or energy_sources(shell)) if needs_energy else ()
    where = Where(
        target.name, target.shell == "local", PurePosixPath(target.work), given, tuple(energy)
    )
    made = room.find(shell, where)
    if needs_energy and not made.tells_energy:
        raise InputError(f"objective energy: {made.name} does not measure it, a driver does")
    return made


def _backends(
    choices: Choices,
    room: Runtime,
    model: Model,
    target: Target,
    installation: Installation,
    start: Start,
) -> tuple[str, ...]:
    """Those that were asked for, or those that the target has and can load."""
    offered = installation.offered_backends()
    count = int(choices.backends[0]) if _is_count(choices.backends) else None
    asked = () if count is not None else choices.backends or target.backends_of(room.name)
    missing = [b for b in asked if offered and b not in offered]
    if missing:
        others = [
            f"; --runtime {name} has {', '.join(asked)}"
            for name, other in ((name, runtime(name)) for name in RUNTIMES)
            if other is not room
            and set(asked) <= set(other.backends)
            and set(room.formats) & set(other.formats)
        ]
        raise InputError(
            f"target {target.name} has no backend {missing[0]}, it has "
            f"{', '.join(offered)}{''.join(others[:1])}"
        )
    if asked:
        return tuple(asked)
    offered = tuple(b for b in offered if b not in room.on_request)
    is_trusted = target.shell == "local" and target.runner == "driver"
    loading = offered if is_trusted else _loading(model, target, start, offered)
    if count is not None and not 1 <= count <= len(loading):
        raise InputError(f"backends {count}: {target.name} has {', '.join(loading)}")
    return loading[:count]


def _is_count(backends: Sequence[str]) -> bool:
    return len(backends) == 1 and backends[0].isascii() and backends[0].isdecimal()


def _loading(
    model: Model,
    target: Target,
    start: Start,
    offered: tuple[str, ...],
) -> tuple[str, ...]:
    """Those of the offered backends that can be loaded; the others are named in a note."""
    if not offered:
        raise InputError(f"target {target.name}: its backends cannot be seen: name --backends")
    folder = folder_on(target, f"check by {os.getpid()}")
    space = DecisionSpace.of(model.graph, offered, Granularity.NAME)
    with contextlib.closing(start(folder, space)) as engine:
        loading = tuple(b for b in offered if b == offered[0] or engine.loads(b))
    if absent := [b for b in offered if b not in loading]:
        _LOG.warning(
            "%s: on %s, but not to be loaded there; left out", ", ".join(absent), target.name
        )
    return loading


def folder_on(target: Target, purpose: str) -> PurePosixPath:
    """The same for the same purpose of this machine: what a killed search left is found again."""
    text = f"{socket.gethostname()}:{purpose}"
    return PurePosixPath(target.work) / f"run-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def space_of(
    choices: Choices,
    room: Runtime,
    table: SupportTable,
    model: Model,
    backends: Sequence[str],
    cores: int,
    threads: int,
) -> DecisionSpace:
    """The decision space that the options ask for.

    Raises:
        InputError, SpaceError: The options do not fit the model.
    """
    support = Support.of(choices.allow, choices.forbid, table)
    support.check(backends, {o.name for o in model.graph.all_operations})
    settings = settings_to_vary(room.settings, choices.vary, cores, threads)
    if choices.oplist is not None:
        oplist = Oplist.read(choices.oplist)
        try:
            space = oplist.space(model.graph, backends, support=support, settings=settings)
        except InputError as error:
            raise InputError(f"{choices.oplist}: {error}") from error
    else:
        space = DecisionSpace.of(
            model.graph, backends, choices.granularity, support=support, settings=settings
        )
    return space.limited_to(choices.only) if choices.only else space


def load_measurable(room: Runtime, path: Path, *, is_adapted: bool = False) -> Model:
    """Read a model that a runtime is known to take.

    Args:
        room: The runtime.
        path: Of the model.
        is_adapted: Whether it was adapted, as far as it could be.

    Raises:
        ModelError: It cannot be read, or has operations that it does not know: all are named.
    """
    model = room.read(path)
    refused = [o for o in model.graph.operations if o.problem and room.is_fixed(o)]
    if refused:
        is_adapted = is_adapted or bool(model.graph.original)
        words = way_forward(room, path, refused, is_adapted=is_adapted)
        raise ModelError(f"{path}: {words}")
    return model


def default_folder(header: Header) -> Path:
    """Where a run is kept when the user names no folder: the same for the same search."""
    space = header.space
    settings = [v.name for v in space.variables if v.is_setting]
    parts = [header.model_name, str(space.granularity), *space.backends, *settings]
    readable = shortened(re.sub(r"[^\w.-]+", "_", "-".join(parts)))
    return Path("pareto-runs") / f"{readable}-{identity(header)}"


def shortened(name: str) -> str:
    """A name that fits into a file's, with something before and behind it: 100 bytes at most."""
    return name.encode("utf-8", "replace")[:100].decode("utf-8", "ignore")


def identity(header: Header) -> str:
    """Eight hex digits over everything that makes trials comparable."""
    plan = header.plan.to_json() if header.plan else {}
    text = f"{header.model_digest} {header.space.fingerprint} {sorted(plan.items())}"
    return hashlib.sha256(f"{text} {header.target} {header.runtime}".encode()).hexdigest()[:8]
