"""ONNX Runtime as a user meets it: weights packed or left, read back in every process, shipped."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from build_onnx import constant, model_of, node, small
from e2e.command import JUDGED, command, pp, pp_error, pp_json
from onnx import numpy_helper

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.trial import Profile
from pareto_profiler.runtimes.onnxruntime.folding import WHEEL
from pareto_profiler.storage.journal import read

QUICK = ("--repeats", 5, "--warmups", 1, "--retries", 0, "--no-confirm")
BY_OPERATION = ("--granularity", "operation", *QUICK)


def dense(folder: Path) -> Path:
    """A model whose memory is its weights: three matrices of 4 MB."""
    nodes = [
        node("MatMul", ["x", "a"], "p"),
        node("Relu", ["p"], "q"),
        node("MatMul", ["q", "b"], "r"),
        node("Relu", ["r"], "s"),
        node("MatMul", ["s", "c"], "y"),
    ]
    weights = [constant(name, (1024, 1024), seed) for seed, name in enumerate("abc")]
    model = model_of(nodes, weights, taken=("batch", 1024), made=("batch", 1024))
    file = folder / "dense.onnx"
    file.write_bytes(model.SerializeToString())
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of all eight assignments; no runtime is named."""
    folder = tmp_path_factory.mktemp("onnxruntime")
    model = dense(folder)
    search = ("search", model, *BY_OPERATION, "--sampler", "exhaustive", "--budget", 8)
    pp(*search, "--output", folder / "run", cwd=folder)
    return folder / "run"


def test_an_onnx_model_is_run_by_onnx_runtime(run: Path):
    recording = read(run)
    header = recording.header
    assert header.runtime.startswith("onnxruntime 1.")
    assert header.space.backends == ("packed", "plain")
    measured = {t.assignment: t.outcome for t in recording.trials if hasattr(t.outcome, "samples")}
    assert len(measured) == 8
    assert all(m.output_error < 1e-3 for m in measured.values())
    # A packed matrix is a second one, in memory that cannot be dropped: 4 MiB each.
    anonymous = {a: m.samples["rss_anon"][0] / 2**20 for a, m in measured.items()}
    packed = anonymous[("packed",) * 3]
    plain = anonymous[("plain",) * 3]
    assert packed - plain == pytest.approx(12, abs=1.5)
    assert recording.placements
    assert not any(p.mismatches for p in recording.placements)


def test_what_ships_is_run_and_compared(run: Path, tmp_path: Path):
    plain = str(read(run).header.space.id_of(("plain", "packed", "plain")))
    for form in ("onnx", "python"):
        folder = tmp_path / form
        to = ("--format", form, "--output", folder)
        done = pp("deploy", run, plain, *to, cwd=tmp_path, status=JUDGED)
        assert "exec_time" in done.stdout
        made = onnx.load(str(folder / "model.onnx"), load_external_data=False)
        assert len(made.graph.input) == 3
        assert (folder / "weights.bin").stat().st_size >= 12 << 20
    # It is a folder to be carried elsewhere.
    shutil.move(tmp_path / "python", tmp_path / "elsewhere")
    done = subprocess.run(
        [sys.executable, tmp_path / "elsewhere" / "session.py", "3"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("exec_time ")
    header = (tmp_path / "elsewhere" / "session.h").read_text()
    assert "SetIntraOpNumThreads(1)" in header
    assert "@" not in header


STUB = """
#pragma once
enum { ORT_LOGGING_LEVEL_ERROR = 3 };
enum class GraphOptimizationLevel { ORT_ENABLE_ALL = 99 };
namespace Ort {
struct SessionOptions {
  void SetLogSeverityLevel(int) {}
  void SetIntraOpNumThreads(int) {}
  void SetInterOpNumThreads(int) {}
  void SetGraphOptimizationLevel(GraphOptimizationLevel) {}
  void DisableCpuMemArena() {}
  void DisableMemPattern() {}
};
}
"""


def test_settings_ship_as_options_of_the_session(tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(small().SerializeToString())
    vary = ("--vary", "external_data,arena,memory_pattern", "--backends", "packed")
    pp(
        *("search", "m.onnx", *vary, "--sampler", "exhaustive", *QUICK),
        *("--output", "run"),
        cwd=tmp_path,
    )
    recording = read(tmp_path / "run")
    space = recording.header.space
    assert len({t.assignment for t in recording.trials if hasattr(t.outcome, "samples")}) == 8
    # The baseline is what people have: weights inside.
    settings = dict(zip([v.name for v in space.variables], space.default, strict=True))
    assert settings["external_data"] == "off"
    names = [v.name for v in space.variables if v.is_setting]
    chosen = tuple("off" for _ in names)
    rest = tuple("packed" for v in space.variables if not v.is_setting)
    off = str(space.id_of((*rest, *chosen)))
    pp("deploy", "run", off, "--format", "onnx", "--output", "off", cwd=tmp_path, status=JUDGED)
    assert not (tmp_path / "off" / "weights.bin").exists()
    program = (tmp_path / "off" / "session.py").read_text()
    assert "options.enable_cpu_mem_arena = False" in program
    assert "options.enable_mem_pattern = False" in program
    include = tmp_path / "include"
    include.mkdir()
    (include / "onnxruntime_cxx_api.h").write_text(STUB)
    (tmp_path / "main.cc").write_text('#include "off/session.h"\n')
    # Not linked: that would build a C++ library first.
    compiler = [sys.executable, "-m", "ziglang", "c++", "-std=c++17", "-Wall", "-Werror", "-c"]
    subprocess.run([*compiler, f"-I{include}", "main.cc"], cwd=tmp_path, check=True, timeout=120)


def test_a_profile_tells_each_operations_time(tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(small().SerializeToString())
    found = pp_json("trace", "m.onnx", "--repeats", 5, cwd=tmp_path)
    for backend in ("packed", "plain"):
        times = {t["index"] for t in found["profiles"][backend]["operations"]}
        assert {0, 2, 5, 10} <= times


def test_inputs_of_free_size_take_what_is_given(tmp_path: Path):
    model = dense(tmp_path)
    np.save(tmp_path / "in.npy", np.random.default_rng(0).random((8, 1024), np.float32))
    found = pp_json(
        *("search", model, *QUICK, "--budget", 2, "--input", "in.npy", "--output", "run"),
        cwd=tmp_path,
    )
    assert found["front"]
    pp(
        *("search", model, *QUICK, "--budget", 2, "--input-shape", "x=8,1024"),
        *("--output", "again"),
        cwd=tmp_path,
    )


def test_a_killed_search_goes_on(tmp_path: Path):
    model = dense(tmp_path)
    search = ("search", model, *BY_OPERATION, "--budget", 8, "--output", tmp_path / "run")
    process = subprocess.Popen(
        command("pareto-profiler", *search), cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    journal = tmp_path / "run" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and len(journal.read_bytes().splitlines()) > 3:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = len(read(tmp_path / "run").trials)
    pp(*search, cwd=tmp_path)
    assert len(read(tmp_path / "run").trials) > before
    assert not list((tmp_path / "run").glob(".pareto-profiler-work-*"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--library", "/nowhere"), "/nowhere: no library that can be read"),
        (("--runtime", "litert"), "is of the format onnx, which litert does not read"),
        (("--runtime", "onert"), "is of the format onnx, which onert does not read"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(tmp_path: Path, given: tuple[str, ...], words: str):
    (tmp_path / "m.onnx").write_bytes(small().SerializeToString())
    text = pp_error("search", "m.onnx", *given, cwd=tmp_path)
    assert words in text


def test_another_library_is_no_onnx_runtime(tmp_path: Path):
    from pareto_profiler.runtimes.litert.installation import WHEEL as OTHER

    (tmp_path / "m.onnx").write_bytes(small().SerializeToString())
    text = pp_error("search", "m.onnx", "--library", OTHER.here(), cwd=tmp_path, status=3)
    assert "no ONNX Runtime of version 1.17 or newer" in text
    assert WHEEL.here().is_file()


def test_what_it_cannot_load_is_said_in_a_line(tmp_path: Path):
    unknown = model_of([node("Relu", ["x"], "a"), node("Nonsense", ["a"], "y")], [])
    (tmp_path / "m.onnx").write_bytes(unknown.SerializeToString())
    text = pp_error("search", "m.onnx", cwd=tmp_path)
    assert "onnxruntime cannot load it" in text
    assert "Nonsense" in text


def test_the_model_is_not_overwritten_by_what_ships(tmp_path: Path):
    model = tmp_path / "mine" / "model.onnx"
    model.parent.mkdir()
    model.write_bytes(small().SerializeToString())
    pp("search", model, "--budget", 2, *QUICK, "--output", "run", cwd=tmp_path)
    words = pp_error("deploy", "run", "0", "--output", "mine", cwd=tmp_path)
    assert "the run's model lies there" in words
    assert model.read_bytes() == small().SerializeToString()
    assert [f.name for f in model.parent.iterdir()] == ["model.onnx"]


def test_outputs_that_are_large_are_compared(tmp_path: Path):
    """Squares of them are infinite, which JSON does not have."""
    large = numpy_helper.from_array(np.full((8, 8), 1e200), "w")
    model = model_of([node("MatMul", ["x", "w"], "y")], [large], taken=(1, 8), made=(1, 8))
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    pp(
        "search",
        "m.onnx",
        "--vary",
        "arena",
        "--budget",
        4,
        *QUICK,
        "--output",
        "run",
        cwd=tmp_path,
    )
    trials = [t for t in read(tmp_path / "run").trials if not isinstance(t.outcome, Profile)]
    assert len(trials) > 1
    assert all(isinstance(t.outcome, Measurement) for t in trials)


def test_what_ships_runs_on_inputs_as_large_as_measured(tmp_path: Path):
    model = model_of(
        [node("Relu", ["x"], "a"), node("MatMul", ["a", "w"], "y")],
        [constant("w", (8, 8))],
        taken=("n", 8),
        made=("n", 8),
    )
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    shape = ("--input-shape", "x=64,8")
    pp("search", "m.onnx", *shape, "--budget", 2, *QUICK, "--output", "run", cwd=tmp_path)
    pp("deploy", "run", "0", "--output", "made", cwd=tmp_path, status=JUDGED)
    program = tmp_path / "made" / "session.py"
    assert "SHAPES = {'x': (64, 8)}" in program.read_text()
    for words, status in (("3", 0), ("none", 1), ("0", 1)):
        done = subprocess.run(
            [sys.executable, program, words], capture_output=True, text=True, check=False
        )
        assert done.returncode == status
        assert "Traceback" not in done.stderr
