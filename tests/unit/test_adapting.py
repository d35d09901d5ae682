"""A model that a runtime refuses becomes one that it takes and that computes the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from build_model import (
    CUSTOM,
    HARD_SWISH,
    INT32,
    RELU,
    RESHAPE,
    TANH,
    ModelSpec,
    OperationSpec,
    TensorSpec,
    build,
    chain,
    dense,
    half_precision,
)

from pareto_profiler.adapting import adapt, adapted_file
from pareto_profiler.errors import InputError, ModelError
from pareto_profiler.models import load
from pareto_profiler.models.reader import METADATA
from pareto_profiler.models.rewriting import RULES
from pareto_profiler.runtimes import runtime

ONERT = runtime("onert")
PRELU, MIRROR_PAD, REDUCE_MIN, DENSIFY, SHAPE = 54, 100, 89, 124, 77
RANDOM = np.random.default_rng(3)
SLOPES = RANDOM.normal(size=(1, 1, 4)).astype("f4")


def one(code: int, shape, *more: TensorSpec, result=None, option_type: int = 0) -> ModelSpec:
    """One operation with further, constant inputs between two others."""
    result = shape if result is None else result
    tensors = [TensorSpec(shape, name="x"), TensorSpec(shape, name="a"), *more]
    tensors += [TensorSpec(result, name="b"), TensorSpec(result, name="y")]
    extra = range(2, 2 + len(more))
    b, y = len(tensors) - 2, len(tensors) - 1
    operations = [
        OperationSpec(TANH, (0,), (1,)),
        OperationSpec(code, (1, *extra), (b,), option_type=option_type),
        OperationSpec(TANH, (b,), (y,)),
    ]
    return ModelSpec(tensors, operations, (0,), (y,))


CASES = {
    "folded": (half_precision(), ["DEQUANTIZE", "DEQUANTIZE"]),
    "reshape_by_tensor": (one(RESHAPE, (2, 6), result=(3, 4), option_type=17), ["RESHAPE"]),
    "prelu_by_parts": (
        one(
            PRELU, (1, 3, 4), TensorSpec((1, 1, 4), data=RANDOM.normal(size=(1, 1, 4)).astype("f4"))
        ),
        ["PRELU"],
    ),
    "hard_swish_by_parts": (one(HARD_SWISH, (2, 9)), ["HARD_SWISH"]),
    "mirror_pad_by_gather": (
        one(
            MIRROR_PAD,
            (1, 5, 4),
            TensorSpec((3, 2), INT32, np.array([[0, 0], [2, 3], [1, 0]], "i4")),
            result=(1, 10, 5),
            option_type=77,
        ),
        ["MIRROR_PAD"],
    ),
    "reduce_min_by_max": (
        one(
            REDUCE_MIN,
            (2, 7),
            TensorSpec((1,), INT32, np.array([1], "i4")),
            result=(2,),
            option_type=27,
        ),
        ["REDUCE_MIN"],
    ),
}


def with_options(content: bytes) -> bytes:
    """A file whose RESHAPE of one input and SHAPE have the options that they need."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as s

    model = s.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    for o in graph.operators:
        if isinstance(o.builtinOptions, s.ReshapeOptionsT) and len(o.inputs) == 1:
            o.builtinOptions.newShape = graph.tensors[o.outputs[0]].shape
        if isinstance(o.builtinOptions, s.ShapeOptionsT):
            o.builtinOptions.outType = s.TensorType.INT32
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def made_of(spec: ModelSpec, tmp_path: Path, **more: object):
    file = tmp_path / "m.tflite"
    file.write_bytes(with_options(build(spec)))
    return adapt(ONERT, file, tmp_path / "adapted.tflite", **more)


def test_every_rule_has_a_case():
    assert {rule for rule, _ in RULES.values()} | {"folded"} == set(CASES)


@pytest.mark.parametrize("rule", CASES)
def test_what_a_rule_makes_computes_the_same(rule: str, tmp_path: Path):
    spec, builtins = CASES[rule]
    made = made_of(spec, tmp_path)
    assert made.error < 1e-6
    assert [(s.rule, s.builtin) for s in made.steps] == [(rule, b) for b in builtins]
    graph = ONERT.read(made.path).graph
    assert not made.refused
    assert not any(o.problem for o in graph.operations)
    # Every operation knows which one of the original it stands for, in order.
    assert len(graph.origins) == len(graph.operations)
    assert list(graph.origins) == sorted(graph.origins)
    originals = load(tmp_path / "m.tflite").graph
    assert graph.original == originals.digest
    for o, origin in zip(graph.operations, graph.origins, strict=True):
        was = originals.operations[origin].builtin
        assert o.builtin == was or was in builtins


def test_sparse_constants_are_folded(tmp_path: Path):
    """The sparsity is written with the object API of the schema."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as s

    spec = dense(layers=1)
    w = spec.operations[0].inputs[1]
    dense_values = spec.tensors[w].data.copy()
    dense_values[RANDOM.random(dense_values.shape) < 0.7] = 0
    tensors = [*spec.tensors, TensorSpec((16, 16), data=dense_values, name="sparse")]
    tensors[w] = TensorSpec((16, 16), name="unpacked")
    operations = [OperationSpec(DENSIFY, (len(tensors) - 1,), (w,)), *spec.operations]
    model = s.ModelT.InitFromPackedBuf(build(ModelSpec(tensors, operations, (0,), spec.outputs)), 0)
    sparse = model.subgraphs[0].tensors[-1]
    rows = [np.flatnonzero(row) for row in dense_values]
    segments, indices = s.Int32VectorT(), s.Int32VectorT()
    segments.values = np.cumsum([0, *map(len, rows)]).astype(np.int32)
    indices.values = np.concatenate(rows).astype(np.int32)
    first, second = s.DimensionMetadataT(), s.DimensionMetadataT()
    first.format, first.denseSize = s.DimensionType.DENSE, 16
    second.format = s.DimensionType.SPARSE_CSR
    second.arraySegmentsType = second.arrayIndicesType = s.SparseIndexVector.Int32Vector
    second.arraySegments, second.arrayIndices = segments, indices
    sparse.sparsity = s.SparsityParametersT()
    sparse.sparsity.traversalOrder = np.array([0, 1], np.int32)
    sparse.sparsity.dimMetadata = [first, second]
    values = dense_values[dense_values != 0]
    model.buffers[sparse.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "m.tflite").write_bytes(bytes(builder.Output()))
    made = adapt(ONERT, tmp_path / "m.tflite", tmp_path / "adapted.tflite")
    assert [(x.rule, x.builtin) for x in made.steps] == [("folded", "DENSIFY")]
    assert made.error < 1e-6


def test_free_sizes_are_fixed_and_what_follows_from_them_is_folded(tmp_path: Path):
    tensors = [
        TensorSpec((1, 4), name="image", signature=(-1, 4)),
        TensorSpec((1, 4), signature=(-1, 4)),
        TensorSpec((2,), INT32, name="sizes"),
        TensorSpec((1, 4), name="y", signature=(-1, 4)),
    ]
    operations = [
        OperationSpec(TANH, (0,), (1,)),
        OperationSpec(SHAPE, (0,), (2,), option_type=55),
        OperationSpec(RESHAPE, (1, 2), (3,), option_type=17),
    ]
    made = made_of(ModelSpec(tensors, operations, (0,), (3,)), tmp_path, shapes=("image=5,4",))
    assert [(s.rule, s.builtin) for s in made.steps] == [("folded", "SHAPE")]
    graph = load(made.path).graph
    assert not graph.free_inputs
    assert [graph.tensors[t].shape for t in (*graph.inputs, *graph.outputs)] == [(5, 4), (5, 4)]


def test_what_nothing_needs_is_left_out(tmp_path: Path):
    spec = chain(3)
    tensors = [*spec.tensors, TensorSpec((1, 4), name="unused")]
    operations = [*spec.operations, OperationSpec(RELU, (0,), (len(tensors) - 1,))]
    made = made_of(ModelSpec(tensors, operations, (0,), spec.outputs), tmp_path)
    assert [(s.rule, s.operation) for s in made.steps] == [("left_out", 3)]


def test_a_model_that_is_taken_as_it_is_is_left_alone(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "m.tflite"
    file.write_bytes(build(dense()))
    assert adapted_file(ONERT, file, (), None) is None
    file.write_bytes(build(half_precision()))
    made = adapted_file(ONERT, file, (), None)
    assert made is not None
    assert made.path.is_relative_to(tmp_path / "cache")
    assert adapted_file(ONERT, made.path, (), None) is None


def test_what_cannot_be_adapted_says_why(tmp_path: Path):
    unknown = ModelSpec(
        chain(1).tensors, [OperationSpec(CUSTOM, (0,), (1,), custom_code="Mine")], (0,), (1,)
    )
    with pytest.raises(ModelError, match="does not run in the reference interpreter.*Mine"):
        made_of(unknown, tmp_path)
    (tmp_path / "c.circle").write_bytes(build(chain(2)).replace(b"TFL3", b"CIR0"))
    with pytest.raises(ModelError, match="only .tflite files can be adapted"):
        adapt(ONERT, tmp_path / "c.circle", tmp_path / "out.tflite")
    with pytest.raises(InputError, match="the inputs are t0"):
        made_of(chain(2), tmp_path, shapes=("image=1,4",))
    assert not (tmp_path / "out.tflite").exists()


def test_provenance_that_is_none_is_passed_over(tmp_path: Path):
    made = made_of(half_precision(), tmp_path)
    told = json.dumps({"original": load(tmp_path / "m.tflite").graph.digest}).encode()[1:-1]
    content = made.path.read_bytes()
    assert METADATA.encode() in content
    assert told.split(b":")[0] in content
    (tmp_path / "broken.tflite").write_bytes(content.replace(b'"origins":[', b'"origins":{'))
    graph = load(tmp_path / "broken.tflite").graph
    assert (graph.original, graph.origins) == ("", ())


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_adapted_or_one_line(seed: int, tmp_path: Path):
    random = np.random.default_rng(seed)
    content = bytearray(build(half_precision()))
    for _ in range(8):
        content[int(random.integers(8, len(content)))] = int(random.integers(256))
    file = tmp_path / "m.tflite"
    file.write_bytes(bytes(content))
    try:
        made = adapt(ONERT, file, tmp_path / "out.tflite")
    except (ModelError, InputError) as error:
        assert "\n" not in str(error)
        assert str(file) in str(error) or "input" in str(error)
    else:
        assert made.error <= 1e-3
