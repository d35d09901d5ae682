"""A LiteRT on a target: the one library of its wheel, pushed where it is not this machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pareto_profiler import drivers
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import SupportTable
from pareto_profiler.drivers.engine import Driver
from pareto_profiler.errors import InputError, RunError, TargetError
from pareto_profiler.files import write_whole
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Engine, Where
from pareto_profiler.runtimes.litert.engine import Asked, LiteRTEngine
from pareto_profiler.runtimes.litert.placing import BACKENDS, BUILTIN
from pareto_profiler.shells.base import Shell

NAME: Final = "litert"
LIBRARY: Final = "libLiteRt.so"
_LOG = logging.getLogger(__name__)
_PACKAGE: Final = "ai-edge-litert"
_LIMIT_S: Final = 30.0
_FETCH_LIMIT_S: Final = 300.0
_ARCHITECTURES: Final = ("x86_64", "aarch64")
_TAGS: Final = ("2_35", "2_28", "2_27", "2_17")
_WHEEL_PYTHON: Final = "3.11"


@dataclass(frozen=True, slots=True)
class LiteRTInstallation:
    """A LiteRT that its driver measures.

    Attributes:
        driver: On the target, with the library.
        version: Of the wheel; the beginning of the library's digest where that is not known.
        energy: Files of counters of energy or sensors of power.
    """

    driver: Driver
    version: str
    energy: tuple[str, ...] = ()
    tells_energy: bool = True

    @property
    def name(self) -> str:
        return f"{NAME} {self.version}"

    @property
    def library(self) -> str:
        return str(self.driver.library)

    def digest(self) -> str:
        command = ["cksum", self.library]
        done = self.driver.shell.run(command, environment={}, time_limit_s=_LIMIT_S)
        return hashlib.sha256(done.stdout).hexdigest()

    def offered_backends(self) -> tuple[str, ...]:
        return tuple(BACKENDS)

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        """What the backends take of a model: each is offered everything once."""
        operations = [o.index for o in model.graph.operations if not table.is_fixed(o)]
        space = DecisionSpace.by_groups(
            tuple(BACKENDS), Granularity.OPERATION, {"all": list(model.graph.operations)}
        )
        engine = LiteRTEngine(self.driver, folder, space, Plan(), model=model, inputs=inputs)
        taken: dict[str, frozenset[int]] = {}
        try:
            for backend in backends:
                try:
                    claimed = engine.claimed(backend, operations)
                except RunError as error:
                    if backend == backends[0]:
                        words = f"{model.path}: litert cannot load it: {error.message}"
                        raise TargetError(words) from error
                    _LOG.warning("%s takes nothing of the model: %s", backend, error.message)
                    claimed = frozenset()
                if backend != BUILTIN:
                    taken[backend] = claimed
        finally:
            engine.close()
        return Asked(table, taken)

    def start(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> Engine:
        return LiteRTEngine(
            self.driver, folder, space, plan, model=model, inputs=inputs, energy=self.energy
        )


def wheel_library() -> Path:
    """``libLiteRt.so`` of the installed ``ai-edge-litert`` wheel.

    Raises:
        TargetError: The wheel is not installed, or too old to have it.
    """
    spec = importlib.util.find_spec("ai_edge_litert")
    for folder in (spec and spec.submodule_search_locations) or ():
        library = Path(folder) / LIBRARY
        if library.is_file():
            return library
    raise TargetError(
        f"no {LIBRARY} of the {_PACKAGE} wheel here (it is there from 2.1.6 on, for Linux on "
        f"x86_64 and aarch64): pip install '{_PACKAGE}>=2.1.6', or name a library with --library"
    )


def find(shell: Shell, where: Where) -> LiteRTInstallation:
    """The library of the wheel, or the one that is named; on another machine it is pushed.

    Raises:
        InputError: There is no such library.
        TargetError: It cannot be used there.
    """
    named = where.given.get("library", "")
    if where.is_local:
        library = Path(named).resolve() if named else wheel_library().resolve()
        if library.is_dir():
            library /= LIBRARY
        if not os.access(library, os.R_OK):
            raise InputError(f"{library}: no library that can be read")
        program = PurePosixPath(drivers.binary(NAME))
        driver = Driver(shell, program, PurePosixPath(library))
        driver.version()
        return LiteRTInstallation(driver, _version(library, named), where.energy)
    architecture = _architecture_of(shell)
    binary = drivers.binary(NAME, architecture)
    program = where.work / f"driver-{_digest(binary)}"
    if named:
        there = PurePosixPath(named)
        there = there if there.suffix == ".so" else there / LIBRARY
        driver = Driver(shell, program, there, local_program=binary)
        driver.push()
        driver.version()
        return LiteRTInstallation(driver, "of unknown version", where.energy)
    local = _library_for(architecture)
    remote = where.work / f"library-{_digest(local)}.so"
    driver = Driver(shell, program, remote, local_program=binary, local_library=local)
    driver.push()
    driver.version()
    return LiteRTInstallation(driver, _version(local, ""), where.energy)


def _library_for(architecture: str) -> Path:
    """The library for a processor: the installed wheel's, or that of the same wheel for another.

    Raises:
        TargetError: There is no such wheel, or pip cannot get it.
    """
    if architecture == platform.machine():
        return wheel_library()
    version = _version(wheel_library(), "")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = home / "pareto-profiler" / f"{NAME}-{version}-{architecture}.so"
    if file.is_file():
        return file
    reason = f"{_PACKAGE} has wheels for {' and '.join(_ARCHITECTURES)}"
    if architecture in _ARCHITECTURES:
        reason = _fetch(version, architecture, file)
    if reason:
        raise TargetError(
            f"the target is {architecture}, this machine {platform.machine()}: name a {LIBRARY} on "
            f"the target with --library ({reason})"
        )
    return file


def _fetch(version: str, architecture: str, file: Path) -> str:
    """Take the library out of a wheel that pip downloads; why not, in words, where it cannot."""
    _LOG.warning("fetching %s %s for %s with pip", _PACKAGE, version, architecture)
    tags = [f"--platform=manylinux_{tag}_{architecture}" for tag in _TAGS]
    only = ["--no-deps", "--only-binary=:all:", f"--python-version={_WHEEL_PYTHON}", *tags]
    with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
        command = [sys.executable, "-m", "pip", "download", "--quiet", *only, "--dest", here]
        try:
            done = subprocess.run(
                [*command, f"{_PACKAGE}=={version}"],
                capture_output=True,
                timeout=_FETCH_LIMIT_S,
                check=False,
            )
            wheels = sorted(Path(here).glob("*.whl"))
            if done.returncode or not wheels:
                said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
                return f"pip cannot get its wheel: {''.join(said)}"
            with zipfile.ZipFile(wheels[0]) as wheel:
                file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(file, wheel.read(f"ai_edge_litert/{LIBRARY}"))
        except (OSError, KeyError, zipfile.BadZipFile, subprocess.TimeoutExpired) as error:
            return f"its wheel cannot be used: {error}"
    return ""


def _architecture_of(shell: Shell) -> str:
    done = shell.run(["uname", "-m"], environment={}, time_limit_s=_LIMIT_S)
    return done.stdout.decode("ascii", "replace").strip()


def _version(library: Path, named: str) -> str:
    if not named:
        try:
            return importlib.metadata.version(_PACKAGE)
        except importlib.metadata.PackageNotFoundError:
            pass
    return _digest(library)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
