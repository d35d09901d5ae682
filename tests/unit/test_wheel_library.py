"""The library for a target of another architecture comes out of a wheel that pip gets."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from pareto_profiler.errors import TargetError
from pareto_profiler.runtimes import wheel
from pareto_profiler.runtimes.litert.installation import WHEEL as LITERT
from pareto_profiler.runtimes.onnxruntime.installation import WHEEL as ONNXRUNTIME
from pareto_profiler.runtimes.wheel import Wheel

OTHER = "aarch64" if platform.machine() == "x86_64" else "x86_64"
# Stands for pip: puts a wheel where it is told to, or says why not.
PIP = """
import sys, zipfile
words = sys.argv[1:]
if words[-1].endswith("==2.0"):
    sys.exit("ERROR: no matching distribution")
print(*words, file=open({log!r}, "a"))
with zipfile.ZipFile(words[words.index("--dest") + 1] + "/a.whl", "w") as wheel:
    wheel.writestr("ai_edge_litert/libLiteRt.so", b"library")
    wheel.writestr("onnxruntime/capi/libonnxruntime.so.2.3.0", b"library")
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What that pip was asked for."""
    log, program = tmp_path / "log", tmp_path / "python"
    (tmp_path / "pip.py").write_text(PIP.format(log=str(log)))
    program.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {tmp_path / "pip.py"} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(wheel.sys, "executable", str(program))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return log


@pytest.mark.parametrize("one", [LITERT, ONNXRUNTIME], ids=lambda w: w.runtime)
def test_the_same_version_is_fetched_once(log: Path, monkeypatch: pytest.MonkeyPatch, one: Wheel):
    monkeypatch.setattr(Wheel, "version", lambda _: "2.3.0")
    first = one._for(OTHER)
    assert first.read_bytes() == b"library"
    assert one._for(OTHER) == first
    (asked,) = log.read_text().splitlines()
    assert f"{one.package}==2.3.0" in asked
    assert f"--platform=manylinux_2_27_{OTHER}" in asked
    assert "--no-deps" in asked


def test_what_cannot_be_fetched_says_why(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Wheel, "version", lambda _: "2.0")
    with pytest.raises(TargetError, match="pip cannot get its wheel: ERROR: no matching"):
        LITERT._for(OTHER)
    with pytest.raises(TargetError, match="the target is armv7l.*has wheels for x86_64 and aarch"):
        LITERT._for("armv7l")
    assert not log.exists()
    assert LITERT._for(platform.machine()) == LITERT.here()
