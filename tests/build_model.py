"""Builds small TFLite and circle files for tests, with the public FlatBuffers builder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np
from numpy.typing import NDArray

FLOAT32, FLOAT16, INT32, INT64, STRING, BOOL = 0, 1, 2, 4, 5, 6
ADD, CONV_2D, FULLY_CONNECTED, RELU, RESHAPE, TANH = 0, 3, 9, 19, 22, 28
DEQUANTIZE = 6
CUSTOM, GATHER, LESS, HARD_SWISH, IF, WHILE, DYNAMIC_UPDATE_SLICE = 32, 36, 58, 117, 118, 119, 151


@dataclass
class TensorSpec:
    """One tensor; ``data`` makes it a constant."""

    shape: Sequence[int]
    dtype: int = FLOAT32
    data: NDArray[np.generic] | None = None
    name: str = "t"
    signature: Sequence[int] | None = None


@dataclass
class OperationSpec:
    """One operation; ``option_type`` gives it a table of options of that union type."""

    code: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    custom_code: str = ""
    version: int = 1
    option_type: int = 0
    options: Sequence[int] = ()


@dataclass
class ModelSpec:
    """A model with the subgraphs behind its main one; ``subgraphs`` repeats that one."""

    tensors: Sequence[TensorSpec]
    operations: Sequence[OperationSpec]
    inputs: Sequence[int]
    outputs: Sequence[int]
    subgraphs: int = 1
    identifier: bytes = b"TFL3"
    bodies: Sequence[ModelSpec] = ()
    name: str = "g"


def _vector(builder: flatbuffers.Builder, values: Sequence[int], *, is_offset: bool) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        if is_offset:
            builder.PrependUOffsetTRelative(value)
        else:
            builder.PrependInt32(value)
    return int(builder.EndVector())


def build(spec: ModelSpec) -> bytes:
    """The file's bytes."""
    b = flatbuffers.Builder(1024)
    codes: dict[tuple[int, str, int], int] = {}
    every = [spec, *spec.bodies]
    for o in [o for one in every for o in one.operations]:
        codes.setdefault((o.code, o.custom_code, o.version), len(codes))
    buffers = [_empty_table(b, 3)]
    made = [_subgraph(b, one, codes, buffers) for one in every]
    subgraphs = made[:1] * spec.subgraphs + made[1:]

    code_tables = []
    for code, custom, version in codes:
        text = b.CreateString(custom) if custom else 0
        b.StartObject(4)
        b.PrependInt8Slot(0, min(code, 127), 0)
        if text:
            b.PrependUOffsetTRelativeSlot(1, text, 0)
        b.PrependInt32Slot(2, version, 1)
        b.PrependInt32Slot(3, code, 0)
        code_tables.append(b.EndObject())

    code_vector, subgraph_vector, buffer_vector = (
        _vector(b, v, is_offset=True) for v in (code_tables, subgraphs, buffers)
    )
    b.StartObject(8)
    b.PrependUint32Slot(0, 3, 0)
    b.PrependUOffsetTRelativeSlot(1, code_vector, 0)
    b.PrependUOffsetTRelativeSlot(2, subgraph_vector, 0)
    b.PrependUOffsetTRelativeSlot(4, buffer_vector, 0)
    b.Finish(b.EndObject(), file_identifier=spec.identifier)
    return bytes(b.Output())


def _subgraph(
    b: flatbuffers.Builder,
    spec: ModelSpec,
    codes: dict[tuple[int, str, int], int],
    buffers: list[int],
) -> int:
    """One subgraph; what its constants hold goes to the buffers."""
    buffer_of = []
    for tensor in spec.tensors:
        if tensor.data is None:
            buffer_of.append(0)
            continue
        data = b.CreateByteVector(np.ascontiguousarray(tensor.data).tobytes())
        b.StartObject(3)
        b.PrependUOffsetTRelativeSlot(0, data, 0)
        buffer_of.append(len(buffers))
        buffers.append(b.EndObject())

    tensors = []
    for tensor, buffer in zip(spec.tensors, buffer_of, strict=True):
        name = b.CreateString(tensor.name)
        shape = _vector(b, tensor.shape, is_offset=False)
        signed = _vector(b, tensor.signature, is_offset=False) if tensor.signature else 0
        b.StartObject(10)
        if signed:
            b.PrependUOffsetTRelativeSlot(7, signed, 0)
        b.PrependUOffsetTRelativeSlot(0, shape, 0)
        b.PrependInt8Slot(1, tensor.dtype, 0)
        b.PrependUint32Slot(2, buffer, 0)
        b.PrependUOffsetTRelativeSlot(3, name, 0)
        tensors.append(b.EndObject())

    operations = []
    for o in spec.operations:
        inputs, outputs = (_vector(b, v, is_offset=False) for v in (o.inputs, o.outputs))
        options = _options(b, o.options) if o.option_type else 0
        b.StartObject(14)
        b.PrependUint32Slot(0, codes[o.code, o.custom_code, o.version], 0)
        b.PrependUOffsetTRelativeSlot(1, inputs, 0)
        b.PrependUOffsetTRelativeSlot(2, outputs, 0)
        b.PrependUint8Slot(3, o.option_type, 0)
        if options:
            b.PrependUOffsetTRelativeSlot(4, options, 0)
        operations.append(b.EndObject())

    tensor_vector = _vector(b, tensors, is_offset=True)
    operation_vector = _vector(b, operations, is_offset=True)
    inputs = _vector(b, spec.inputs, is_offset=False)
    outputs = _vector(b, spec.outputs, is_offset=False)
    name = b.CreateString(spec.name)
    b.StartObject(6)
    b.PrependUOffsetTRelativeSlot(4, name, 0)
    b.PrependUOffsetTRelativeSlot(0, tensor_vector, 0)
    b.PrependUOffsetTRelativeSlot(1, inputs, 0)
    b.PrependUOffsetTRelativeSlot(2, outputs, 0)
    b.PrependUOffsetTRelativeSlot(3, operation_vector, 0)
    return int(b.EndObject())


def _options(builder: flatbuffers.Builder, values: Sequence[int]) -> int:
    """A table of options whose fields are whole numbers."""
    builder.StartObject(max(4, len(values)))
    for slot, value in enumerate(values):
        builder.PrependInt32Slot(slot, value, 0)
    return int(builder.EndObject())


def _empty_table(builder: flatbuffers.Builder, fields: int) -> int:
    builder.StartObject(fields)
    return int(builder.EndObject())


def chain(length: int, *, size: int = 4) -> ModelSpec:
    """``length`` unary operations one after the other, RELU and TANH by turns."""
    tensors = [TensorSpec((1, size), name=f"t{i}") for i in range(length + 1)]
    operations = [OperationSpec((RELU, TANH)[i % 2], (i,), (i + 1,)) for i in range(length)]
    return ModelSpec(tensors, operations, (0,), (length,))


def dense(seed: int = 0, *, width: int = 16, layers: int = 3) -> ModelSpec:
    """Fully connected layers with TANH between: outputs that tell, on ``cpu`` and ``ruy``."""
    generator = np.random.default_rng(seed)
    tensors = [TensorSpec((1, width), name="input")]
    operations: list[OperationSpec] = []
    for _ in range(layers):
        weights = generator.normal(size=(width, width)).astype(np.float32)
        bias = generator.normal(size=width).astype(np.float32)
        source, first = (len(tensors) - 1 if operations else 0), len(tensors)
        tensors += [
            TensorSpec((width, width), data=weights, name=f"weights{first}"),
            TensorSpec((width,), data=bias, name=f"bias{first}"),
            TensorSpec((1, width), name=f"dense{first}"),
            TensorSpec((1, width), name=f"tanh{first}"),
        ]
        operations += [
            OperationSpec(FULLY_CONNECTED, (source, first, first + 1), (first + 2,), option_type=8),
            OperationSpec(TANH, (first + 2,), (first + 3,)),
        ]
    return ModelSpec(tensors, operations, (0,), (len(tensors) - 1,))


def half_precision() -> ModelSpec:
    """Dense layers whose weights are unpacked at run time."""
    whole = dense(layers=2)
    tensors, operations = list(whole.tensors), []
    for o in whole.operations:
        if o.code == FULLY_CONNECTED:
            w = o.inputs[1]
            values = np.asarray(tensors[w].data, np.float16)
            tensors.append(TensorSpec(tensors[w].shape, FLOAT16, values))
            operations.append(OperationSpec(DEQUANTIZE, (len(tensors) - 1,), (w,)))
            tensors[w] = TensorSpec(tensors[w].shape, name=f"unpacked{w}")
        operations.append(o)
    return ModelSpec(tensors, operations, whole.inputs, whole.outputs)


def shared_biases(seed: int = 0, *, width: int = 8) -> ModelSpec:
    """Four dense layers in a row over two biases: 1st and 3rd share one, 2nd and 4th the other.

    onert since 2024-08 keeps one copy of a shared constant per backend, whichever constant it is:
    with the layers on two backends some get the other bias, and the outputs are wrong.
    """
    generator = np.random.default_rng(seed)

    def constant(*shape: int) -> TensorSpec:
        return TensorSpec(shape, data=generator.normal(size=shape).astype(np.float32))

    tensors = [TensorSpec((1, width), name="input"), constant(width), constant(width)]
    operations = []
    source = 0
    for layer in range(4):
        weights = len(tensors)
        tensors += [constant(width, width), TensorSpec((1, width), name=f"dense{layer}")]
        inputs = (source, weights, 1 + layer % 2)
        source = weights + 1
        operations.append(OperationSpec(FULLY_CONNECTED, inputs, (source,), option_type=8))
    return ModelSpec(tensors, operations, (0,), (source,))


def looping(times: int = 10, size: int = 64, *, extra: bool = False) -> ModelSpec:
    """A dense layer and TANH in the body of a loop that counts to ``times``.

    With ``extra`` a subgraph that nothing runs stands before condition and body.
    """
    random = np.random.default_rng(0)
    count, row = TensorSpec((1,), INT32), TensorSpec((1, size))
    one = TensorSpec((1,), INT32, np.array([1], np.int32))
    weights = TensorSpec((size, size), data=random.normal(0, 0.05, (size, size)).astype("f4"))
    bias = TensorSpec((size,), data=np.zeros(size, "f4"))
    condition = ModelSpec(
        [count, row, TensorSpec((1,), INT32, np.array([times], np.int32)), TensorSpec((1,), BOOL)],
        [OperationSpec(LESS, (0, 2), (3,), option_type=44)],
        (0, 1),
        (3,),
    )
    body = ModelSpec(
        [count, row, one, count, weights, bias, row, row],
        [
            OperationSpec(ADD, (0, 2), (3,), option_type=11),
            OperationSpec(FULLY_CONNECTED, (1, 4, 5), (6,), option_type=8),
            OperationSpec(TANH, (6,), (7,)),
        ],
        (0, 1),
        (3, 7),
    )
    unused = [ModelSpec([row, row], [OperationSpec(TANH, (0,), (1,))] * 1, (0,), (1,))]
    first = 2 if extra else 1
    return ModelSpec(
        [TensorSpec((1,), INT32, name="count"), TensorSpec((1, size), name="row"), count, row, row],
        [
            OperationSpec(WHILE, (0, 1), (2, 3), option_type=93, options=(first, first + 1)),
            OperationSpec(TANH, (3,), (4,)),
        ],
        (0, 1),
        (4,),
        bodies=[*(unused if extra else []), condition, body],
    )
