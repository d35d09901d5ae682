"""The models that people bring: adapted, sized, or told in one line why not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from build_model import (
    CUSTOM,
    HARD_SWISH,
    RELU,
    TANH,
    ModelSpec,
    OperationSpec,
    TensorSpec,
    build,
    chain,
    dense,
    half_precision,
)
from e2e.command import pp, pp_error, pp_json

from pareto_profiler.storage.journal import read

QUICK = ("--repeats", 3, "--warmups", 1, "--retries", 0, "--no-confirm", "--budget", 4)


def swishing() -> bytes:
    """Dense layers with an operation between that onert has not."""
    spec = dense(layers=2)
    operations = [
        OperationSpec(HARD_SWISH, o.inputs, o.outputs) if i == 1 else o
        for i, o in enumerate(spec.operations)
    ]
    return build(ModelSpec(spec.tensors, operations, spec.inputs, spec.outputs))


def free() -> bytes:
    """A picture of any size, as a file has it: 1 × 1."""
    signature = (-1, -1, -1, 3)
    tensors = [
        TensorSpec((1, 1, 1, 3), name=name, signature=signature) for name in ("image", "a", "y")
    ]
    operations = [OperationSpec(TANH, (0,), (1,)), OperationSpec(RELU, (1,), (2,))]
    return build(ModelSpec(tensors, operations, (0,), (2,)))


@pytest.fixture
def swish(tmp_path: Path) -> Path:
    path = tmp_path / "swish.tflite"
    path.write_bytes(swishing())
    return path


def test_a_search_proposes_to_adapt_and_does_it(swish: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said = pp_error("search", swish, *QUICK, cwd=tmp_path)
    assert "onert cannot load @1 HARD_SWISH (" in said
    assert "--adapt rewrites what it can" in said
    options = ("--adapt", *QUICK, "--granularity", "operation", "--output", "run")
    done = pp("search", swish, *options, cwd=tmp_path)
    assert "adapted to onert: hard_swish_by_parts: 1 × HARD_SWISH; as " in done.stderr
    shown = pp_json("show", "run", cwd=tmp_path)
    assert shown["model"] == "swish"
    assert shown["front"]
    recording = read(tmp_path / "run")
    space = recording.header.space
    other = next(t.assignment for t in recording.trials if t.assignment != space.default)
    text = pp("explain", "run", space.id_of(other), "--all", cwd=tmp_path).stdout
    text = " ".join(text.split())
    assert re.search(r"FullyConnected@4 \(was @2\)", text)
    pp("report", "run", cwd=tmp_path)
    assert '"origin":1' in (tmp_path / "run" / "report.html").read_text().replace(" ", "")
    # What ships is what was measured.
    pp(
        "deploy",
        "run",
        "baseline",
        "--format",
        "nnpackage",
        "--output",
        "p",
        cwd=tmp_path,
        status=(0, 1, 3),
    )
    inspected = pp_json("inspect", "p", cwd=tmp_path)
    assert inspected["original"] == pp_json("inspect", swish, cwd=tmp_path)["digest"]
    assert [o["origin"] for o in inspected["operations"]] == [0, 1, 1, 1, 2, 3]


def test_an_adapted_model_that_is_gone_is_made_again(swish: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pp("search", swish, "--adapt", *QUICK, "--output", "run", cwd=tmp_path)
    for more in ((), ("--model", swish)):
        shutil.rmtree(tmp_path / "cache")
        done = pp(
            "deploy", "run", "baseline", "--output", "s.sh", *more, cwd=tmp_path, status=(0, 1, 3)
        )
        assert "it is for the adapted model, which has to ship with it: " in done.stderr
        assert "written: s.sh" in done.stderr
    shutil.rmtree(tmp_path / "cache")
    pp("confirm", "run", "--budget", 2, cwd=tmp_path)
    moved = swish.rename(tmp_path / "moved.tflite")
    shutil.rmtree(tmp_path / "cache")
    pp("confirm", "run", "--budget", 2, "--model", moved, cwd=tmp_path)


def test_nothing_overwrites_the_model_of_a_run(swish: Path, tmp_path: Path):
    content = swish.read_bytes()
    pp("search", swish, "--runtime", "litert", *QUICK, "--output", "run", cwd=tmp_path)
    for words in (
        ("deploy", "run", "baseline", "--format", "json", "--output", swish),
        ("export", "run", "--format", "csv", "--output", swish),
        ("report", "run", "--svg", swish),
        ("report", "run", "--output", swish),
    ):
        assert "is the run's model" in pp_error(*words, cwd=tmp_path)
    other = ("search", swish, "--runtime", "litert", *QUICK, "--output", "other")
    assert "is the run's model" in pp_error(*other, "--dumpfile", swish, cwd=tmp_path)
    assert swish.read_bytes() == content


def test_adapted_and_original_outputs_are_compared(swish: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = ("--runtime", "litert,onert", "--adapt", *QUICK, "--budget", 10, "--output", "run")
    done = pp("search", swish, *options, cwd=tmp_path)
    assert "adapted to onert" in done.stderr
    assert "adapted to litert" not in done.stderr
    assert "do not agree" not in done.stderr
    assert set(pp_json("show", "run", cwd=tmp_path)["runs"]) == {"litert", "onert"}


def test_what_a_runtime_refuses_without_a_name_is_named(tmp_path: Path):
    (tmp_path / "half.tflite").write_bytes(build(half_precision()))
    said = pp("search", "half.tflite", *QUICK, cwd=tmp_path, status=3).stderr
    # onert says "OperationValidator failed", and no more.
    assert "the first operation that it refuses is @0 DEQUANTIZE: --adapt rewrites it" in said


@pytest.mark.parametrize("kind", ["0.01", "largest", "l2:0.05", "cosine:0.99", "top1", "kl:0.1"])
def test_outputs_are_compared_in_the_way_that_is_asked_for(kind: str, tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(build(dense()))
    options = ("--tolerance", kind, *QUICK, "--granularity", "operation", "--output", "run")
    shown = pp_json("search", "m.tflite", *options, cwd=tmp_path)
    assert shown["plan"].get("tolerance_kind", "largest") == kind.partition(":")[0].replace(
        "0.01", "largest"
    )
    assert not shown["failures"]


@pytest.mark.parametrize("runtime", ["onert", "litert"])
def test_outputs_are_compared_on_all_inputs_and_time_on_one(runtime: str, tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(build(dense()))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((3, 1, 16)).astype("f4"))
    options = ("--runtime", runtime, "--granularity", "operation", *QUICK)
    pp("search", "m.tflite", "--input", "x.npy", *options, "--output", "several", cwd=tmp_path)
    np.save(tmp_path / "one.npy", np.load(tmp_path / "x.npy")[0])
    pp("search", "m.tflite", "--input", "one.npy", *options, "--output", "one", cwd=tmp_path)
    several, one = (read(tmp_path / run) for run in ("several", "one"))
    assert several.header.plan.input_digest != one.header.plan.input_digest
    worst = [
        {t.assignment: t.outcome.output_error for t in run.trials if hasattr(t.outcome, "samples")}
        for run in (several, one)
    ]
    both = worst[0].keys() & worst[1].keys()
    assert len(both) > 1
    assert all(worst[0][a] >= worst[1][a] for a in both)
    if runtime == "litert":  # where kernels differ in the last digits
        assert any(worst[0][a] > worst[1][a] for a in both)


def test_a_tolerance_that_is_none_is_one_line(tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(build(dense()))
    for wrong in ("cosine:2", "top1:0.5", "l3:1", "nan", "-1", "inf"):
        said = pp_error("search", "m.tflite", "--tolerance", wrong, cwd=tmp_path)
        assert f"tolerance {wrong!r}: expected" in said


def test_adapt_writes_a_model_beside_it(swish: Path, tmp_path: Path):
    made = pp_json("adapt", swish, cwd=tmp_path)
    assert made["written"] == str(tmp_path / "swish-onert.tflite")
    assert made["steps"] == [["hard_swish_by_parts", 1, "HARD_SWISH"]]
    assert made["error"] < 1e-5
    text = pp("adapt", swish, "--output", "other.tflite", cwd=tmp_path).stdout
    assert text.startswith("hard_swish_by_parts: 1 × HARD_SWISH\noutputs differ by ")
    listed = pp("inspect", "other.tflite", "--operations", cwd=tmp_path).stdout
    assert "; @1 of the original" in " ".join(listed.split())
    assert "is the model itself" in pp_error("adapt", swish, "--output", swish, cwd=tmp_path)
    array = tmp_path / "x.npy"
    np.save(array, np.zeros((1, 16), np.float32))
    options = ("--input", array, "--output", "third.tflite", "--runtime", "litert")
    assert pp_json("adapt", swish, *options, cwd=tmp_path)["steps"] == []
    wide = ("--input-shape", "input=1,99")
    assert "'input' has the shape 1,16" in pp_error("adapt", swish, *wide, cwd=tmp_path)


@pytest.mark.parametrize("runtime", ["onert", "litert"])
def test_sizes_that_are_free_are_said_and_fixed(runtime: str, tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(free())
    assert (
        "image: ?×?×?×3 (? are free, 1×1×1×3 in the file)"
        in pp("inspect", "m.tflite", cwd=tmp_path).stdout
    )
    base = ("search", "m.tflite", "--runtime", runtime, *QUICK)
    text = " ".join(pp(*base, "--output", "as_it_is", cwd=tmp_path).stdout.split())
    assert "input 'image' has free sizes and was measured at 1×1×1×3" in text
    shaped = ("--input-shape", "image=1,64,48,3", "--output", "shaped")
    assert "free sizes" not in pp(*base, *shaped, cwd=tmp_path).stdout
    np.save(tmp_path / "x.npy", np.zeros((1, 64, 48, 3), np.float32))
    given = ("--input", "x.npy", "--output", "given")
    assert "free sizes" not in pp(*base, *given, cwd=tmp_path).stdout
    for run in ("shaped", "given"):
        header = json.loads((tmp_path / run / "journal.jsonl").read_text().splitlines()[0])
        image = header["graph"]["tensors"][header["graph"]["inputs"][0]]
        assert image[2] == [1, 64, 48, 3]
    # More of it is measured at the same size.
    pp("confirm", "shaped", "--budget", 2, cwd=tmp_path)
    for wrong in ("image=1,64,48", "other=1,2", "image=1,0,4,3", "image=1,2,3,4", "image=a"):
        assert f"--input-shape {wrong}: " in pp_error(*base, "--input-shape", wrong, cwd=tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>not here</html>", "a web page"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0", "gunzip"),
        (b"PK\x03\x04" + bytes(40), "a ZIP archive that cannot be read"),
        (b"LITERTLM" + bytes(40), "a .litertlm bundle"),
        (b"\x08\x0a\x12\x04onnx" + bytes(40), "is no ONNX model"),
        (b"GGUF\x03\0\0\0" + bytes(40), "a GGUF model"),
    ],
)
def test_what_is_no_model_is_called_by_its_name(content: bytes, words: str, tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(content)
    for command in ("inspect", "search", "adapt"):
        assert words in pp_error(command, "m.tflite", cwd=tmp_path)


@pytest.mark.parametrize("runtime", ["onert", "litert"])
def test_a_model_compiled_for_an_npu_is_told(runtime: str, tmp_path: Path):
    spec = chain(1)
    operation = OperationSpec(CUSTOM, (0,), (1,), custom_code="DISPATCH_OP")
    (tmp_path / "m.tflite").write_bytes(build(ModelSpec(spec.tensors, [operation], (0,), (1,))))
    for more in ((), ("--adapt",)):
        said = pp_error("search", "m.tflite", "--runtime", runtime, *more, cwd=tmp_path)
        assert "compiled for an NPU: take the" in said
        assert ("--adapt rewrites" in said) == (not more)


def test_models_in_an_archive_are_named(tmp_path: Path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "m.task", "w") as archive:
        archive.writestr("detector.tflite", build(chain(2)))
    assert "take detector.tflite" in pp_error("inspect", "m.task", cwd=tmp_path)
