"""Finding onert on a target, and choosing the probe that fits it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from pareto_profiler import drivers
from pareto_profiler.errors import TargetError
from pareto_profiler.runtimes.onert import installation
from pareto_profiler.runtimes.onert.engine import wheel_library
from pareto_profiler.shells.local import LocalShell

SHELL = LocalShell()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets the target's kernel be called something."""

    def set_name(name: str) -> None:
        (tmp_path / "uname").write_text(f"#!/bin/sh\necho {name}\n")
        (tmp_path / "uname").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return set_name


@pytest.mark.parametrize(
    ("kernel_name", "library_name"),
    [
        ("x86_64", "x86_64"),
        ("aarch64", "aarch64"),
        ("aarch64", "armv7l"),
        ("armv8l", "armv7l"),
        ("armv7l", "armv7l"),
        ("armv7l", "armv7l-softfp"),
    ],
)
def test_the_probe_is_chosen_by_the_librarys_header(
    kernel: Callable[[str], None], kernel_name: str, library_name: str
):
    kernel(kernel_name)
    library = PurePosixPath(drivers.binary("onert", library_name))
    assert installation._architecture(SHELL, library) == library_name


@pytest.mark.parametrize(
    ("kernel_name", "library_name"), [("x86_64", "aarch64"), ("armv7l", "aarch64")]
)
def test_a_library_of_another_processor_is_a_target_error(
    kernel: Callable[[str], None], kernel_name: str, library_name: str
):
    kernel(kernel_name)
    with pytest.raises(TargetError, match=f"is for {library_name}, the target is {kernel_name}"):
        installation._architecture(SHELL, PurePosixPath(drivers.binary("onert", library_name)))


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n" * 10, b"\x7fELF" + b"\0" * 60])
def test_what_is_no_library_is_a_target_error(tmp_path: Path, content: bytes):
    path = tmp_path / "libonert.so"
    path.write_bytes(content)
    with pytest.raises(TargetError, match=r"libonert\.so"):
        installation.install(
            SHELL,
            work=PurePosixPath(tmp_path / "w"),
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
    options = {"work": work, "library": str(wheel_library())}
    first = installation.install(SHELL, **options)
    pushed = Path(first.program)
    before = pushed.stat().st_mtime_ns
    assert installation.install(SHELL, **options) == first
    assert pushed.stat().st_mtime_ns == before
    with pushed.open("r+b") as file:  # as a power failure may leave it
        file.truncate(5000)
    assert installation.install(SHELL, **options).version() == first.version()
    pushed.unlink()
    assert installation.install(SHELL, **options).version() == first.version()
