"""Reading .onnx files: what they say, and what they lack."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from build_onnx import CHANNELS, constant, model_of, node, small
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import ModelError
from pareto_profiler.models import format_of, load, sized
from pareto_profiler.models.onnx_reader import read_onnx

WHOLE = small().SerializeToString()


def written(model: onnx.ModelProto, folder: Path) -> Path:
    file = folder / "m.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def graph_of(model: onnx.ModelProto, folder: Path) -> Graph:
    return load(written(model, folder)).graph


def test_operations_and_tensors_are_as_the_file_has_them(tmp_path: Path):
    graph = graph_of(small(), tmp_path)
    assert graph.format == "onnx"
    assert [o.name for o in graph.operations][:4] == ["Conv", "Relu", "Conv", "BatchNormalization"]
    assert [graph.tensors[t].name for t in (*graph.inputs, *graph.outputs)] == ["x", "y"]
    first = graph.operations[0]
    assert first.weight_bytes == 4 * CHANNELS * 3 * 3 * 3
    assert first.dtype == "float32"
    made = graph.tensors[first.outputs[0]]
    assert (made.shape, made.size_bytes) == ((1, CHANNELS, 16, 16), 4 * CHANNELS * 16 * 16)
    assert (graph.edges[0].producer, graph.edges[0].consumer) == (0, 1)
    assert Graph.from_json(graph.to_json()) == graph
    assert format_of(tmp_path / "m.onnx") == "onnx"


def test_constants_of_nodes_are_tensors_and_no_operations(tmp_path: Path):
    weights = constant("inner", (3, 3))
    nodes = [
        node("Constant", [], "w", value=weights),
        node("MatMul", ["x", "w"], "m"),
        node("Constant", [], "s", value_floats=[1.0, 2.0, 3.0]),
        node("Constant", [], "i", value_int=1),
        node("Add", ["m", "s"], "y"),
    ]
    graph = graph_of(model_of(nodes, [], taken=(2, 3), made=(2, 3)), tmp_path)
    assert [o.name for o in graph.operations] == ["MatMul", "Add"]
    assert [o.weight_bytes for o in graph.operations] == [36, 12]


def test_sizes_left_free_are_1_and_are_told(tmp_path: Path):
    nodes = [node("Relu", ["x"], "y")]
    graph = graph_of(model_of(nodes, [], taken=("batch", 8), made=("batch", 8)), tmp_path)
    (free,) = graph.free_inputs
    assert (free.shape, free.signature) == ((1, 8), (-1, 8))
    assert graph.tensors[graph.outputs[0]].shape == (1, 8)


def test_constants_that_are_inputs_too_are_no_inputs(tmp_path: Path):
    graph = graph_of(small(overridable=["w0", "dense"]), tmp_path)
    assert [graph.tensors[t].name for t in graph.inputs] == ["x"]


def test_bodies_are_counted(tmp_path: Path):
    inner = helper.make_graph(
        [node("Identity", ["x"], "z")], "b", [], [helper.make_tensor_value_info("z", 1, [1])]
    )
    nodes = [
        node("Constant", [], "c", value=numpy_helper.from_array(np.array(True))),
        node("If", ["c"], "y", then_branch=inner, else_branch=inner),
    ]
    graph = graph_of(model_of(nodes, [], taken=[1], made=[1]), tmp_path)
    assert graph.subgraph_count == 3


def external(folder: Path, location: str) -> Path:
    model = small()
    weights = model.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    (folder / "w.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    entry = weights.external_data.add()
    entry.key, entry.value = "location", location
    return written(model, folder)


def test_weights_beside_the_model_are_part_of_it(tmp_path: Path):
    file = external(tmp_path, "w.bin")
    before = load(file).graph
    assert before.operations[0].weight_bytes == 4 * CHANNELS * 3 * 3 * 3
    (tmp_path / "w.bin").write_bytes(bytes(len((tmp_path / "w.bin").read_bytes())))
    assert load(file).graph.digest != before.digest


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "", "a/../../w.bin"])
def test_weights_elsewhere_are_refused(tmp_path: Path, location: str):
    with pytest.raises(ModelError, match="expected a file beside the model"):
        load(external(tmp_path, location))


def test_missing_weights_are_named(tmp_path: Path):
    with pytest.raises(ModelError, match=r"its weights lie in other\.bin, .* copy that file"):
        load(external(tmp_path, "other.bin"))


def test_weights_of_bodies_are_part_of_the_model_too(tmp_path: Path):
    """They lie in a file of their own, which may be another or missing."""
    weights = constant("w", (4, 4))
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="w.bin")
    made = helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
    then = helper.make_graph([node("MatMul", ["x", "w"], "t")], "then", [], [made], [weights])
    made = helper.make_tensor_value_info("e", TensorProto.FLOAT, None)
    other = helper.make_graph([node("Relu", ["x"], "e")], "else", [], [made])
    flag = numpy_helper.from_array(np.array(True), "c")
    branch = node("If", ["c"], "y", then_branch=then, else_branch=other)
    file = written(model_of([branch], [flag], taken=(4, 4), made=(4, 4)), tmp_path)
    digests = set()
    for value in (1.0, 2.0):
        (tmp_path / "w.bin").write_bytes(np.full((4, 4), value, np.float32).tobytes())
        digests.add(load(file).graph.digest)
    assert len(digests) == 2
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"its weights lie in w\.bin, which is not beside it"):
        load(file)


def test_an_input_without_elements_cannot_be_measured(tmp_path: Path):
    empty = model_of([node("Relu", ["x"], "y")], [], taken=(0, 16), made=(0, 16))
    with pytest.raises(ModelError, match="input 'x' has a size of 0"):
        graph_of(empty, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda m: m.graph.node[0].input.__setitem__(0, "nothing"),
            "an input of Conv @0 is .*noth",
        ),
        (lambda m: m.graph.node[1].output.__setitem__(0, "a"), "two things make the tensor 'a'"),
        (lambda m: m.graph.ClearField("node"), "without an operation"),
        (lambda m: m.graph.output[0].__setattr__("name", "z"), "an output of the model is .*'z'"),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, -3), "constant 'w0' has the shape"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, change, words: str):
    model = small()
    change(model)
    file = written(model, tmp_path)
    with pytest.raises(ModelError, match=words) as raised:
        load(file)
    assert str(file) in str(raised.value)


def test_without_the_library_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = written(small(), tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match="pip install onnx"):
        load(file)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8))
def test_any_damage_ends_in_a_graph_or_an_error(at: int, instead: bytes):
    data = WHOLE[:at] + instead + WHOLE[at + len(instead) :]
    try:
        read_onnx(data, Path("damaged.onnx"))
    except ModelError as error:
        assert str(error).startswith("damaged.onnx: ")
        assert "\n" not in str(error)


@given(st.integers(0, len(WHOLE) - 1))
@settings(max_examples=50, deadline=None)
def test_a_file_that_was_cut_is_no_model(length: int):
    with pytest.raises(ModelError):
        read_onnx(WHOLE[:length], Path("cut.onnx"))


def test_sizes_that_are_fixed_reach_what_is_computed_from_them(tmp_path: Path):
    nodes = [node("Conv", ["x", "w"], "a", pads=[1, 1, 1, 1]), node("Relu", ["a"], "y")]
    made = model_of(
        nodes, [constant("w", (4, 3, 3, 3))], taken=("n", 3, "h", "w"), made=("n", 4, "h", "w")
    )
    model = load(written(made, tmp_path))
    (x,) = model.graph.inputs
    assert model.graph.tensors[model.graph.operations[0].outputs[0]].shape == (1, 4, 1, 1)
    graph = sized(model, {x: (2, 3, 8, 8)}).graph
    shapes = {t.name: (t.shape, t.signature) for t in graph.tensors}
    assert shapes["x"] == ((2, 3, 8, 8), ())
    assert shapes["a"] == shapes["y"] == ((2, 4, 8, 8), ())
    assert graph.operations[1].data_bytes == 2 * 4 * (2 * 4 * 8 * 8)
    assert [o.name for o in graph.operations] == [o.name for o in model.graph.operations]
    # A second time, with nothing more that is free.
    assert sized(sized(model, {x: (2, 3, 8, 8)}), {}).graph == graph
    assert sized(model, {}).graph == model.graph
