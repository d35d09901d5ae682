"""Wheels: a runtime's library out of a package of PyPI, here and on other machines."""

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
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Final

from pareto_profiler import drivers
from pareto_profiler.drivers.engine import Driver
from pareto_profiler.errors import InputError, TargetError
from pareto_profiler.files import write_whole
from pareto_profiler.runtimes.base import Where
from pareto_profiler.shells.base import Shell

_LOG: Final = logging.getLogger(__name__)
_LIMIT_S: Final = 30.0
_FETCH_LIMIT_S: Final = 300.0
_ARCHITECTURES: Final = ("x86_64", "aarch64")
_TAGS: Final = ("2_35", "2_28", "2_27", "2_17")
_WHEEL_PYTHON: Final = "3.11"
_UNKNOWN_VERSION: Final = "of unknown version"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package that brings a runtime's library for Linux on x86_64 and aarch64.

    Attributes:
        runtime: The room's name, which its drivers have, too.
        package: On PyPI.
        folder: Of the module in which the library lies.
        library: Name of the library's file, or a pattern.
        oldest: The first version that can be used.
    """

    runtime: str
    package: str
    folder: str
    library: str
    oldest: str

    def here(self) -> Path:
        """The library of the installed package.

        Raises:
            TargetError: The package is not installed, or too old to have it.
        """
        module, _, inner = self.folder.partition("/")
        spec = importlib.util.find_spec(module)
        for folder in (spec and spec.submodule_search_locations) or ():
            if library := self._in(Path(folder) / inner):
                return library
        raise TargetError(
            f"no {self.library} of the {self.package} wheel here (it is there from {self.oldest} "
            f"on, for Linux on {' and '.join(_ARCHITECTURES)}): pip install "
            f"'{self.package}>={self.oldest}', or name a library with --library"
        )

    def version(self) -> str:
        """Of the installed package; empty where it is not known."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return ""

    def driver(self, shell: Shell, where: Where) -> tuple[Driver, str]:
        """The room's driver on a target, with the library and its version.

        The library is the wheel's, or the one that is named; on another machine it is pushed.

        Raises:
            InputError: There is no such library.
            TargetError: It cannot be used there.
        """
        named = where.given.get("library", "")
        if where.is_local:
            library = Path(named).resolve() if named else self.here().resolve()
            if library.is_dir():
                library = self._in(library) or library / self.library
            if not os.access(library, os.R_OK):
                raise InputError(f"{library}: no library that can be read")
            program = PurePosixPath(drivers.binary(self.runtime))
            driver = Driver(shell, program, PurePosixPath(library))
            told = driver.version()
            return driver, told or ("" if named else self.version()) or digest_of(library)
        architecture = _architecture_of(shell)
        binary = drivers.binary(self.runtime, architecture)
        program = where.work / f"driver-{digest_of(binary)}"
        if named:
            there = PurePosixPath(named)
            there = (
                there
                if ".so" in there.name
                else there / self.library.removesuffix(".*").removesuffix("*")
            )
            driver = Driver(shell, program, there, local_program=binary)
            driver.push()
            return driver, driver.version() or _UNKNOWN_VERSION
        local = self._for(architecture)
        remote = where.work / f"library-{digest_of(local)}.so"
        driver = Driver(shell, program, remote, local_program=binary, local_library=local)
        driver.push()
        return driver, driver.version() or self.version() or digest_of(local)

    def _in(self, folder: Path) -> Path | None:
        """The library in a folder; of several versions the last by name."""
        found = sorted(f for f in folder.glob(self.library) if f.is_file())
        return found[-1] if found else None

    def _for(self, architecture: str) -> Path:
        """The library for a processor: the installed wheel's, or the same version's for another.

        Raises:
            TargetError: There is no such wheel, or pip cannot get it.
        """
        if architecture == platform.machine():
            return self.here()
        version = self.version()
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        file = home / "pareto-profiler" / f"{self.runtime}-{version}-{architecture}.so"
        if file.is_file():
            return file
        reason = f"{self.package} has wheels for {' and '.join(_ARCHITECTURES)}"
        if architecture in _ARCHITECTURES:
            reason = self._fetch(version, architecture, file)
        if reason:
            raise TargetError(
                f"the target is {architecture}, this machine {platform.machine()}: name a "
                f"{self.library} on the target with --library ({reason})"
            )
        return file

    def _fetch(self, version: str, architecture: str, file: Path) -> str:
        """Take the library out of a wheel that pip downloads; why not, where it cannot."""
        _LOG.warning("fetching %s %s for %s with pip", self.package, version, architecture)
        tags = [f"--platform=manylinux_{tag}_{architecture}" for tag in _TAGS]
        only = ["--no-deps", "--only-binary=:all:", f"--python-version={_WHEEL_PYTHON}", *tags]
        with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
            command = [sys.executable, "-m", "pip", "download", "--quiet", *only, "--dest", here]
            try:
                done = subprocess.run(
                    [*command, f"{self.package}=={version}"],
                    capture_output=True,
                    timeout=_FETCH_LIMIT_S,
                    check=False,
                )
                wheels = sorted(Path(here).glob("*.whl"))
                if done.returncode or not wheels:
                    said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
                    return f"pip cannot get its wheel: {''.join(said)}"
                with zipfile.ZipFile(wheels[0]) as wheel:
                    pattern = f"{self.folder}/{self.library}"
                    inside = sorted(n for n in wheel.namelist() if fnmatch(n, pattern))
                    if not inside:
                        return f"its wheel has no {self.library}"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(file, wheel.read(inside[-1]))
            except (OSError, zipfile.BadZipFile, subprocess.TimeoutExpired) as error:
                return f"its wheel cannot be used: {error}"
        return ""


def digest_of(file: Path) -> str:
    """The beginning of a file's SHA-256, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _architecture_of(shell: Shell) -> str:
    done = shell.run(["uname", "-m"], environment={}, time_limit_s=_LIMIT_S)
    return done.stdout.decode("ascii", "replace").strip()
