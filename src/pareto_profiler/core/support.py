"""Which backend can run which operation: onert's tables, and what the user knows better.

From the operation lists and kernel generators of onert at 1.31 development (April 2026). A table
is a first guess that saves measurements; the runtime has the last word, trial by trial.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pareto_profiler.core.graph import Operation
from pareto_profiler.errors import InputError

FIXED_NAMES: Final = frozenset({"If", "While", "Call", "Permute", "Custom", "Bulk"})
"""Operations that the runtime places itself; naming a backend for one breaks its compilation."""

_CPU: Final = frozenset(
    "AddN ArgMinMax Attention BatchMatMul BatchToSpaceND BinaryArithmetic BroadcastTo Comparison "
    "Concat Conv2D DepthToSpace DepthwiseConv2D DetectionPostProcess DynamicUpdateSlice "
    "ElementwiseActivation ElementwiseBinary ElementwiseUnary ExpandDims Fill FullyConnected "
    "FusedBatchNorm Gather L2Normalization LogSoftmax LSTM OneHot Pack Pad Pool2D Pow Range Rank "
    "Reduce Reshape ResizeBilinear Reverse RmsNorm RoPE Select Shape Slice Softmax SpaceToBatchND "
    "SpaceToDepth Split SplitV SquaredDifference Squeeze StatelessRandomUniform StridedSlice Tile "
    "TopKV2 Transpose Unpack".split()
)
_ACL_NEON: Final = frozenset(
    "ArgMinMax BatchToSpaceND BinaryArithmetic Comparison Concat Conv2D DepthToSpace "
    "DepthwiseConv2D ElementwiseActivation ElementwiseBinary ElementwiseUnary EmbeddingLookup "
    "ExpandDims FullyConnected Gather HashtableLookup InstanceNorm L2Normalization "
    "LocalResponseNormalization LSTM OneHot Pack Pad Pool2D PReLU Reduce Reshape ResizeBilinear "
    "RNN Slice Softmax SpaceToBatchND SpaceToDepth Split SquaredDifference Squeeze StridedSlice "
    "Transpose TransposeConv Unpack".split()
)
_ACL_CL: Final = _ACL_NEON | frozenset(
    "ConvertFp16ToFp32 ConvertFp32ToFp16 ResizeNearestNeighbor Reverse SplitV TopKV2".split()
)

OPERATIONS: Final[dict[str, frozenset[str]]] = {
    "cpu": _CPU,
    "ruy": frozenset({"Conv2D", "FullyConnected"}),
    "xnnpack": frozenset({"Conv2D", "DepthwiseConv2D", "FullyConnected"}),
    "acl_cl": _ACL_CL,
    "acl_neon": _ACL_NEON,
    "gpu_cl": frozenset(
        "BinaryArithmetic Conv2D DepthwiseConv2D ElementwiseActivation Pool2D Reshape "
        "Softmax".split()
    ),
    "ggml": frozenset({"FullyConnected", "Gather"}),
    "trix": frozenset({"Bulk"}),
}
"""Backend → names of the operations it has kernels for."""

_ACL_KINDS: Final = {
    "ElementwiseUnary": set("ABS CAST DEQUANTIZE EXP FLOOR LOGICAL_NOT NEG RSQRT SQRT".split()),
    "ElementwiseActivation": set("RELU TANH LOGISTIC LEAKY_RELU".split()),
    "ElementwiseBinary": set("LOGICAL_AND LOGICAL_OR MAX MIN".split()),
    "Reduce": set("MAX MIN SUM MEAN".split()),
}
_KINDS: Final[dict[str, dict[str, set[str]]]] = {
    "cpu": {"Pool2D": {"AVG", "MAX"}},
    "acl_cl": _ACL_KINDS,
    "acl_neon": _ACL_KINDS,
    "gpu_cl": {"ElementwiseActivation": set("LEAKY_RELU RELU LOGISTIC TANH".split())},
}
_DTYPES: Final[dict[str, set[str]]] = {
    "ruy": {"float32"},
    "xnnpack": {"float32"},
    "gpu_cl": {"float32", "float16"},
    "ggml": {"ggml_q4_0", "ggml_q8_0"},
}
# Seen to be refused by onert 1.30: "Mean: unsupported data type".
_REFUSED: Final = {("cpu", "Reduce", "MEAN", "int8")}


@dataclass(frozen=True, slots=True)
class Support:
    """The support tables with the user's corrections.

    Args:
        allowed: Pairs ⟨backend, operation name⟩ to try whatever the tables say; ``*`` as a name
            stands for every operation.
        forbidden: Pairs never to try; stronger than ``allowed``.
    """

    allowed: frozenset[tuple[str, str]] = field(default=frozenset())
    forbidden: frozenset[tuple[str, str]] = field(default=frozenset())

    @classmethod
    def of(cls, allow: Iterable[str] = (), forbid: Iterable[str] = ()) -> Support:
        """From texts of the form ``BACKEND:OPERATION``.

        Raises:
            InputError: A text has another form.

        Examples:
            >>> Support.of(allow=["ruy:*"]).allowed
            frozenset({('ruy', '*')})
        """
        return cls(frozenset(map(_pair, allow)), frozenset(map(_pair, forbid)))

    def why_not(self, backend: str, operation: Operation) -> str:
        """Why a backend cannot run an operation; empty when nothing says so.

        A backend without a table is trusted to run everything.
        """
        for name in (operation.name, "*"):
            if (backend, name) in self.forbidden:
                return f"{backend} is forbidden for {name}"
        if (backend, operation.name) in self.allowed or (backend, "*") in self.allowed:
            return ""
        if backend not in OPERATIONS:
            return ""
        if operation.name not in OPERATIONS[backend]:
            return f"{backend} has no {operation.name}"
        kinds = _KINDS.get(backend, {}).get(operation.name)
        if kinds is not None and operation.kind not in kinds:
            return f"{backend} has no {operation.name} of kind {operation.kind}"
        dtypes = _DTYPES.get(backend)
        is_refused = (backend, operation.name, operation.kind, operation.dtype) in _REFUSED
        if is_refused or (dtypes is not None and operation.dtype not in dtypes):
            kind = f" of kind {operation.kind}" if operation.kind else ""
            return f"{backend} has no {operation.name}{kind} for {operation.dtype}"
        return ""

    def check(self, backends: Iterable[str], names: Iterable[str]) -> None:
        """See that every correction names a backend and an operation that are there.

        Raises:
            InputError: One does not: it would have no effect.
        """
        backends, names = tuple(backends), {*names, "*"}
        for backend, name in sorted(self.allowed | self.forbidden):
            if backend not in backends:
                raise InputError(f"{backend}:{name}: the backends are {', '.join(backends)}")
            if name not in names:
                raise InputError(
                    f"{backend}:{name}: the model's operations are "
                    f"{', '.join(sorted(names - {'', '*'}))}"
                )


def _pair(text: str) -> tuple[str, str]:
    backend, colon, name = text.partition(":")
    if not backend or not colon or not name:
        raise InputError(f"{text!r}: expected BACKEND:OPERATION, such as ruy:Conv2D or ruy:*")
    return backend, name
