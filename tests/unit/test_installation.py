"""Finding onert on a target, and choosing the probe that fits it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from pareto_profiler import probe
from pareto_profiler.errors import TargetError
from pareto_profiler.runners import installation
from pareto_profiler.runners.onert import wheel_library
from pareto_profiler.shells.local import LocalShell

SHELL = LocalShell()


@pytest.mark.parametrize("name", ["x86_64", "aarch64", "armv7l", "armv7l-softfp"])
def test_the_probe_is_chosen_by_the_librarys_header(name: str):
    library = PurePosixPath(probe.binary(name))
    assert installation._architecture(SHELL, library) == name


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n" * 10, b"\x7fELF" + b"\0" * 60])
def test_what_is_no_library_is_a_target_error(tmp_path: Path, content: bytes):
    path = tmp_path / "libonert.so"
    path.write_bytes(content)
    with pytest.raises(TargetError, match=r"libonert\.so"):
        installation.install(
            SHELL,
            work=PurePosixPath(tmp_path / "w"),
            folder=PurePosixPath(tmp_path / "w" / "run"),
            library=str(path),
        )


def test_a_library_is_found_as_a_file_or_in_its_folder(tmp_path: Path):
    folder = tmp_path / "a; touch x'"
    folder.mkdir()
    for name in ("libnnfw-dev.so", "libonert.so"):
        (folder / name).touch()
        assert installation.find_library(SHELL, str(folder)) == PurePosixPath(folder / name)
        assert installation.find_library(SHELL, str(folder / name)) == PurePosixPath(folder / name)
    with pytest.raises(TargetError, match=r"no libonert\.so or libnnfw-dev\.so there"):
        installation.find_library(SHELL, str(tmp_path))


def test_the_probe_is_pushed_once_and_again_when_it_is_gone(tmp_path: Path):
    work = PurePosixPath(tmp_path / "work")
    options = {"work": work, "folder": work / "run", "library": str(wheel_library())}
    first = installation.install(SHELL, **options)
    pushed = Path(first.probe)
    before = pushed.stat().st_mtime_ns
    assert installation.install(SHELL, **options) == first
    assert pushed.stat().st_mtime_ns == before
    pushed.unlink()
    assert installation.install(SHELL, **options).version() == first.version()
