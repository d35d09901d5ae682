"""Which backend of onert can run which operation.

From the operation lists and kernel generators of onert at 1.31 development (April 2026). A table
is a first guess that saves measurements; the runtime has the last word, trial by trial.
"""

from __future__ import annotations

from typing import Final

from pareto_profiler.core.graph import Operation

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


def why_not(backend: str, operation: Operation) -> str:
    """Why a backend cannot run an operation; empty when nothing says so.

    A backend without a table is trusted to run everything.
    """
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
