"""From the options of a command to the model, space, plan, store and runner of a search."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pareto_profiler import __version__
from pareto_profiler.cli.exits import command_line
from pareto_profiler.cli.output import note, show_warnings
from pareto_profiler.core.configuration import settings_to_vary
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.plan import Plan, cpus_of
from pareto_profiler.core.recording import Header
from pareto_profiler.core.rules import CONFIDENCE, MARGIN
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import Support, SupportTable
from pareto_profiler.errors import InputError, ModelError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners import inputs
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runners.machine import describe, energy_sources
from pareto_profiler.runtimes import runtime, runtime_of
from pareto_profiler.runtimes.base import Engine, Installation, Runtime, Where
from pareto_profiler.seed_formats import Oplist
from pareto_profiler.shells.base import Shell
from pareto_profiler.targets import Target, find

_WORK_PREFIX: Final = ".pareto-profiler-work-"
_LEAST_CONFIDENCE: Final = 0.5
_WHOLE: Final = 100
_LONGEST_S: Final = 3_600_000.0
_LARGEST_KIB: Final = 2**30
_UNIT_SECONDS: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user asked for, whichever command it was.

    Attributes are the options of ``search``, see its help; ``plan`` has what differs from the
    target's own plan, ``run_folder`` is where on the target the runtime or its own tool is.
    """

    model: Path
    granularity: Granularity = Granularity.NAME
    backends: str = ""
    oplist: Path | None = None
    vary: str = ""
    only: str = ""
    allow: Sequence[str] = ()
    forbid: Sequence[str] = ()
    objectives: str = "exec_time,max_rss"
    plan: Mapping[str, Any] = field(default_factory=dict)
    input_file: Path | None = None
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


Start = Callable[[PurePosixPath, DecisionSpace], Engine]
"""Makes an engine, with its files in a folder of the target."""


@dataclass(frozen=True, slots=True)
class Job:
    """A search that is ready to begin.

    Attributes:
        model: What was read.
        header: The circumstances, plan and space included.
        inputs: Input tensors.
        target: Where it is measured.
        shell: How that is reached; to be closed by the caller.
        runtime: What runs the model.
        start: Makes the engine, with its files in a folder of the target.
    """

    model: Model
    header: Header
    inputs: Sequence[Array]
    target: Target
    shell: Shell
    runtime: Runtime
    start: Start

    def engine(self, run_folder: Path) -> Engine:
        """An engine with its files on the target: here in a new folder inside the run's.

        The caller holds the run's journal: what an earlier, killed search left is removed.

        Raises:
            TargetError: The files cannot be put there.
        """
        if self.target.shell != "local":
            return self.start(folder_on(self.target, str(run_folder.resolve())), self.header.space)
        for left in run_folder.glob(f"{_WORK_PREFIX}*"):
            if not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
        try:
            work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=run_folder))
        except OSError as error:
            raise TargetError(f"{run_folder}: no folder can be made: {error.strerror}") from error
        return self.start(PurePosixPath(work.resolve()), self.header.space)


def prepare(choices: Choices, space: DecisionSpace | None = None) -> Job:
    """Read the model, ask the target, and work out the space.

    Args:
        choices: What the user asked for.
        space: Instead of the one that the choices describe: of a run that goes on.

    Raises:
        InputError, ModelError, SpaceError, TargetError: As what they say.
    """
    objectives_of(split(choices.objectives))
    target = find(choices.target, choices.targets_file, choices.address)
    room = runtime(choices.runtime)
    model = load_measurable(room, choices.model)
    shell = target.open_shell()
    try:
        return _prepare(choices, room, model, target, shell, space)
    except BaseException:
        shell.close()
        raise


def _prepare(
    choices: Choices,
    room: Runtime,
    model: Model,
    target: Target,
    shell: Shell,
    space: DecisionSpace | None,
) -> Job:
    show_warnings()
    machine = describe(shell)
    needs_energy = "energy" in split(choices.objectives)
    installation = install(room, target, shell, choices, needs_energy=needs_energy)
    source = choices.input_file or model.input_file
    arrays = (
        inputs.load_inputs(model.graph, source)
        if source
        else inputs.random_inputs(model.graph, choices.seed)
    )
    plan = Plan(**{**target.plan, **choices.plan, "input_digest": inputs.digest_of(arrays)})

    def start(folder: PurePosixPath, space: DecisionSpace) -> Engine:
        return installation.start(folder, space, plan, model, arrays)

    if space is None:
        backends = _backends(choices, room, model, target, installation, start)
        processors = len(cpus_of(plan.cpus)) if plan.cpus else machine.cores
        folder = folder_on(target, f"check by {os.getpid()}")
        table = installation.support(room, backends, folder, model, arrays)
        space = space_of(choices, room, table, model, backends, processors, plan.threads)
    header = Header(
        model_name=model.name,
        model_digest=model.graph.digest,
        space=space,
        objectives=tuple(o.name for o in objectives_of(split(choices.objectives))),
        plan=plan,
        target=target.name,
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
    return Job(model, header, arrays, target, shell, room, start)


def _origin(choices: Choices) -> dict[str, str]:
    """Where things were and by which command, so that more can be measured from any folder."""
    files = {"model": choices.model, "input": choices.input_file, "targets": choices.targets_file}
    texts = {
        "library": choices.library,
        "address": choices.address,
        "run_folder": choices.run_folder,
        "command": command_line(),
    }
    paths = {name: str(path.resolve()) for name, path in files.items() if path is not None}
    return paths | {name: text for name, text in texts.items() if text}


def choices_of(header: Header) -> Choices:
    """The choices that a run was made with, to measure more of it.

    Raises:
        InputError: It does not say where its model was.
    """
    origin = header.origin
    if "model" not in origin:
        raise InputError("the run does not say where its model is: name it with --model")
    plan = asdict(header.plan) if header.plan else {}
    plan.pop("input_digest", None)
    return Choices(
        model=Path(origin["model"]),
        granularity=header.space.granularity,
        backends=",".join(header.space.backends),
        objectives=",".join(header.objectives),
        plan=plan,
        input_file=Path(origin["input"]) if "input" in origin else None,
        runtime=runtime_of(header).name,
        # Runs of before the tool knew several runtimes call it otherwise.
        library=next((v for k, v in origin.items() if k.endswith("library")), ""),
        target=header.target,
        targets_file=Path(origin["targets"]) if "targets" in origin else None,
        address=origin.get("address", ""),
        run_folder=origin.get("run_folder", ""),
        sampler=header.sampler,
        seed=header.seed,
        margin=header.margin,
        confidence=header.confidence,
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
    asked = (
        ()
        if choices.backends.isdecimal()
        else split(choices.backends) or target.backends_of(room.name)
    )
    missing = [b for b in asked if offered and b not in offered]
    if missing:
        raise InputError(
            f"target {target.name} has no backend {missing[0]}, it has {', '.join(offered)}"
        )
    if asked:
        return asked
    offered = tuple(b for b in offered if b not in room.on_request)
    is_trusted = target.shell == "local" and target.runner == "driver"
    loading = offered if is_trusted else _loading(model, target, start, offered)
    if not choices.backends:
        return loading
    if not 1 <= int(choices.backends) <= len(loading):
        raise InputError(f"backends {choices.backends}: {target.name} has {', '.join(loading)}")
    return loading[: int(choices.backends)]


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
    runner = start(folder, DecisionSpace.of(model.graph, offered, Granularity.NAME))
    try:
        loading = tuple(b for b in offered if b == offered[0] or runner.loads(b))
    finally:
        runner.close()
    if absent := [b for b in offered if b not in loading]:
        note(f"{', '.join(absent)}: on {target.name}, but not to be loaded there; left out")
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
    support.check(backends, {o.name for o in model.graph.operations})
    settings = settings_to_vary(room.settings, split(choices.vary), cores, threads)
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
    return space.limited_to(numbers_of(choices.only)) if choices.only else space


def load_measurable(room: Runtime, path: Path) -> Model:
    """Read a model that a runtime is known to take.

    Raises:
        ModelError: It cannot be read, or has operations that it does not know: all are named.
    """
    model = room.read(path)
    refused = [o for o in model.graph.operations if o.problem and room.is_fixed(o)]
    if refused:
        named = ", ".join(f"@{o.index} {o.builtin}" for o in refused[:10])
        more = f" and {len(refused) - 10} more" if len(refused) > 10 else ""
        raise ModelError(f"{path}: {room.name} cannot load {named}{more}; see: inspect {path}")
    return model


def split(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated option.

    Examples:
        >>> split("cpu, ruy")
        ('cpu', 'ruy')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers_of(text: str) -> tuple[int, ...]:
    """Numbers given as ``3``, ``3,5`` or ``3-8,10``, in order.

    Raises:
        InputError: They are not.

    Examples:
        >>> numbers_of("3-5,8")
        (3, 4, 5, 8)
    """
    found: set[int] = set()
    for part in split(text):
        ends = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if first > last:
            raise InputError(f"operations {text!r}: expected something like 3-8,10")
        found |= set(range(first, last + 1))
    if not found:
        raise InputError(f"operations {text!r}: expected something like 3-8,10")
    return tuple(sorted(found))


def seconds_of(text: str) -> float:
    """Seconds of a duration such as ``90``, ``90s``, ``200ms``, ``10m`` or ``1h30m``.

    Raises:
        InputError: It is no duration.

    Examples:
        >>> seconds_of("1h30m"), seconds_of("200ms")
        (5400.0, 0.2)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smh]|)", text)
    seconds = sum(float(number) * _UNIT_SECONDS[unit or "s"] for number, unit in parts)
    if "".join(map("".join, parts)) != text or not 0 < seconds <= _LONGEST_S:
        raise InputError(
            f"duration {text!r}: expected something like 90s, 200ms or 1h30m, at most 1000h"
        )
    return seconds


def fraction_of(text: str, most: float = 1.0) -> float:
    """A fraction given as ``1%`` or ``0.01``.

    Raises:
        InputError: It is none, or beyond ``most``.

    Examples:
        >>> fraction_of("0.5%")
        0.005
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text)
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value <= most:
        hint = f"; did you mean {text}%?" if 1 < value <= _WHOLE else ""
        raise InputError(
            f"fraction {text!r}: expected something like 1% or 0.01, at most {most:g}{hint}"
        )
    return value


def confidence_of(text: str) -> float:
    """A confidence given as ``95%`` or ``0.95``.

    Raises:
        InputError: It is none.

    Examples:
        >>> confidence_of("99%")
        0.99
    """
    value = fraction_of(text)
    if not _LEAST_CONFIDENCE <= value < 1:
        raise InputError(f"confidence {text!r}: expected 50% or more, less than 100%")
    return value


def kib_of(text: str) -> int:
    """KiB of a size such as ``300MB``, ``1.5GiB`` or ``200000KiB``; 0 for an empty text.

    Raises:
        InputError: It is no size.

    Examples:
        >>> kib_of("1GiB"), kib_of("1MB")
        (1048576, 976)
    """
    if not text:
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMG])(i?)B?", text)
    if not found:
        raise InputError(f"size {text!r}: expected something like 300MB, 1.5GiB or 200000KiB")
    power = "KMG".index(found.group(2).upper()) + 1
    kib = float(found.group(1)) * (1024 if found.group(3) else 1000) ** power / 1024
    if not 1 <= kib <= _LARGEST_KIB:
        raise InputError(f"size {text!r}: expected 1 KiB to 1 TiB")
    return int(kib)


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
