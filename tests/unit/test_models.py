"""Reading models: the graph is what the file says, and no file brings the reader down."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import time
import zipfile
from pathlib import Path

import pytest
import tflite
from build_model import (
    CUSTOM,
    DYNAMIC_UPDATE_SLICE,
    FLOAT32,
    FULLY_CONNECTED,
    HARD_SWISH,
    INT32,
    INT64,
    RELU,
    RESHAPE,
    STRING,
    TANH,
    ModelSpec,
    OperationSpec,
    TensorSpec,
    build,
    chain,
    dense,
    looping,
)
from circle_schema.v0_10.circle.BuiltinOperator import BuiltinOperator
from circle_schema.v0_10.circle.TensorType import TensorType
from conftest import MODELS
from rooms import onert_graph, onert_space

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.space import Granularity
from pareto_profiler.errors import ModelError
from pareto_profiler.models import load, schema
from pareto_profiler.models.reader import read_graph
from pareto_profiler.runtimes.onert import loader as onert_loader
from pareto_profiler.runtimes.onert.support import OPERATIONS

FUZZED_FILES = 10_000


def _numbers(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


def test_operator_and_type_names_are_the_schemas():
    assert _numbers(tflite.BuiltinOperator).items() <= (schema.BUILTIN_NAMES | {31: "CALL"}).items()
    assert _numbers(BuiltinOperator) == schema.BUILTIN_NAMES | schema.CIRCLE_BUILTIN_NAMES
    from ai_edge_litert.schema_py_generated import TensorType as LiteRTTypes

    types = {**_numbers(LiteRTTypes), **_numbers(TensorType)}
    assert {k: v.lower() for k, v in types.items()} == schema.TYPE_NAMES
    assert {k: v.lower() for k, v in _numbers(tflite.TensorType).items()}.items() <= (
        schema.TYPE_NAMES.items()
    )


@pytest.mark.parametrize("file", sorted(MODELS.glob("*.tflite")), ids=lambda f: f.stem)
def test_the_graph_agrees_with_the_tflite_package(file: Path):
    graph = load(file).graph
    theirs = tflite.Model.GetRootAs(file.read_bytes())
    main = theirs.Subgraphs(0)
    assert len(graph.operations) == main.OperatorsLength()
    assert len(graph.tensors) == main.TensorsLength()
    assert list(graph.inputs) == main.InputsAsNumpy().tolist()
    assert list(graph.outputs) == main.OutputsAsNumpy().tolist()
    types = _numbers(tflite.TensorType)
    for tensor in graph.tensors:
        other = main.Tensors(tensor.index)
        assert list(tensor.shape) == other.ShapeAsNumpy().tolist()
        assert tensor.dtype == types[other.Type()].lower()
        assert tensor.name == other.Name().decode()
        assert tensor.constant_bytes == theirs.Buffers(other.Buffer()).DataLength()
        if tensor.constant_bytes:
            assert tensor.size_bytes == tensor.constant_bytes
    names = _numbers(tflite.BuiltinOperator)
    for operation in graph.operations:
        other = main.Operators(operation.index)
        code = theirs.OperatorCodes(other.OpcodeIndex())
        assert operation.builtin == names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        assert operation.version == code.Version()
        assert list(operation.inputs) == other.InputsAsNumpy().tolist()
        assert list(operation.outputs) == other.OutputsAsNumpy().tolist()


def test_mobilenet(mobilenet):
    graph = mobilenet.graph
    first = graph.operations[0]
    assert (first.builtin, first.name, first.kind, first.dtype) == (
        "CONV_2D",
        "Conv2D",
        "",
        "float32",
    )
    # 96×96×3 in, 48×48×16 out, 16 kernels of 3×3×3 and 16 biases, all float32.
    assert first.weight_bytes == 4 * (16 * 27 + 16)
    assert first.data_bytes == 4 * (96 * 96 * 3 + 48 * 48 * 16) + first.weight_bytes
    assert len(graph.edges) == 74
    assert {(o.name, o.kind) for o in graph.operations} >= {
        ("BinaryArithmetic", "ADD"),
        ("Reduce", "MEAN"),
    }
    assert graph.unloadable == ()


def test_edges_follow_tensors():
    graph = onert_graph(build(chain(3)), "chain")
    assert [(e.producer, e.consumer, e.tensor, e.size_bytes) for e in graph.edges] == [
        (0, 1, 1, 16),
        (1, 2, 2, 16),
    ]


def test_a_circle_file_has_its_own_operations():
    spec = chain(1)
    spec.identifier = b"CIR0"
    spec.operations = [OperationSpec(-6, (0,), (1,))]
    graph = onert_graph(build(spec), "x.circle")
    assert (graph.format, graph.operations[0].builtin) == ("circle", "RMS_NORM")
    assert graph.operations[0].name == "RmsNorm"
    spec.identifier = b"TFL3"
    assert onert_graph(build(spec), "x.tflite").operations[0].problem


def test_codes_above_127_are_read_from_the_new_field():
    spec = chain(1)
    spec.operations = [OperationSpec(DYNAMIC_UPDATE_SLICE, (0,), (1,), version=2)]
    operation = onert_graph(build(spec), "x").operations[0]
    assert (operation.builtin, operation.name, operation.version) == (
        "DYNAMIC_UPDATE_SLICE",
        "DynamicUpdateSlice",
        2,
    )


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (OperationSpec(HARD_SWISH, (0,), (1,)), "no operation for HARD_SWISH"),
        (OperationSpec(89, (0,), (1,)), "no operation for REDUCE_MIN"),
        (OperationSpec(250, (0,), (1,)), "no operation for operator code 250"),
        (OperationSpec(RELU, (-1,), (1,)), "input 0 is left out"),
        (OperationSpec(RESHAPE, (0,), (1,)), "wants it as a second input"),
        (OperationSpec(CUSTOM, (0,), (1,), custom_code="Mine"), "kernel registered"),
        (OperationSpec(44, (0,), (1, 2)), "2 outputs"),
    ],
)
def test_what_onerts_loader_refuses_is_named_with_the_reason(operation, problem):
    spec = ModelSpec([TensorSpec((1, 4))] * 3, [operation], (0,), (1,))
    graph = onert_graph(build(spec), "x")
    assert problem in graph.unloadable[0].problem


def test_optional_inputs_of_a_dense_layer_are_taken():
    spec = ModelSpec(
        [TensorSpec((1, 4))] * 3, [OperationSpec(FULLY_CONNECTED, (0, 1, -1), (2,))], (0,), (2,)
    )
    assert onert_graph(build(spec), "x").unloadable == ()


def test_a_foreign_type_is_named():
    spec = ModelSpec([TensorSpec((1,), STRING)] * 2, [OperationSpec(RELU, (0,), (1,))], (0,), (1,))
    assert "string" in onert_graph(build(spec), "x").unloadable[0].problem


def test_custom_codes_that_onert_knows_become_its_operations():
    spec = chain(1)
    spec.operations = [OperationSpec(CUSTOM, (0,), (1,), custom_code="Erf")]
    operation = onert_graph(build(spec), "x").operations[0]
    assert (operation.builtin, operation.name, operation.kind) == (
        "Erf",
        "ElementwiseUnary",
        "ERF",
    )


def test_every_onert_name_is_known_to_a_backend_or_placed_by_the_runtime():
    known = set().union(*OPERATIONS.values())
    named = {o.name for o in onert_loader.BUILTINS.values()}
    assert named - known <= {"If", "While", "HashtableLookup", "EmbeddingLookup"}
    assert len(onert_loader.BUILTINS) == 99


def test_data_size_uses_the_real_type():
    def size(dtype: int) -> int:
        spec = ModelSpec(
            [TensorSpec((1, 4), dtype)] * 2, [OperationSpec(RELU, (0,), (1,))], (0,), (1,)
        )
        return onert_graph(build(spec), "x").operations[0].data_bytes

    assert (size(FLOAT32), size(INT32), size(INT64), size(9), size(17)) == (32, 32, 64, 8, 4)


def _small() -> bytes:
    return build(dense(width=4, layers=2))


@pytest.mark.parametrize("suffix", [".onnx", ".param"])
def test_what_is_called_a_model_and_is_none_is_told_by_its_name(tmp_path: Path, suffix: str):
    for content in (b"", b"just some text"):
        file = tmp_path / f"m{suffix}"
        file.write_bytes(content)
        with pytest.raises(ModelError, match=rf"is no {suffix} file: it has {len(content)} bytes"):
            load(file)


def _archive(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "text")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "0 bytes are no model"),
        (b"PK\x03\x04 a zip archive", "a ZIP archive that cannot be read"),
        (_archive("labels.txt"), "a ZIP archive without a file in it that ends in .tflite"),
        (_archive("labels.txt", "face.tflite"), "unpack it, and take face.tflite"),
        (_small()[:200], "outside the file|can hold"),
        (struct.pack("<I", 2**31) + b"TFL3" + b"\0" * 64, "outside the file"),
        (struct.pack("<I", 8) + b"TFL3" + struct.pack("<i", 2**30), "outside the file"),
        (struct.pack("<I", 8) + b"TFL3" + b"\0" * 100, "field list"),
    ],
    ids=[
        "empty",
        "damaged-zip",
        "zip-without-model",
        "zip-with-model",
        "truncated",
        "root-outside",
        "vtable-outside",
        "zeros",
    ],
)
def test_broken_files_are_named(tmp_path: Path, data: bytes, found: str):
    path = tmp_path / "broken.tflite"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=found) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("slot", [1, 2, 4], ids=["operator codes", "subgraphs", "buffers"])
def test_counts_of_two_to_the_31_are_refused(slot: int):
    data = bytearray(_small())
    root = struct.unpack_from("<I", data)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    field = root + struct.unpack_from("<H", data, vtable + 4 + 2 * slot)[0]
    vector = field + struct.unpack_from("<I", data, field)[0]
    struct.pack_into("<I", data, vector, 2**31)
    with pytest.raises(ModelError, match="counts 2147483648 elements"):
        read_graph(bytes(data), "x")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (ModelSpec([TensorSpec((1,))], [OperationSpec(RELU, (0,), (0,))], (0,), (0,)), "cycle"),
        (
            ModelSpec(
                [TensorSpec((1,))] * 2,
                [OperationSpec(RELU, (1,), (0,)), OperationSpec(RELU, (0,), (1,))],
                (0,),
                (1,),
            ),
            "cycle",
        ),
        (
            ModelSpec(
                [TensorSpec((1,))] * 2,
                [OperationSpec(RELU, (0,), (1,)), OperationSpec(RELU, (0,), (1,))],
                (0,),
                (1,),
            ),
            "made by two",
        ),
        (ModelSpec([TensorSpec((1,))], [OperationSpec(RELU, (7,), (0,))], (0,), (0,)), "tensor 7"),
        (ModelSpec([TensorSpec((1,))], [], (0,), (0,)), "no operation"),
        (ModelSpec([TensorSpec((1,))], [], (0,), (0,), subgraphs=0), "no subgraph"),
        (
            ModelSpec([TensorSpec((-5,))] * 2, [OperationSpec(RELU, (0,), (1,))], (0,), (1,)),
            "negative size",
        ),
        (
            ModelSpec([TensorSpec((1,) * 65)] * 2, [OperationSpec(RELU, (0,), (1,))], (0,), (1,)),
            "65 dimensions",
        ),
    ],
)
def test_senseless_graphs_are_refused(spec: ModelSpec, found: str):
    with pytest.raises(ModelError, match=found):
        onert_graph(build(spec), "x")


@pytest.mark.parametrize("code", [19, 20, 21, 22, 99])
def test_a_type_that_is_newer_than_the_reader_is_a_problem_of_an_operation(code: int):
    tensors = [TensorSpec((1,), code), TensorSpec((1,)), TensorSpec((1,))]
    operations = [OperationSpec(RELU, (0,), (1,)), OperationSpec(TANH, (1,), (2,))]
    graph = onert_graph(build(ModelSpec(tensors, operations, (0,), (2,))), "x")
    assert "a type that onert does not have" in graph.operations[0].problem
    assert not graph.operations[1].problem


def test_an_end_of_the_model_that_onert_s_calls_do_not_take_is_a_problem():
    tensors = [TensorSpec((1,), 7), TensorSpec((1,), 7), TensorSpec((1,), 7)]
    operations = [OperationSpec(RELU, (0,), (1,)), OperationSpec(TANH, (1,), (2,))]
    graph = onert_graph(build(ModelSpec(tensors, operations, (0,), (2,))), "x")
    assert all("int16, which onert's calls do not take" in o.problem for o in graph.operations)
    middle = [TensorSpec((1,)), TensorSpec((1,), 7), TensorSpec((1,))]
    graph = onert_graph(build(ModelSpec(middle, operations, (0,), (2,))), "x")
    assert not any(o.problem for o in graph.operations)


def test_what_runs_in_bodies_is_decided_by_name():
    spec = dense(layers=1)
    spec.subgraphs = 2
    graph = onert_graph(build(spec), "x")
    assert [o.subgraph for o in graph.all_operations] == [0, 0, 1, 1]
    space = onert_space(graph, ("cpu", "ruy"), Granularity.NAME)
    assert {v.name: v.operations for v in space.variables} == {
        "FullyConnected": (0,),
        "ElementwiseActivation": (1,),
    }


def test_operations_of_bodies_are_numbered_behind_the_main_subgraphs():
    """Of those that a loop or a branch runs; what nothing runs is left out."""
    graph = read_graph(build(looping(extra=True)), "x")
    assert [body.is_run for body in graph.bodies] == [False, True, True]
    whole = graph.with_bodies()
    assert [o.builtin for o in whole.operations] == [
        *("WHILE", "TANH", "LESS", "ADD", "FULLY_CONNECTED", "TANH"),
    ]
    assert [o.index for o in whole.operations] == [*range(6)]
    assert whole.own_count == 2
    places = [whole.place_of(o) for o in range(6)]
    assert places == [(0, 0), (0, 1), (2, 0), (3, 0), (3, 1), (3, 2)]
    assert [whole.operation_at(*place) for place in places] == [*range(6)]
    assert whole.operation_at(1, 0) is None
    assert whole.operation_at(4, 0) is None
    # Tensors of a body hang together, and with nothing else.
    assert [(e.producer, e.consumer) for e in whole.edges] == [(0, 1), (4, 5)]
    assert whole.operations[4].weight_bytes == 4 * (64 * 64 + 64)
    assert Graph.from_json(whole.to_json()) == whole
    assert read_graph(build(dense()), "x").with_bodies() == read_graph(build(dense()), "x")


def test_vectors_that_share_their_contents_do_not_take_for_ever():
    # 20 000 subgraphs that are all the same one, in a file of 100 KB.
    data = bytearray(build(chain(500)))
    root = struct.unpack_from("<I", data)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    field = root + struct.unpack_from("<H", data, vtable + 4 + 2 * 2)[0]
    vector = field + struct.unpack_from("<I", data, field)[0]
    subgraph = vector + 4 + struct.unpack_from("<I", data, vector + 4)[0]
    # FlatBuffers point forward only: the shared table goes behind the vector that names it.
    count = 20_000
    table = len(data) + 4 + 4 * count
    entries = b"".join(struct.pack("<I", table - (len(data) + 4 + 4 * i)) for i in range(count))
    struct.pack_into("<I", data, field, len(data) - field)
    fields = subgraph - struct.unpack_from("<i", data, subgraph)[0]
    data += struct.pack("<I", count) + entries + struct.pack("<i", table - fields)
    data += bytes(64)
    began = time.monotonic()
    with pytest.raises(ModelError):
        read_graph(bytes(data), "x")
    assert time.monotonic() - began < 30


def _mutated(data: bytes, chance: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        match chance.choice((0, 0, 0, 0, 1, 2, 3, 4)):
            case 0:
                mutant[chance.randrange(len(mutant))] = chance.randrange(256)
            case 1:
                position = chance.randrange(max(1, len(mutant) - 4))
                value = chance.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(mutant)))
                mutant[position : position + 4] = struct.pack("<I", value)
            case 2:
                del mutant[chance.randrange(1, len(mutant)) :]
            case 3:
                start = chance.randrange(len(mutant))
                del mutant[start : start + chance.randrange(1, 64)]
            case _:
                start = chance.randrange(len(mutant))
                mutant[start:start] = mutant[: chance.randrange(1, 64)]
        if len(mutant) < 2:
            break
    return bytes(mutant)


def test_fuzzing_ends_in_a_graph_or_a_model_error():
    seeds = [
        build(dense()),
        build(chain(12)),
        build(ModelSpec(**{**vars(chain(3)), "subgraphs": 3})),
    ]
    chance = random.Random(20260122)
    outcomes = {"graph": 0, "error": 0}
    for number in range(FUZZED_FILES):
        data = _mutated(chance.choice(seeds), chance)
        try:
            graph = read_graph(data, "fuzzed")
        except ModelError as error:
            outcomes["error"] += 1
            assert "\n" not in str(error)
        except Exception as error:
            pytest.fail(f"file {number}: {type(error).__name__}: {error}")
        else:
            outcomes["graph"] += 1
            assert len(graph.edges) < 10_000
    assert min(outcomes.values()) > FUZZED_FILES // 20, outcomes


def _package(folder: Path, manifest: object, model: bytes = b"") -> Path:
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata" / "MANIFEST").write_text(
        manifest if isinstance(manifest, str) else json.dumps(manifest)
    )
    (folder / "model.tflite").write_bytes(model or _small())
    return folder


def test_an_nnpackage_is_read_with_its_inputs(tmp_path: Path):
    package = _package(tmp_path / "pkg", {"models": ["model.tflite"]})
    assert load(package).input_file is None
    recorded = package / "metadata" / "tc" / "input.h5"
    recorded.parent.mkdir()
    recorded.touch()
    model = load(package)
    assert (model.name, model.input_file, len(model.graph.operations)) == ("pkg", recorded, 4)


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        ("{", "not JSON"),
        ([], "expected a JSON object"),
        ({"models": []}, "expected a list of file names"),
        ({"models": ["a.tflite", "b.tflite"]}, "2 models"),
        ({"models": ["../../outside.tflite"]}, "outside the package"),
        ({"models": ["model.tflite"], "model-types": ["tvn"]}, "expected a list of one of tflite"),
        ({"models": ["model.tflite"], "model-types": "tflite"}, "expected a list of one of tflite"),
        ({"models": ["model.tflite"], "model-types": ["circle"]}, "model.tflite is a tflite file"),
        ('{"models": [,]}', "not JSON"),
        ('{"models": [], // "}\n "a": "unended', "not JSON"),
        ({"models": ["absent.tflite"]}, "cannot be read"),
    ],
)
def test_broken_packages_are_named(tmp_path: Path, manifest: object, found: str):
    with pytest.raises(ModelError, match=found):
        load(_package(tmp_path / "pkg", manifest))


@pytest.mark.parametrize(
    "manifest",
    [
        '{"models": ["model.tflite",],}',
        '\ufeff{"models": ["model.tflite" /* the only one */ , ], // done\n}',
        '{"models": ["model.tflite"], "note": "// no, comment /* here ,]}"}',
        '{"a": "\\",]", "models": [\n"model.tflite"\n,\n]} and text behind it',
        '{"models": ["old.tflite"], "models": ["model.tflite"]}',
    ],
)
def test_a_manifest_is_read_as_jsoncpp_reads_it(tmp_path: Path, manifest: str):
    assert load(_package(tmp_path / "pkg", manifest)).file.name == "model.tflite"


@pytest.mark.parametrize("text", ["/*", '"', '"\\"', ",", "[", "/* */", '"",'])
def test_a_manifest_is_read_in_linear_time(tmp_path: Path, text: str):
    with pytest.raises(ModelError, match="not JSON"):
        load(_package(tmp_path / "pkg", "{" + text * 500_000))


@pytest.mark.parametrize("name", ["model.bin", "MODEL.TFLITE", "model", "net.circle"])
@pytest.mark.parametrize("types", [{}, {"model-types": ["tflite"]}])
def test_the_type_of_a_model_is_what_it_holds(tmp_path: Path, name: str, types: object):
    package = _package(tmp_path / "pkg", {"models": [name], **types})
    (package / "model.tflite").rename(package / name)
    assert load(package).graph.format == "tflite"


def test_a_folder_without_manifest_is_no_package(tmp_path: Path):
    with pytest.raises(ModelError, match=r"is a folder without metadata/MANIFEST"):
        load(tmp_path)


def test_names_cannot_move_the_cursor():
    spec = chain(1)
    spec.tensors = [TensorSpec((1, 4), name="a\x1b[2Jb"), TensorSpec((1, 4))]
    assert onert_graph(build(spec), "x").tensors[0].name == "a\ufffd[2Jb"


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "sparse", "long"])
def test_files_that_never_end_are_not_read(tmp_path: Path, kind: str):
    path = tmp_path / "x.tflite"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "sparse":
            with path.open("wb") as file:
                file.truncate(100 << 30)
        case "long":
            path = tmp_path / ("x" * 5000)
        case _:
            path.symlink_to(kind)
    with pytest.raises(ModelError, match=r"not a regular file|at most|name too long"):
        load(path)


@pytest.mark.parametrize("name", ["a\x00.tflite", "\ud800.tflite", "loop.tflite"])
def test_senseless_names_in_a_manifest_are_named(tmp_path: Path, name: str):
    package = _package(tmp_path / "pkg", {"models": [name]})
    (package / "loop.tflite").symlink_to("loop.tflite")
    with pytest.raises(ModelError):
        load(package)


def test_an_absent_file_is_named(tmp_path: Path):
    with pytest.raises(ModelError, match="No such file"):
        load(tmp_path / "absent.tflite")
