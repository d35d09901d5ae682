"""ncnn's room: which layers masks can change, and what comes of an .onnx file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from build_onnx import constant, model_of, node
from build_onnx import small as small_onnx
from build_param import small

from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import Support
from pareto_profiler.errors import InputError, ModelError, TargetError
from pareto_profiler.models import load
from pareto_profiler.models.param_reader import weights_file
from pareto_profiler.runtimes import runtime, runtime_for
from pareto_profiler.runtimes.base import Where
from pareto_profiler.runtimes.ncnn.conversion import converted, with_sizes
from pareto_profiler.runtimes.ncnn.masks import DIRECT, NO_SGEMM, NO_WINOGRAD, masked
from pareto_profiler.shells.local import LocalShell

NCNN = runtime("ncnn")


def test_masks_are_offered_where_they_change_something(tmp_path: Path):
    graph = NCNN.read(small(tmp_path)).graph
    backends = [b for b in NCNN.backends if b not in NCNN.on_request]
    space = DecisionSpace.of(graph, backends, Granularity.NAME, support=Support(NCNN))
    assert {v.name: v.feasible for v in space.variables} == {
        "Convolution3x3": ("default", NO_WINOGRAD, DIRECT),
        "Convolution": ("default", NO_SGEMM),
    }


def test_a_mask_stands_behind_its_layer_and_keeps_what_was_there(tmp_path: Path):
    text = small(tmp_path).read_text().replace("1=1 5=1", "1=1 31=4 5=1")
    lines = masked(text, {0: NO_WINOGRAD, 2: NO_SGEMM}).splitlines()
    assert lines[3].endswith(" 31=64")
    assert "31=" not in lines[4]
    assert lines[5].endswith(" 31=36")
    assert lines[5].count("31=") == 1
    assert masked(text, {}) == text


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_onnx_file_is_converted_once(tmp_path: Path, cache: Path):
    file = tmp_path / "m.onnx"
    file.write_bytes(small_onnx().SerializeToString())
    model = NCNN.read(file)
    assert model.path == file
    assert model.graph.original == load(file).graph.digest
    assert [model.graph.tensors[t].shape for t in model.graph.inputs] == [(3, 16, 16)]
    assert "Convolution3x3" in {o.name for o in model.graph.operations}
    assert model.file.is_relative_to(cache)
    made = model.file.stat().st_mtime_ns
    assert NCNN.read(file).file.stat().st_mtime_ns == made
    # It goes to the first runtime that reads it, where none is named.
    assert runtime_for(file).name == "onnxruntime"
    assert runtime_for(small(tmp_path, "p")).name == "ncnn"


def test_a_model_of_free_sizes_is_not_converted(tmp_path: Path, cache: Path):
    del cache
    free = model_of([node("Relu", ["x"], "y")], [], taken=("n", 3), made=("n", 3))
    (tmp_path / "m.onnx").write_bytes(free.SerializeToString())
    with pytest.raises(ModelError, match="input 'x' has free sizes, .* fix them in the file"):
        NCNN.read(tmp_path / "m.onnx")


def test_weights_beside_the_model_are_converted_as_they_are(tmp_path: Path, cache: Path):
    """Pnnx looks for them where it runs, and takes what it does not find for zeros."""
    del cache
    model = model_of(
        [node("Conv", ["x", "w"], "y", pads=[1, 1, 1, 1])],
        [constant("w", (4, 3, 3, 3))],
        made=(1, 4, 16, 16),
    )
    (tmp_path / "one.onnx").write_bytes(model.SerializeToString())
    folder = tmp_path / "apart"
    folder.mkdir()
    onnx.save(
        model, folder / "two.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    one, two = (
        weights_file(NCNN.read(f).file).read_bytes()
        for f in (tmp_path / "one.onnx", folder / "two.onnx")
    )
    assert one == two


def test_control_flow_is_not_given_to_pnnx(tmp_path: Path, cache: Path):
    del cache
    file = tmp_path / "m.onnx"
    file.write_bytes(small_onnx().SerializeToString())
    model = load(file)
    first, *others = model.graph.operations
    operations = (replace(first, builtin="Loop"), *others)
    with pytest.raises(ModelError, match=r"m\.onnx: pnnx converts no control flow, .* Loop"):
        converted(replace(model, graph=replace(model.graph, operations=operations)))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("printf '7767517\\npnnx.Expression e 0 1 a\\n' >model.ncnn.param", "pnnx.Expression"),
        ("echo 'reason of its own' >&2; exit 3", "exit status 3.*reason of its own"),
    ],
)
def test_what_pnnx_does_not_convert_is_said_in_a_line(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
):
    del cache
    program = tmp_path / "pnnx"
    program.write_text(f'#!/bin/sh\ncd "$(dirname "$1")"; touch model.ncnn.bin\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setattr("pareto_profiler.runtimes.ncnn.conversion._program", lambda: program)
    file = tmp_path / "m.onnx"
    file.write_bytes(small_onnx().SerializeToString())
    with pytest.raises(ModelError, match=words) as caught:
        NCNN.read(file)
    assert len(str(caught.value)) < len(str(file)) + 150


def test_without_pnnx_the_error_says_how_to_get_it(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    del cache
    (tmp_path / "m.onnx").write_bytes(small_onnx().SerializeToString())
    monkeypatch.setitem(sys.modules, "pnnx", None)
    with pytest.raises((ModelError, ValueError), match="pip install --no-deps pnnx"):
        NCNN.read(tmp_path / "m.onnx")


def test_sizes_go_into_the_input_without_the_batch(tmp_path: Path):
    file = tmp_path / "m.onnx"
    file.write_bytes(small_onnx().SerializeToString())
    text = "7767517\n2 2\nInput in0 0 1 in0\nReLU r 1 1 in0 out0\n"
    assert "Input in0 0 1 in0 0=16 1=16 2=3\n" in with_sizes(text, load(file).graph)


def test_elsewhere_a_library_has_to_be_named():
    elsewhere = Where("board", is_local=False, work=Path("/tmp"))
    with pytest.raises(TargetError, match="board: name a libncnn.so there with --library"):
        NCNN.find(LocalShell(), elsewhere)
    named = Where("local", is_local=True, work=Path("/tmp"), given={"library": "/x/libncnn.so"})
    with pytest.raises(InputError, match="/x/libncnn.so: no library that can be read"):
        NCNN.find(LocalShell(), named)
