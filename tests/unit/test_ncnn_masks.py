"""ncnn's room: which layers masks can change, and what comes of an .onnx file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from build_onnx import model_of, node
from build_onnx import small as small_onnx
from build_param import small

from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import Support
from pareto_profiler.errors import InputError, ModelError, TargetError
from pareto_profiler.models import load
from pareto_profiler.runtimes import runtime, runtime_for
from pareto_profiler.runtimes.base import Where
from pareto_profiler.runtimes.ncnn.conversion import with_sizes
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
