"""From the options of a command to the model, space, plan, store and runner of a search."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pareto_profiler import __version__
from pareto_profiler.core.configuration import settings_to_vary
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import Support
from pareto_profiler.errors import InputError, ModelError, TargetError
from pareto_profiler.files import is_folder
from pareto_profiler.models import Model, load
from pareto_profiler.probe import binary
from pareto_profiler.seed_formats import Oplist

if TYPE_CHECKING:
    from pareto_profiler.runners.inputs import Array
    from pareto_profiler.runners.onert import OnertRunner, OnertTarget
    from pareto_profiler.shells.local import LocalShell

_DEFAULT_PLAN: Final = Plan()
_WORK_PREFIX: Final = ".pareto-profiler-work-"
_LONGEST_S: Final = 3_600_000.0
_LARGEST_KIB: Final = 2**30
_UNIT_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user asked for, whichever command it was.

    Attributes are the options of ``search``; see its help.
    """

    model: Path
    granularity: Granularity = Granularity.NAME
    backends: str = ""
    oplist: Path | None = None
    vary: str = ""
    allow: Sequence[str] = ()
    forbid: Sequence[str] = ()
    objectives: str = "exec_time,max_rss"
    plan: Plan = _DEFAULT_PLAN
    input_file: Path | None = None
    onert_library: Path | None = None
    sampler: str = "random"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A search that is ready to begin on this machine.

    Attributes:
        model: What was read.
        header: The circumstances, plan and space included.
        inputs: Input tensors.
        library: The onert that measures.
    """

    model: Model
    header: Header
    inputs: Sequence[Array]
    library: Path

    def runner(self, run_folder: Path) -> OnertRunner:
        """A runner with its files in a new folder inside the run's.

        The caller holds the run's journal: what an earlier, killed search left is removed.

        Raises:
            TargetError: The files cannot be put there.
        """
        from pareto_profiler.runners.onert import OnertRunner
        from pareto_profiler.shells.local import LocalShell

        assert self.header.plan is not None
        for left in run_folder.glob(f"{_WORK_PREFIX}*"):
            if not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
        try:
            work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=run_folder))
        except OSError as error:
            raise TargetError(f"{run_folder}: no folder can be made: {error.strerror}") from error
        return OnertRunner(
            _local_target(LocalShell(), self.library, work),
            self.header.space,
            self.header.plan,
            graph=self.model.graph,
            model_file=self.model.file,
            inputs=self.inputs,
        )


def prepare(choices: Choices) -> Job:
    """Read the model, ask the machine, and work out the space.

    Raises:
        InputError, ModelError, SpaceError, TargetError: As what they say.
    """
    from pareto_profiler.runners import inputs
    from pareto_profiler.runners.machine import describe
    from pareto_profiler.runners.onert import library_backends, wheel_library
    from pareto_profiler.shells.local import LocalShell

    objectives = objectives_of(split(choices.objectives))
    model = load_measurable(choices.model)
    library = choices.onert_library or wheel_library()
    if is_folder(library) or not os.access(library, os.R_OK):
        raise InputError(f"{library}: no library that can be read")
    shell = LocalShell()
    machine = describe(shell)
    version = _local_target(shell, library, Path()).version()
    offered = library_backends(library)
    backends = split(choices.backends) or offered
    _check_backends(backends, offered, library)
    space = space_of(choices, model, backends, machine.cores)
    source = choices.input_file or model.input_file
    arrays = (
        inputs.load_inputs(model.graph, source)
        if source
        else inputs.random_inputs(model.graph, choices.seed)
    )
    header = Header(
        model_name=model.name,
        model_digest=model.graph.digest,
        space=space,
        objectives=tuple(o.name for o in objectives),
        plan=replace(choices.plan, input_digest=inputs.digest_of(arrays)),
        target="local",
        runtime=f"onert {version}",
        machine=machine.to_json(),
        sampler=choices.sampler,
        seed=choices.seed,
        tool_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Job(model, header, arrays, library)


def space_of(choices: Choices, model: Model, backends: Sequence[str], cores: int) -> DecisionSpace:
    """The decision space that the options ask for.

    Raises:
        InputError, SpaceError: The options do not fit the model.
    """
    support = Support.of(choices.allow, choices.forbid)
    support.check(backends, {o.name for o in model.graph.operations})
    settings = settings_to_vary(list(split(choices.vary)), cores, choices.plan.threads)
    if choices.oplist is not None:
        oplist = Oplist.read(choices.oplist)
        try:
            return oplist.space(model.graph, backends, support=support, settings=settings)
        except InputError as error:
            raise InputError(f"{choices.oplist}: {error}") from error
    return DecisionSpace.of(
        model.graph, backends, choices.granularity, support=support, settings=settings
    )


def load_measurable(path: Path) -> Model:
    """Read a model that onert's loader is known to take.

    Raises:
        ModelError: It cannot be read, or has operations that onert cannot load: all are named.
    """
    model = load(path)
    refused = [o for o in model.graph.operations if not o.name]
    if refused:
        named = ", ".join(f"@{o.index} {o.builtin}" for o in refused[:10])
        more = f" and {len(refused) - 10} more" if len(refused) > 10 else ""
        raise ModelError(f"{path}: onert cannot load {named}{more}; see: inspect {path}")
    return model


def split(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated option.

    Examples:
        >>> split("cpu, ruy")
        ('cpu', 'ruy')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def seconds_of(text: str) -> float:
    """Seconds of a duration such as ``90``, ``90s``, ``10m`` or ``1h30m``.

    Raises:
        InputError: It is no duration.

    Examples:
        >>> seconds_of("1h30m")
        5400.0
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text)
    seconds = sum(float(number) * _UNIT_SECONDS[unit or "s"] for number, unit in parts)
    if "".join(map("".join, parts)) != text or not 0 < seconds <= _LONGEST_S:
        raise InputError(
            f"duration {text!r}: expected something like 90s, 10m or 1h30m, at most 1000h"
        )
    return seconds


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
    readable = re.sub(r"[^\w.-]+", "_", "-".join(parts))[:100]
    return Path("pareto-runs") / f"{readable}-{_identity(header)}"


def _identity(header: Header) -> str:
    """Eight hex digits over everything that makes trials comparable."""
    import hashlib

    plan = header.plan.to_json() if header.plan else {}
    text = f"{header.model_digest} {header.space.fingerprint} {sorted(plan.items())}"
    return hashlib.sha256(f"{text} {header.target} {header.runtime}".encode()).hexdigest()[:8]


def _local_target(shell: LocalShell, library: Path, work: Path) -> OnertTarget:
    from pareto_profiler.runners.onert import OnertTarget

    return OnertTarget(
        shell,
        probe=PurePosixPath(binary()),
        library=PurePosixPath(library.resolve()),
        work=PurePosixPath(work.resolve()),
    )


def _check_backends(backends: Sequence[str], offered: Sequence[str], library: Path) -> None:
    missing = [b for b in backends if offered and b not in offered]
    if missing:
        raise TargetError(f"{library} has no backend {missing[0]}, it has {', '.join(offered)}")
