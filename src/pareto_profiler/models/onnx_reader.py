"""ONNX files → Graph, through the format's own library; weights may lie in files of their own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pareto_profiler.core.graph import Graph, Operation, Tensor
from pareto_profiler.errors import ModelError, tame
from pareto_profiler.files import LARGEST_MODEL_BYTES, read_regular
from pareto_profiler.models.recognising import what_it_is

FORMAT: Final = "onnx"
MISSING: Final = "reading .onnx files takes a package, as running them does: pip install onnx"
"""What is said where the format's library is not installed."""

# Number of a type in the format → its name, and how many bits an element takes.
_TYPES: Final[Mapping[int, tuple[str, int]]] = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    6: ("int32", 32),
    7: ("int64", 64),
    8: ("string", 0),
    9: ("bool", 8),
    10: ("float16", 16),
    11: ("float64", 64),
    12: ("uint32", 32),
    13: ("uint64", 64),
    14: ("complex64", 64),
    15: ("complex128", 128),
    16: ("bfloat16", 16),
    17: ("float8e4m3fn", 8),
    18: ("float8e4m3fnuz", 8),
    19: ("float8e5m2", 8),
    20: ("float8e5m2fnuz", 8),
    21: ("uint4", 4),
    22: ("int4", 4),
    23: ("float4e2m1", 4),
}
_BITS: Final = dict(_TYPES.values())
# How a node of kind Constant says several numbers.
_LISTS: Final = {"value_floats": ("float32", "floats"), "value_ints": ("int64", "ints")}
_OWN_DOMAINS: Final = {"", "ai.onnx"}
_EXTERNAL: Final = 1
_LARGEST_KEPT_BYTES: Final = 1024
_RANK_LIMIT: Final = 64


def is_onnx(head: bytes) -> bool:
    r"""Whether a file's first bytes are those of an ONNX model: its version comes first.

    Examples:
        >>> is_onnx(b"\x08\x07\x12\x07pytorch"), is_onnx(b"\x1c\x00\x00\x00TFL3")
        (True, False)
    """
    return head[:1] == b"\x08" and head[4:8] not in {b"TFL3", b"CIR0"}


def read_onnx(data: bytes, path: Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """Read the main graph of an ONNX file.

    Constants that nodes make are tensors here, no operations. Sizes that the model leaves free are
    taken as 1. O(file) beside the library's inference of shapes.

    Args:
        data: The whole file.
        path: Where it lies: weights may lie beside it.
        shapes: Name of an input → its shape, where others than the file's are to be inferred from.

    Raises:
        ModelError: The file is damaged, weights are missing, or the library is not installed; the
            text names the file, the part and what was expected.
    """
    model = parsed(data, path)
    return _Reader(model, path, shapes or {}).graph(_digest(data, model, path))


def parsed(data: bytes, path: Path) -> Any:
    """The file's root object, a ``ModelProto``.

    Raises:
        ModelError: It is none, or the library is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelError(f"{path}: {MISSING}") from error
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        words = what_it_is(data) or f"is no ONNX model: {tame(str(error)).strip()[:200]}"
        raise ModelError(f"{path}: {words}") from error
    if not _has_text_only(model):
        raise ModelError(f"{path}: is damaged: a name in it is no text")
    if not model.HasField("graph") or not model.graph.node:
        raise ModelError(f"{path}: is no ONNX model, or one without an operation")
    return model


def _has_text_only(model: Any) -> bool:
    """Whether all names are text: the library gives bytes for what is no UTF-8."""
    graph = model.graph
    values = [*graph.initializer, *graph.input, *graph.output, *graph.value_info, *graph.node]
    values += [s.values for s in graph.sparse_initializer]
    told = [value.name for value in values]
    told += [n for node in graph.node for n in (*node.input, *node.output)]
    told += [n for node in graph.node for n in (node.op_type, node.domain)]
    told += [a.name for node in graph.node for a in node.attribute]
    told += [e.value for t in graph.initializer for e in t.external_data]
    return all(isinstance(text, str) for text in told)


def external_files(model: Any, path: Path) -> dict[str, Path]:
    """Files beside a model that hold weights: name in the model → file.

    Raises:
        ModelError: One lies outside the model's folder, or is not there.
    """
    files: dict[str, Path] = {}
    for tensor in _constants_of(model):
        if tensor.data_location != _EXTERNAL:
            continue
        name = next((e.value for e in tensor.external_data if e.key == "location"), "")
        if name in files:
            continue
        inside = PurePosixPath(name)
        if not name or inside.is_absolute() or ".." in inside.parts or "\0" in name:
            raise ModelError(
                f"{path}: weights {tame(tensor.name)!r} are said to lie in {tame(name)!r}: "
                f"expected a file beside the model"
            )
        if not (file := path.parent / name).is_file():
            raise ModelError(
                f"{path}: its weights lie in {tame(name)}, which is not beside it: copy that file "
                f"there, too"
            )
        files[name] = file
    return files


def _constants_of(model: Any) -> Iterator[Any]:
    """Tensors with values of their own, those of bodies, attributes and functions included."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)
            graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _digest(data: bytes, model: Any, path: Path) -> str:
    digest = hashlib.sha256(data)
    for file in external_files(model, path).values():
        digest.update(read_regular(file, ModelError, limit_bytes=LARGEST_MODEL_BYTES))
    return digest.hexdigest()


class _Reader:
    def __init__(self, model: Any, path: Path, shapes: Mapping[str, Sequence[int]]) -> None:
        self._model = model
        self._path = path
        self._shapes = shapes
        self._tensors: list[Tensor] = []
        self._numbers: dict[str, int] = {}
        self._kinds: dict[str, tuple[str, tuple[int, ...]]] = {}

    def graph(self, digest: str) -> Graph:
        graph = self._model.graph
        constants = {t.name for t in graph.initializer}
        constants |= {t.values.name for t in graph.sparse_initializer}
        self._kinds = self._inferred(constants)
        for tensor in graph.initializer:
            self._add_constant(tensor.name, tensor)
        for sparse in graph.sparse_initializer:
            self._add_constant(sparse.values.name, sparse.values)
        inputs = [self._add_input(i) for i in graph.input if i.name not in constants]
        operations: list[Operation] = []
        bodies = 0
        for node in graph.node:
            bodies += sum(bool(a.HasField("g")) + len(a.graphs) for a in node.attribute)
            if node.op_type == "Constant" and node.domain in _OWN_DOMAINS:
                self._add_constant_node(node)
            else:
                operations.append(self._operation(len(operations), node))
        if not operations:
            raise self._error("nothing but constants: it computes nothing")
        outputs = [self._index(o.name, "an output of the model") for o in graph.output]
        return Graph(
            format=FORMAT,
            digest=digest,
            tensors=tuple(self._tensors),
            operations=tuple(operations),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            subgraph_count=1 + bodies,
        )

    def _error(self, words: str) -> ModelError:
        return ModelError(f"{self._path}: {tame(words)}")

    def _inferred(self, constants: set[str]) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type and shape of activations, as far as they can be told; free sizes are -1."""
        import onnx

        slim = _without_weights(self._model)
        for value in slim.graph.input:
            if value.name not in constants:
                sizes = value.type.tensor_type.shape.dim
                given = self._shapes.get(value.name, [size.dim_value or 1 for size in sizes])
                for size, number in zip(sizes, given, strict=False):
                    size.dim_value = number
        try:
            told = onnx.shape_inference.infer_shapes(slim, data_prop=True).graph
        except Exception:  # noqa: BLE001  # whatever it stumbles over, what the file says is left
            told = slim.graph
        values = [*told.output, *told.value_info]
        return {v.name: self._kind(v) for v in values}

    def _kind(self, value: Any) -> tuple[str, tuple[int, ...]]:
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            return (kind or "unknown").removesuffix("_type"), ()
        tensor = value.type.tensor_type
        name, _ = _TYPES.get(tensor.elem_type, ("unknown", 0))
        sizes = tuple(d.dim_value if d.dim_value > 0 else -1 for d in tensor.shape.dim)
        return name, sizes

    def _add(self, name: str, dtype: str, sizes: Sequence[int], constant_bytes: int = 0) -> int:
        if name in self._numbers:
            raise self._error(f"two things make the tensor {name!r}")
        if len(sizes) > _RANK_LIMIT:
            raise self._error(f"the tensor {name!r} has {len(sizes)} dimensions")
        shape = tuple(abs(s) for s in sizes)
        bits = _BITS.get(dtype, 0)
        index = self._numbers[name] = len(self._tensors)
        self._tensors.append(
            Tensor(
                index,
                name,
                shape,
                dtype,
                math.prod(shape) * bits // 8,
                constant_bytes,
                tuple(sizes) if any(s < 0 for s in sizes) else (),
            )
        )
        return index

    def _add_constant(self, name: str, tensor: Any) -> None:
        dtype, bits = _TYPES.get(tensor.data_type, ("unknown", 0))
        if any(size < 0 for size in tensor.dims):
            raise self._error(f"constant {name!r} has the shape {list(tensor.dims)}")
        self._add(name, dtype, tuple(tensor.dims), math.prod(tensor.dims) * bits // 8)

    def _add_constant_node(self, node: Any) -> None:
        name = node.output[0] if node.output else ""
        for attribute in node.attribute:
            if attribute.name == "value":
                self._add_constant(name, attribute.t)
                return
            if attribute.name in _LISTS:
                dtype, of = _LISTS[attribute.name]
                count = len(getattr(attribute, of))
                self._add(name, dtype, (count,), count * _BITS[dtype] // 8)
                return
        dtype = "float32" if any(a.name == "value_float" for a in node.attribute) else "int64"
        self._add(name, dtype, (), _BITS[dtype] // 8)

    def _add_input(self, value: Any) -> int:
        dtype, sizes = self._kind(value)
        told = value.type.tensor_type.shape.dim
        if any(d.HasField("dim_value") and d.dim_value == 0 for d in told):
            raise self._error(f"the input {value.name!r} has a size of 0: there is nothing to run")
        return self._add(value.name, dtype, sizes)

    def _index(self, name: str, what: str) -> int:
        if name not in self._numbers:
            raise self._error(f"{what} is the tensor {name!r}, which nothing before it makes")
        return self._numbers[name]

    def _operation(self, index: int, node: Any) -> Operation:
        of = f"an input of {node.op_type} @{index}"
        inputs = tuple(self._index(n, of) if n else -1 for n in node.input)
        made = [n for n in node.output if n]
        outputs = tuple(self._add(n, *self._kinds.get(n, ("unknown", ()))) for n in made)
        taken = [self._tensors[i] for i in inputs if i >= 0]
        every = [*taken, *(self._tensors[i] for i in outputs)]
        return Operation(
            index,
            tame(node.op_type),
            0,
            tame(node.op_type) or "?",
            "" if node.domain in _OWN_DOMAINS else tame(node.domain),
            taken[0].dtype if taken else "",
            inputs,
            outputs,
            sum(t.size_bytes for t in every),
            sum(t.constant_bytes for t in taken),
        )


def _without_weights(model: Any) -> Any:
    """A copy without the content of large constants, which no shape depends on."""
    import onnx

    slim = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    slim.functions.extend(model.functions)
    graph = slim.graph
    for name in ("input", "output", "value_info", "node"):
        getattr(graph, name).extend(getattr(model.graph, name))
    graph.initializer.extend(_slim(model.graph.initializer))
    return slim


def _slim(tensors: Iterable[Any]) -> list[Any]:
    import onnx

    return [
        t
        if len(t.raw_data) <= _LARGEST_KEPT_BYTES and t.data_location != _EXTERNAL
        else onnx.TensorProto(name=t.name, data_type=t.data_type, dims=t.dims)
        for t in tensors
    ]
