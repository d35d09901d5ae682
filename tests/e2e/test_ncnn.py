"""ncnn as a user meets it: kernels switched off layer by layer, one front with ONNX Runtime."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from build_onnx import constant, model_of, node
from build_onnx import small as small_onnx
from build_param import small
from e2e.command import JUDGED, pp, pp_error, pp_json

from pareto_profiler.core.trial import Failure
from pareto_profiler.storage.journal import read

QUICK = ("--repeats", 5, "--warmups", 1, "--retries", 0, "--no-confirm")
BY_OPERATION = ("--granularity", "operation", *QUICK)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of all feasible assignments; no runtime is named."""
    folder = tmp_path_factory.mktemp("ncnn")
    search = ("search", small(folder), *BY_OPERATION, "--sampler", "exhaustive", "--budget", 30)
    pp(*search, "--output", folder / "run", cwd=folder)
    return folder / "run"


def test_a_param_file_is_run_by_ncnn(run: Path, tmp_path: Path):
    recording = read(run)
    header = recording.header
    assert header.runtime.startswith("ncnn 1.")
    measured = {t.assignment: t.outcome for t in recording.trials if hasattr(t.outcome, "samples")}
    assert len(measured) >= 18
    # What a mask does not change is not measured as if it did.
    assert all(header.space.is_feasible(assignment) for assignment in measured)
    assert all(m.output_error < 1e-3 for m in measured.values())
    # Python is there before any model is.
    baseline = measured[header.space.default]
    before, peak = baseline.samples["rss_before_load"][0], baseline.samples["max_rss"][0]
    assert 5 << 20 < before < peak
    # It cannot say which kernel ran, and nothing claims that it did.
    assert not recording.placements
    checked = pp_json(
        "target", "check", "local", small(tmp_path), "--runtime", "ncnn", cwd=tmp_path
    )
    assert "placement is not verifiable" in str(checked)


def test_what_ships_is_run_and_compared(run: Path, tmp_path: Path):
    space = read(run).header.space
    mixed = str(space.id_of(("no-winograd", "direct", "no-sgemm")))
    for form in ("param", "python"):
        to = ("--format", form, "--output", form)
        done = pp("deploy", run, mixed, *to, cwd=tmp_path, status=JUDGED)
        assert "exec_time" in done.stdout
    text = (tmp_path / "param" / "model.param").read_text()
    assert [w for w in text.split() if w.startswith("31=")] == ["31=64", "31=96", "31=32"]
    done = subprocess.run(
        [sys.executable, tmp_path / "python" / "net.py", "3"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("exec_time ")
    assert "@" not in (tmp_path / "python" / "net.h").read_text()


def test_settings_ship_as_options_of_the_net(tmp_path: Path):
    model = small(tmp_path)
    vary = ("--vary", "winograd,packing,bf16,mmap_threshold", "--backends", "default")
    limits = ("--tolerance", "0.1", "--sampler", "exhaustive", "--budget", 40)
    pp("search", model, *vary, *limits, *QUICK, "--output", "run", cwd=tmp_path)
    recording = read(tmp_path / "run")
    space = recording.header.space
    measured = {t.assignment: t.outcome for t in recording.trials if hasattr(t.outcome, "samples")}
    names = [v.name for v in space.variables]
    chosen = {"winograd": "23", "packing": "off", "bf16": "on", "mmap_threshold": "fixed"}
    other = tuple(chosen.get(n, c) for n, c in zip(names, space.default, strict=True))
    assert measured[other].output_error > 0  # bf16 is another arithmetic
    one = str(space.id_of(other))
    pp("deploy", "run", one, "--format", "param", "--output", "made", cwd=tmp_path, status=JUDGED)
    header = (tmp_path / "made" / "net.h").read_text()
    for line in (
        "net.opt.use_winograd63_convolution = false;",
        "net.opt.use_winograd43_convolution = false;",
        "net.opt.use_packing_layout = false;",
        "net.opt.use_bf16_storage = true;",
        "mallopt(M_MMAP_THRESHOLD, 131072);",
    ):
        assert line in header
    stub = (
        "namespace ncnn { struct Net { struct { int num_threads; bool use_winograd63_convolution, "
    )
    stub += "use_winograd43_convolution, use_packing_layout, use_bf16_storage; } opt; }; }\n"
    (tmp_path / "net.h").write_text(stub)
    (tmp_path / "main.cc").write_text('#include "made/net.h"\n')
    compiler = [sys.executable, "-m", "ziglang", "c++", "-std=c++17", "-Wall", "-Werror", "-c"]
    subprocess.run([*compiler, "-I.", "main.cc"], cwd=tmp_path, check=True, timeout=120)


def test_a_profile_tells_each_layers_time(tmp_path: Path):
    found = pp_json("trace", small(tmp_path), "--repeats", 5, cwd=tmp_path)
    for profile in found["profiles"].values():
        assert [t["index"] for t in profile["operations"]] == list(range(6))


def test_one_onnx_file_on_both_runtimes(tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(small_onnx().SerializeToString())
    both = ("--runtime", "onnxruntime,ncnn", "--budget", 16, "--output", "both")
    done = pp("search", "m.onnx", *both, *BY_OPERATION, cwd=tmp_path)
    assert "onnxruntime 1." in done.stdout
    assert "ncnn 1." in done.stdout
    assert "do not agree" not in done.stderr
    first = pp_json("show", "both", cwd=tmp_path)["front"][0]
    form = "onnx" if first["runtime"].startswith("onnxruntime") else "param"
    pp("deploy", "both", "A", "--format", form, "--output", "made", cwd=tmp_path, status=JUDGED)
    assert (tmp_path / "both" / "report.html").is_file()


def test_a_model_that_became_another_by_conversion_is_not_searched(tmp_path: Path):
    """A row that a matrix is multiplied by is taken for a column."""
    nodes = [
        node("Conv", ["x", "c"], "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", ["a"], "b"),
        node("Flatten", ["b"], "d"),
        node("Gemm", ["d", "w"], "y"),
    ]
    model = model_of(nodes, [constant("c", (16, 3, 3, 3)), constant("w", (16, 10))])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    done = pp("search", "m.onnx", "--runtime", "ncnn", cwd=tmp_path, status=3)
    # How many it has depends on the processor's kernels.
    words = r"output 0 has \d+ bytes, the model's has 40: ncnn computes another model"
    assert re.search(words, done.stderr)


def test_what_cannot_be_is_said_in_a_line(tmp_path: Path):
    model = small(tmp_path)
    model.with_suffix(".bin").rename(tmp_path / "other.bin")
    assert "expected m.bin there" in pp_error("search", model, cwd=tmp_path)
    (tmp_path / "other.bin").rename(model.with_suffix(".bin"))
    model.write_text(model.read_text().replace("ReLU d", "Nonsense d"))
    text = pp_error("search", model, cwd=tmp_path, status=3)
    assert "baseline" in text


def test_a_library_of_ncnn_is_driven_in_place_of_the_wheel(tmp_path: Path):
    library = tmp_path / "libncnn.so"
    stub = Path(__file__).parents[1] / "stand_ins" / "stub_ncnn.c"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-o", library, stub]
    subprocess.run(compiler, check=True)
    model = small(tmp_path)
    search = ("search", model, *BY_OPERATION, "--library", tmp_path, "--budget", 4)
    pp(*search, "--output", "run", cwd=tmp_path)
    recording = read(tmp_path / "run")
    assert recording.header.runtime == "ncnn 1.0.20260526"
    assert not any(isinstance(t.outcome, Failure) for t in recording.trials)
    # What is measured is the program of the driver, with no Python in it.
    before = recording.trials[0].outcome.samples["rss_before_load"][0]
    assert before < 5 << 20
    to = ("--format", "param", "--output", "made")
    done = pp("deploy", "run", "0", *to, cwd=tmp_path, status=JUDGED)
    assert "exec_time" in done.stdout
    # Its C API has no switch for that.
    vary = ("--vary", "winograd", "--backends", "default", "--budget", 3, "--library", library)
    pp("search", model, *QUICK, *vary, "--output", "varied", cwd=tmp_path)
    failed = [t.outcome for t in read(tmp_path / "varied").trials if isinstance(t.outcome, Failure)]
    assert failed
    assert all("no option use_winograd63_convolution" in outcome.message for outcome in failed)
