"""ONNX Runtime's WebGPU provider, on a device in software: operations go there and come back."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from build_onnx import constant, model_of, node, small
from e2e.command import JUDGED, pp, pp_error

from pareto_profiler import runtimes
from pareto_profiler.storage.journal import read
from pareto_profiler.testing import Case

WHEEL = Path(sys.prefix) / "webgpu"
LIBRARY = WHEEL / "onnxruntime" / "capi"
GIVEN = ("--library", LIBRARY, "--repeats", 2, "--warmups", 1, "--retries", 0, "--no-confirm")

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the wheel is for x86_64 alone"
)


def drawn() -> bytes:
    """A model of which WebGPU has no kernel for the last operation."""
    nodes = [
        node("Conv", ["x", "w"], "a", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], "b"),
        node("Hardmax", ["b"], "y"),
    ]
    made = model_of(nodes, [constant("w", (4, 3, 3, 3))], made=(1, 4, 16, 16))
    return made.SerializeToString()


@pytest.mark.usefixtures("software_vulkan")
def test_operations_go_to_another_provider_and_ship(tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(drawn())
    search = ("search", "m.onnx", "--backends", "packed,plain,webgpu", "--granularity", "name")
    every = (*GIVEN, "--sampler", "exhaustive", "--budget", 6)
    pp(*search, *every, "--output", "run", cwd=tmp_path)
    recording = read(tmp_path / "run")
    space = recording.header.space
    choices = {v.name: v.feasible for v in space.variables}
    assert choices["Conv"] == ("packed", "plain", "webgpu")
    assert choices["Relu"] == ("packed", "webgpu")
    assert "Hardmax" not in choices
    trials = [t for t in recording.trials if hasattr(t.outcome, "samples")]
    assert len({t.assignment for t in trials}) == 6
    assert all(t.outcome.output_error < 1e-3 for t in trials)
    mixed = [t.assignment for t in trials if {"packed", "webgpu"} <= set(t.assignment)]
    assert mixed
    pp("deploy", "run", space.id_of(mixed[0]), "--output", "shipped", cwd=tmp_path, status=JUDGED)
    shipped = onnx.load(tmp_path / "shipped" / "model.onnx", load_external_data=False)
    layers = {n.op_type: n.metadata_props[0].value for n in shipped.graph.node}
    assert layers["Hardmax"] == "cpu"
    assert "webgpu" in layers.values()
    header = (tmp_path / "shipped" / "session.h").read_text()
    assert 'AppendExecutionProvider("WebGPU", {})' in header
    done = subprocess.run(
        [sys.executable, tmp_path / "shipped" / "session.py", "2"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(WHEEL)},
    )
    assert done.stdout.startswith("exec_time ")
    # The package that is installed here has no WebGPU, and no other thing is run in its place.
    without = [sys.executable, tmp_path / "shipped" / "session.py", "2"]
    done = subprocess.run(without, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "has no WebGpuExecutionProvider here" in done.stderr


@pytest.mark.usefixtures("software_vulkan")
def test_what_it_does_not_take_is_refused_by_name(tmp_path: Path):
    file = tmp_path / "m.onnx"
    file.write_bytes(drawn())
    case = Case(runtimes.runtime("onnxruntime"), file, tmp_path, given={"library": str(LIBRARY)})
    with case.engine() as (_, _, engine):
        assert engine.refusal({0: "webgpu", 2: "packed"}) == ""
        assert engine.refusal({0: "packed", 2: "webgpu"}) == "webgpu does not take @2"


def test_without_a_device_it_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "none.json"))
    (tmp_path / "m.onnx").write_bytes(small().SerializeToString())
    search = ("search", "m.onnx", "--backends", "packed,webgpu", "--budget", 4)
    words = pp_error(*search, *GIVEN, "--output", "run", cwd=tmp_path, status=3)
    assert "onnxruntime has webgpu, but cannot use it here: Failed to get" in words


def test_a_library_without_it_does_not_offer_it(tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(small().SerializeToString())
    search = ("search", "m.onnx", "--backends", "packed,webgpu", "--budget", 4)
    words = pp_error(*search, "--output", "run", cwd=tmp_path, status=2)
    assert "no backend webgpu, it has packed, plain" in words
