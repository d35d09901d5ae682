"""An onert on a target: finding its library, and putting the driver that fits it beside it."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pareto_profiler import drivers
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.support import SupportTable
from pareto_profiler.drivers.engine import Driver
from pareto_profiler.errors import ConnectionLostError, InputError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Engine, Where
from pareto_profiler.runtimes.onert.engine import OnertEngine, wheel_library
from pareto_profiler.runtimes.onert.tool import TOOL_NAMES, OnertRunTarget, ToolEngine, find_tool
from pareto_profiler.shells.base import Shell

NAME: Final = "onert"
_LOG = logging.getLogger(__name__)

LIBRARY_NAMES: Final = ("libonert.so", "libnnfw-dev.so")
"""The library with onert's C API, since 1.30 and before."""

_FOLDERS: Final = (
    "/usr/lib64 /usr/lib /usr/lib/*-linux-gnu* /usr/local/lib /opt/onert/lib /opt/one/lib "
    "$HOME/one/Product/out/lib $HOME/one/lib /opt/usr/nnfw-test/Product/out/lib "
    "/data/local/tmp/onert/lib /data/local/tmp/onert"
)
_NO_BACKENDS: Final = {"train", "builtin"}
_LIMIT_S: Final = 30.0
_ELF_MACHINES: Final = {0x3E: "x86_64", 0xB7: "aarch64", 0x28: "armv7l"}
_ELF_HARD_FLOAT: Final = 0x400
# What kernels run beside what they are called after.
_RUN_BY: Final = {"aarch64": ("aarch64", "armv7l"), "armv8l": ("armv7l",)}


def install(
    shell: Shell, *, work: PurePosixPath, library: str = "", is_local: bool = False
) -> Driver:
    """Find onert on a target, and push its driver there unless it is there already.

    Args:
        shell: How the target is reached.
        work: The tool's folder on the target: the driver lies there under its digest.
        library: The library, or the folder it is in; empty to look where it usually is, here in
            the ``onert`` wheel.
        is_local: Whether the target is this machine.

    Raises:
        InputError: There is no such library here.
        TargetError: There is no onert, no driver fits it, or it does not run there.
    """
    if is_local:
        program = PurePosixPath(drivers.binary(NAME))
        if not library:
            return Driver(shell, program, PurePosixPath(wheel_library().resolve()))
        if not os.access(library, os.R_OK):
            raise InputError(f"{library}: no library that can be read")
        path = find_library(shell, str(Path(library).resolve()))
        return Driver(shell, program, path, str(path.parent))
    path = find_library(shell, library)
    binary = drivers.binary(NAME, _architecture(shell, path))
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()[:12]
    program = work / f"driver-{digest}"
    driver = Driver(shell, program, path, str(path.parent), local_program=binary)
    driver.push()
    return driver


def find_library(shell: Shell, given: str = "") -> PurePosixPath:
    """The library with onert's C API on a device.

    Args:
        shell: How the device is reached.
        given: The file, or its folder; empty to look where it usually is.

    Raises:
        TargetError: It is not there.
    """
    folders = shlex.quote(given) if given else _FOLDERS
    names = " ".join(LIBRARY_NAMES)
    script = (
        f"for d in {folders}; do "
        '[ -f "$d" ] && { printf %s "$d"; exit; }; '
        f'for n in {names}; do [ -f "$d/$n" ] && {{ printf %s "$d/$n"; exit; }}; done; done'
    )
    done = shell.run(["sh", "-c", script], environment={}, time_limit_s=_LIMIT_S)
    found = done.stdout.decode("utf-8", "replace")
    if not found.startswith("/"):
        raise TargetError(
            f"{given}: no {' or '.join(LIBRARY_NAMES)} there"
            if given
            else f"no {' or '.join(LIBRARY_NAMES)} in the usual places of the target ({_FOLDERS}): "
            f"name it (library = … in targets.toml, or --library)"
        )
    return PurePosixPath(found)


def offered_backends(shell: Shell, library: PurePosixPath) -> tuple[str, ...]:
    """Backends that lie beside an onert library, ``cpu`` first; empty where none can be seen."""
    folder = shlex.quote(str(library.parent))
    done = shell.run(
        ["sh", "-c", f"ls {folder} {folder}/nnfw/backend 2>/dev/null"],
        environment={},
        time_limit_s=_LIMIT_S,
    )
    return backends_among(done.stdout.decode("utf-8", "replace").split("\n"))


def library_digest(shell: Shell, library: PurePosixPath) -> str:
    """What tells builds of one version apart: checksums of the library and all beside it."""
    folder = shlex.quote(str(library.parent))
    done = shell.run(
        ["sh", "-c", f"cd {folder} && cksum *.so nnfw/backend/*.so 2>/dev/null"],
        environment={},
        time_limit_s=_LIMIT_S,
    )
    return hashlib.sha256(done.stdout).hexdigest()


def backends_among(files: Sequence[str]) -> tuple[str, ...]:
    """The backends whose libraries are among file names, ``cpu`` first.

    Examples:
        >>> backends_among(["libonert.so", "libbackend_ruy.so", "libbackend_cpu.so"])
        ('cpu', 'ruy')
    """
    found = {
        name.removeprefix("libbackend_").removesuffix(".so")
        for name in files
        if name.startswith("libbackend_") and name.endswith(".so")
    }
    return tuple(sorted(found - _NO_BACKENDS, key=lambda name: (name != "cpu", name)))


def _architecture(shell: Shell, library: PurePosixPath) -> str:
    """The driver's architecture: the library's, which may be 32 bits under a kernel of 64."""
    done = shell.run(
        ["sh", "-c", 'uname -m; head -c 40 "$0" | od -An -v -tx1', str(library)],
        environment={},
        time_limit_s=_LIMIT_S,
    )
    kernel, _, digits = done.stdout.decode("ascii", "replace").partition("\n")
    head = bytes.fromhex("".join(digits.split()))
    if not head.startswith(b"\x7fELF") or len(head) < 40:
        raise TargetError(f"{library}: no library (no ELF header)")
    machine = int.from_bytes(head[18:20], "little")
    if machine not in _ELF_MACHINES:
        raise TargetError(f"{library}: is for a processor of ELF number {machine}, no driver is")
    runs = _RUN_BY.get(kernel, (kernel,))
    if _ELF_MACHINES[machine] not in runs:
        raise TargetError(f"{library}: is for {_ELF_MACHINES[machine]}, the target is {kernel}")
    flags = int.from_bytes(head[36:40], "little")
    name = _ELF_MACHINES[machine]
    return "armv7l-softfp" if name == "armv7l" and not flags & _ELF_HARD_FLOAT else name


@dataclass(frozen=True, slots=True)
class DriverInstallation:
    """An onert that its driver measures.

    Attributes:
        driver: On the target, with the library.
        version: Of onert.
        energy: Files of counters of energy or sensors of power.
        is_embedded: Whether it is the wheel's, which reads its settings from variables.
    """

    driver: Driver
    version: str
    energy: tuple[str, ...] = ()
    is_embedded: bool = False
    tells_energy: bool = True

    @property
    def name(self) -> str:
        return f"{NAME} {self.version}"

    @property
    def library(self) -> str:
        return str(self.driver.library)

    def digest(self) -> str:
        return library_digest(self.driver.shell, self.driver.library)

    def offered_backends(self) -> tuple[str, ...]:
        return offered_backends(self.driver.shell, self.driver.library)

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        del backends, folder, model, inputs
        return table

    def start(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> Engine:
        return OnertEngine(
            self.driver,
            folder,
            space,
            plan,
            model=model,
            inputs=inputs,
            reads_environment=True if self.is_embedded else None,
            energy=self.energy,
        )


@dataclass(frozen=True, slots=True)
class ToolInstallation:
    """An onert that the target's own tool measures.

    Attributes:
        tool: The tool.
        version: Of onert; empty where the tool does not tell.
        path: onert's library, where it is known.
    """

    tool: OnertRunTarget
    version: str
    path: PurePosixPath | None
    tells_energy: bool = False

    @property
    def name(self) -> str:
        return f"{NAME} {self.version or 'of unknown version'} ({self.tool.tool.name})"

    @property
    def library(self) -> str:
        return str(self.path or "")

    def digest(self) -> str:
        return library_digest(self.tool.shell, self.path) if self.path else ""

    def offered_backends(self) -> tuple[str, ...]:
        return offered_backends(self.tool.shell, self.path) if self.path else ()

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        del backends, folder, model, inputs
        return table

    def start(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> Engine:
        return ToolEngine(self.tool, folder, space, plan, model=model, inputs=inputs)


def find(shell: Shell, where: Where) -> DriverInstallation | ToolInstallation:
    """The driver where it runs, else the target's own tool; or that at once where it is asked for.

    Of what is given, ``library`` stands for the target's own, ``run_folder`` is where to look first
    for its tool, then for its library, ``tool`` where its tool is, and ``runner = tool`` asks
    for the tool.

    Raises:
        InputError: There is no such library here.
        TargetError: Nothing there can measure.
    """
    given = where.given
    library, run_folder, tool = (given.get(k, "") for k in ("library", "run_folder", "tool"))
    if run_folder:
        if find_tool(shell, run_folder):
            return _tool_of(shell, where.target, library, run_folder)
        library = library or _library_near(shell, run_folder)
    if given.get("runner") != "tool":
        try:
            driver = install(shell, work=where.work, library=library, is_local=where.is_local)
            return DriverInstallation(
                driver, driver.version(), where.energy, where.is_local and not library
            )
        except ConnectionLostError:
            raise
        except TargetError as error:
            if not tool or not find_tool(shell, tool):
                raise
            _LOG.warning("the driver cannot measure on %s: %s", where.target, error)
            _LOG.warning("measuring with the tool in %s", tool)
    return _tool_of(shell, where.target, library, tool)


def _library_near(shell: Shell, run_folder: str) -> str:
    """Onert's library in a folder with programs or beside it, as ONE's builds lay it out."""
    for folder in (run_folder, str(PurePosixPath(run_folder).parent / "lib")):
        with contextlib.suppress(TargetError):
            return str(find_library(shell, folder))
    names = ", ".join((*TOOL_NAMES, *LIBRARY_NAMES))
    raise TargetError(f"run folder {run_folder}: none of {names} there")


def _tool_of(shell: Shell, target: str, library: str, tool: str) -> ToolInstallation:
    path = find_tool(shell, tool) if tool else None
    if path is None:
        where = tool or f"target {target} (tool = … in targets.toml names it)"
        raise TargetError(f"{where}: no {' or '.join(TOOL_NAMES)} there")
    found = None
    with contextlib.suppress(TargetError):
        found = find_library(shell, library or str(path.parent.parent / "lib"))
    own = OnertRunTarget(shell, path, str(found.parent) if found and library else "")
    return ToolInstallation(own, own.dialect().version, found)
