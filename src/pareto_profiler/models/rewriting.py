"""Rewriting: a .tflite model in which some operations are made of others that compute the same.

Works on the object API that a library generated from the schema. Values of constants and sizes come
from an interpreter that ran the original. This runs in a process of its own, see ``adapting``: the
interpreter follows whatever a file says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.models.reader import METADATA

Array = NDArray[Any]

_LARGEST_CONSTANT: Final = 1 << 28
_RELU6: Final = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One rewrite.

    Attributes:
        rule: Its name.
        operation: Number of the operation in the original.
        builtin: What that was.
    """

    rule: str
    operation: int
    builtin: str

    def to_json(self) -> list[Any]:
        """As a row."""
        return [self.rule, self.operation, self.builtin]


@dataclass(slots=True)
class Rewriter:
    """A model's main subgraph while it is rewritten.

    Attributes:
        schema: Module of the object API.
        model: The root object; changed in place.
        values: Tensor → value, of constants and of what is computed from constants alone.
        shapes: Tensor → its shape in the original run.
        steps: What was done.
        origins: For each operation of the rewritten model the number of the original's.
    """

    schema: Any
    model: Any
    values: Mapping[int, Array]
    shapes: Mapping[int, tuple[int, ...]]
    steps: list[Step] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    _constants: dict[bytes, int] = field(default_factory=dict)

    @property
    def graph(self) -> Any:
        """The main subgraph."""
        return self.model.subgraphs[0]

    def builtin_of(self, operation: Any) -> str:
        """Name of an operation's operator."""
        code = self.model.operatorCodes[operation.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        names = {v: k for k, v in vars(self.schema.BuiltinOperator).items() if k.isupper()}
        return str(names.get(number, f"operator code {number}"))

    def constant(self, value: Array, name: str) -> int:
        """A tensor of that value; the same for the same value and type."""
        array = np.ascontiguousarray(value)
        key = f"{array.dtype}{array.shape}".encode() + array.tobytes()
        if key not in self._constants:
            s = self.schema
            buffer = s.BufferT()
            buffer.data = np.frombuffer(array.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor = self._tensor(array.shape, _type_of(s, array.dtype), name)
            tensor.buffer = len(self.model.buffers) - 1
            self.graph.tensors.append(tensor)
            self._constants[key] = len(self.graph.tensors) - 1
        return self._constants[key]

    def activation(self, like: int, name: str, shape: Sequence[int] | None = None) -> int:
        """A new tensor of the type of another one."""
        old = self.graph.tensors[like]
        tensor = self._tensor(self.shapes[like] if shape is None else shape, old.type, name)
        tensor.quantization = old.quantization
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operation(
        self, builtin: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None
    ) -> Any:
        """A new operation, not in the subgraph yet."""
        s = self.schema
        number = getattr(s.BuiltinOperator, builtin)
        made = s.OperatorT()
        made.opcodeIndex = self._code(number)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options is not None:
            made.builtinOptions = options
            name = type(options).__name__.removesuffix("T")
            made.builtinOptionsType = getattr(s.BuiltinOptions, name)
        return made

    def _tensor(self, shape: Sequence[int], type_number: int, name: str) -> Any:
        tensor = self.schema.TensorT()
        tensor.shape = np.array(shape, np.int32)
        tensor.type, tensor.name, tensor.buffer = type_number, name.encode(), 0
        return tensor

    def _code(self, number: int) -> int:
        for i, code in enumerate(self.model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == number and code.version <= 1:
                return i
        code = self.schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1


def _type_of(schema: Any, dtype: np.dtype[Any]) -> int:
    return int(getattr(schema.TensorType, str(dtype).upper()))


Rule = Callable[[Rewriter, Any, int], list[Any] | None]
"""From an operation and its number to what takes its place; None where it stays as it is."""


def folded(rewriter: Rewriter, operation: Any, number: int) -> list[Any] | None:
    """What is computed from constants alone becomes one: DEQUANTIZE, DENSIFY and the like."""
    del number
    if not all(int(t) in rewriter.values for t in operation.outputs):
        return None
    values = [rewriter.values[int(t)] for t in operation.outputs]
    if sum(v.nbytes for v in values) > _LARGEST_CONSTANT:
        return None
    for t, value in zip(operation.outputs, values, strict=True):
        buffer = rewriter.schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        rewriter.model.buffers.append(buffer)
        tensor = rewriter.graph.tensors[int(t)]
        tensor.buffer, tensor.sparsity = len(rewriter.model.buffers) - 1, None
        tensor.shape = np.array(value.shape, np.int32)
    return []


def reshape_by_tensor(rewriter: Rewriter, operation: Any, number: int) -> list[Any] | None:
    """RESHAPE whose shape is an option only gets it as its second input."""
    del number
    if len(operation.inputs) > 1 and operation.inputs[1] >= 0:
        return None
    shape = np.array(rewriter.shapes[int(operation.outputs[0])], np.int32)
    operation.inputs = np.array([operation.inputs[0], rewriter.constant(shape, "shape")], np.int32)
    return [operation]


def prelu_by_parts(rewriter: Rewriter, operation: Any, number: int) -> list[Any] | None:
    """PRELU(x, a) = RELU(x) + a · MINIMUM(x, 0), exactly."""
    x, alpha = map(int, operation.inputs)
    (y,) = map(int, operation.outputs)
    positive, negative, scaled = (
        rewriter.activation(x, f"prelu{number}.{part}")
        for part in ("positive", "negative", "scaled")
    )
    zeros = rewriter.constant(np.zeros(1, np.float32), "zero")
    return [
        rewriter.operation("RELU", [x], [positive]),
        rewriter.operation(
            "MINIMUM", [x, zeros], [negative], rewriter.schema.MaximumMinimumOptionsT()
        ),
        rewriter.operation("MUL", [negative, alpha], [scaled], rewriter.schema.MulOptionsT()),
        rewriter.operation("ADD", [positive, scaled], [y], rewriter.schema.AddOptionsT()),
    ]


def hard_swish_by_parts(rewriter: Rewriter, operation: Any, number: int) -> list[Any] | None:
    """HARD_SWISH(x) = x · RELU6(x + 3) / 6."""
    (x,), (y,) = map(int, operation.inputs), map(int, operation.outputs)
    if rewriter.graph.tensors[x].type != rewriter.schema.TensorType.FLOAT32:
        return None
    shifted, product = (
        rewriter.activation(x, f"hard_swish{number}.{part}") for part in ("shifted", "product")
    )
    three = rewriter.constant(np.full(1, 3, np.float32), "three")
    sixth = rewriter.constant(np.full(1, 1 / 6, np.float32), "sixth")
    clipped = rewriter.schema.AddOptionsT()
    clipped.fusedActivationFunction = rewriter.schema.ActivationFunctionType.RELU6
    return [
        rewriter.operation("ADD", [x, three], [shifted], clipped),
        rewriter.operation("MUL", [x, shifted], [product], rewriter.schema.MulOptionsT()),
        rewriter.operation("MUL", [product, sixth], [y], rewriter.schema.MulOptionsT()),
    ]


def mirror_pad_by_gather(rewriter: Rewriter, operation: Any, number: int) -> list[Any] | None:
    """MIRROR_PAD = GATHER along each padded axis, with the mirrored positions."""
    x, paddings = map(int, operation.inputs)
    (y,) = map(int, operation.outputs)
    if paddings not in rewriter.values:
        return None
    widths = np.asarray(rewriter.values[paddings]).reshape(-1, 2)
    # REFLECT leaves the border itself out, SYMMETRIC has it twice.
    mode: Any = "reflect" if operation.builtinOptions.mode == 0 else "symmetric"
    shape = list(rewriter.shapes[x])
    padded = [axis for axis, width in enumerate(widths) if width.any()]
    made, source = [], x
    for axis in padded:
        positions = np.pad(np.arange(shape[axis], dtype=np.int32), tuple(widths[axis]), mode=mode)
        shape[axis] = len(positions)
        name = f"mirror_pad{number}.axis{axis}"
        target = y if axis == padded[-1] else rewriter.activation(x, name, shape)
        options = rewriter.schema.GatherOptionsT()
        options.axis = axis
        indices = rewriter.constant(positions, "mirrored")
        made.append(rewriter.operation("GATHER", [source, indices], [target], options))
        source = target
    return made or None


def reduce_min_by_max(rewriter: Rewriter, operation: Any, number: int) -> list[Any] | None:
    """REDUCE_MIN(x) = −REDUCE_MAX(−x), exactly."""
    x, axes = map(int, operation.inputs)
    (y,) = map(int, operation.outputs)
    negative = rewriter.activation(x, f"reduce_min{number}.negative")
    largest = rewriter.activation(y, f"reduce_min{number}.largest")
    return [
        rewriter.operation("NEG", [x], [negative]),
        rewriter.operation("REDUCE_MAX", [negative, axes], [largest], operation.builtinOptions),
        rewriter.operation("NEG", [largest], [y]),
    ]


RULES: Final[Mapping[str, tuple[str, Rule]]] = {
    "RESHAPE": ("reshape_by_tensor", reshape_by_tensor),
    "PRELU": ("prelu_by_parts", prelu_by_parts),
    "HARD_SWISH": ("hard_swish_by_parts", hard_swish_by_parts),
    "MIRROR_PAD": ("mirror_pad_by_gather", mirror_pad_by_gather),
    "REDUCE_MIN": ("reduce_min_by_max", reduce_min_by_max),
}
"""Operator → name of its rule and the rule, beside folding."""


def rewrite(rewriter: Rewriter, operators: Sequence[str]) -> None:
    """Fold constants, rewrite some operators, fix free sizes, leave out what nothing needs.

    Args:
        rewriter: The model; changed in place.
        operators: Those that are rewritten.
    """
    graph = rewriter.graph
    kept: list[tuple[int, Any]] = []
    for number, operation in enumerate(graph.operators):
        builtin = rewriter.builtin_of(operation)
        made = folded(rewriter, operation, number)
        rule = "folded"
        if made is None and builtin in operators and builtin in RULES:
            rule, apply = RULES[builtin]
            made = apply(rewriter, operation, number)
        if made is not None:
            rewriter.steps.append(Step(rule, number, builtin))
        kept += [(number, o) for o in ([operation] if made is None else made)]
    kept = _needed(rewriter, kept)
    graph.operators = [operation for _, operation in kept]
    rewriter.origins[:] = [number for number, _ in kept]
    _fix_sizes(rewriter)
    _drop_unused_buffers(rewriter)


def _needed(rewriter: Rewriter, operations: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Without those whose results nobody takes."""
    needed = set(map(int, rewriter.graph.outputs))
    kept = []
    for number, operation in reversed(operations):
        builtin = rewriter.builtin_of(operation)
        if needed.isdisjoint(map(int, operation.outputs)):
            rewriter.steps.append(Step("left_out", number, builtin))
            continue
        needed.update(map(int, operation.inputs))
        kept.append((number, operation))
    return kept[::-1]


def _fix_sizes(rewriter: Rewriter) -> None:
    for t, tensor in enumerate(rewriter.graph.tensors):
        signature = tensor.shapeSignature
        if signature is None or not len(signature):
            continue
        if (np.asarray(signature) < 0).any() and t in rewriter.shapes:
            tensor.shape = np.array(rewriter.shapes[t], np.int32)
        tensor.shapeSignature = None


def _drop_unused_buffers(rewriter: Rewriter) -> None:
    """Empty what held constants that nothing reads any more."""
    used = {t for o in rewriter.graph.operators for t in map(int, o.inputs)}
    used |= set(map(int, rewriter.graph.outputs))
    tensors = rewriter.graph.tensors
    for t in [t for t in used if t >= 0]:
        # Blocks of quantised weights have their scales in tensors of their own.
        details = getattr(tensors[t].quantization, "details", None)
        told = (getattr(details, name, None) for name in ("scales", "zeroPoints"))
        used |= {int(n) for n in told if isinstance(n, int | np.integer)}
    held = {tensors[t].buffer for t in used if 0 <= t < len(tensors)}
    others = [t.buffer for g in rewriter.model.subgraphs[1:] for t in g.tensors]
    held |= set(others) | {m.buffer for m in rewriter.model.metadata or []}
    for i, buffer in enumerate(rewriter.model.buffers):
        if i not in held:
            buffer.data = None
    for t, tensor in enumerate(tensors):
        if t not in used and tensor.buffer not in held:
            tensor.buffer, tensor.sparsity = 0, None


def with_provenance(rewriter: Rewriter, digest: str) -> None:
    """Say in the model what was done to it.

    Args:
        rewriter: After the rewriting.
        digest: SHA-256 of the original file.
    """
    told = {
        "original": digest,
        "steps": [step.to_json() for step in rewriter.steps],
        "origins": rewriter.origins,
    }
    buffer, entry = rewriter.schema.BufferT(), rewriter.schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(told, separators=(",", ":")).encode(), np.uint8)
    rewriter.model.buffers.append(buffer)
    entry.name, entry.buffer = METADATA.encode(), len(rewriter.model.buffers) - 1
    kept = [m for m in rewriter.model.metadata or [] if m.name != METADATA.encode()]
    rewriter.model.metadata = [*kept, entry]
