"""What onert's loader makes of each builtin operator: a name and kind, or why it refuses it.

From onert's TFLite and circle loaders at 1.31 development (April 2026); what older versions lack
shows when the model is loaded there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

UNKNOWN: Final = "onert's loader has no operation"
"""How the problem of an operation begins that onert has no name for."""


FOREIGN: Final = "a tensor of a type that onert does not have"
"""How the problem of an operation begins that touches such a tensor."""


class OnertOperation(NamedTuple):
    """onert's name of an operation, and its kind where one name covers several."""

    name: str
    kind: str = ""


_PLAIN: Final = {
    "CONCATENATION": "Concat",
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "DEPTH_TO_SPACE": "DepthToSpace",
    "EMBEDDING_LOOKUP": "EmbeddingLookup",
    "FULLY_CONNECTED": "FullyConnected",
    "HASHTABLE_LOOKUP": "HashtableLookup",
    "L2_NORMALIZATION": "L2Normalization",
    "RESHAPE": "Reshape",
    "RESIZE_BILINEAR": "ResizeBilinear",
    "SOFTMAX": "Softmax",
    "SPACE_TO_DEPTH": "SpaceToDepth",
    "PAD": "Pad",
    "PADV2": "Pad",
    "GATHER": "Gather",
    "BATCH_TO_SPACE_ND": "BatchToSpaceND",
    "SPACE_TO_BATCH_ND": "SpaceToBatchND",
    "TRANSPOSE": "Transpose",
    "SQUEEZE": "Squeeze",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "LSTM",
    "STRIDED_SLICE": "StridedSlice",
    "TOPK_V2": "TopKV2",
    "SPLIT": "Split",
    "LOG_SOFTMAX": "LogSoftmax",
    "PRELU": "PReLU",
    "SELECT": "Select",
    "SELECT_V2": "Select",
    "SLICE": "Slice",
    "TRANSPOSE_CONV": "TransposeConv",
    "TILE": "Tile",
    "EXPAND_DIMS": "ExpandDims",
    "SHAPE": "Shape",
    "POW": "Pow",
    "PACK": "Pack",
    "ONE_HOT": "OneHot",
    "UNPACK": "Unpack",
    "FILL": "Fill",
    "RANGE": "Range",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
    "SQUARED_DIFFERENCE": "SquaredDifference",
    "SPLIT_V": "SplitV",
    "REVERSE_V2": "Reverse",
    "ADD_N": "AddN",
    "RANK": "Rank",
    "IF": "If",
    "WHILE": "While",
    "BATCH_MATMUL": "BatchMatMul",
    "BROADCAST_TO": "BroadcastTo",
    "DYNAMIC_UPDATE_SLICE": "DynamicUpdateSlice",
}

_KINDS: Final = {
    "BinaryArithmetic": {"ADD": "ADD", "SUB": "SUB", "MUL": "MUL", "DIV": "DIV"},
    "Pool2D": {"AVERAGE_POOL_2D": "AVG", "MAX_POOL_2D": "MAX"},
    "ArgMinMax": {"ARG_MAX": "max", "ARG_MIN": "min"},
    "ElementwiseActivation": {
        "LOGISTIC": "LOGISTIC",
        "RELU": "RELU",
        "RELU_N1_TO_1": "RELU",
        "RELU6": "RELU",
        "TANH": "TANH",
        "LEAKY_RELU": "LEAKY_RELU",
        "ELU": "ELU",
        "GELU": "GELU",
    },
    "ElementwiseBinary": {
        "MAXIMUM": "MAX",
        "MINIMUM": "MIN",
        "LOGICAL_OR": "LOGICAL_OR",
        "LOGICAL_AND": "LOGICAL_AND",
        "FLOOR_DIV": "FLOOR_DIV",
        "FLOOR_MOD": "FLOOR_MOD",
    },
    "ElementwiseUnary": {
        name: name
        for name in (
            "DEQUANTIZE FLOOR EXP CAST NEG SIN LOG SQRT RSQRT LOGICAL_NOT SQUARE ZEROS_LIKE "
            "ABS COS QUANTIZE ROUND"
        ).split()
    },
    "Comparison": {
        "LESS": "Less",
        "GREATER": "Greater",
        "GREATER_EQUAL": "GreaterEqual",
        "LESS_EQUAL": "LessEqual",
        "EQUAL": "Equal",
        "NOT_EQUAL": "NotEqual",
    },
    "Reduce": {
        "MEAN": "MEAN",
        "SUM": "SUM",
        "REDUCE_PROD": "PROD",
        "REDUCE_MAX": "MAX",
        "REDUCE_ANY": "ANY",
        "REDUCE_ALL": "ALL",
    },
}

BUILTINS: Final[dict[str, OnertOperation]] = {
    **{builtin: OnertOperation(name) for builtin, name in _PLAIN.items()},
    **{
        builtin: OnertOperation(name, kind)
        for name, kinds in _KINDS.items()
        for builtin, kind in kinds.items()
    },
}
"""Builtin operators of both formats."""

CIRCLE_BUILTINS: Final[dict[str, OnertOperation]] = {
    "INSTANCE_NORM": OnertOperation("InstanceNorm"),
    "BCQ_FULLY_CONNECTED": OnertOperation("BCQFullyConnected"),
    "BCQ_GATHER": OnertOperation("BCQGather"),
    "RMS_NORM": OnertOperation("RmsNorm"),
    "ROPE": OnertOperation("RoPE"),
    "RUN_MODEL": OnertOperation("Bulk"),
    "ATTENTION": OnertOperation("Attention"),
    "CALL": OnertOperation("Call"),
}
"""Builtin operators that only the circle loader takes."""

CUSTOMS: Final[dict[str, OnertOperation]] = {
    "FusedBatchNormV3": OnertOperation("FusedBatchNorm"),
    "StatelessRandomUniform": OnertOperation("StatelessRandomUniform"),
    "Erf": OnertOperation("ElementwiseUnary", "ERF"),
    "TFLite_Detection_PostProcess": OnertOperation("DetectionPostProcess"),
}
"""Custom operators that the loaders turn into operations of their own."""

CIRCLE_CUSTOMS: Final = {"BCQUnembedding": OnertOperation("BCQUnembedding")}

_LEFT_OUT_INPUTS: Final = {"FULLY_CONNECTED", "UNIDIRECTIONAL_SEQUENCE_LSTM"}
_CIRCLE_LEFT_OUT_INPUTS: Final = {"BCQ_FULLY_CONNECTED"}
_DTYPES: Final = set("float32 float16 int32 uint8 int64 bool int16 int8".split())
_CIRCLE_DTYPES: Final = set("uint4 ggml_q4_0 ggml_q4_1 ggml_q8_0 ggml_q8_1 mxfp4 mxint8".split())


def translate(builtin: str, *, is_custom: bool, is_circle: bool) -> OnertOperation | None:
    """Onert's operation for a builtin operator or a custom code; None where the loader has none.

    Examples:
        >>> translate("ADD", is_custom=False, is_circle=False)
        OnertOperation(name='BinaryArithmetic', kind='ADD')
        >>> translate("HARD_SWISH", is_custom=False, is_circle=False) is None
        True
        >>> translate("MyKernel", is_custom=True, is_circle=False)
        OnertOperation(name='Custom', kind='')
    """
    if is_custom:
        table = CUSTOMS | CIRCLE_CUSTOMS if is_circle else CUSTOMS
        return table.get(builtin, OnertOperation("Custom"))
    table = BUILTINS | CIRCLE_BUILTINS if is_circle else BUILTINS
    return table.get(builtin)


def problem_of(
    builtin: str,
    operation: OnertOperation | None,
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
    dtypes: tuple[str, ...],
    *,
    is_circle: bool,
) -> str:
    """Why onert's loader refuses an operation; empty when nothing here says that it would.

    Args:
        builtin: The builtin's name.
        operation: What ``translate`` made of it.
        inputs: Tensor indices, -1 for one left out.
        outputs: Tensor indices.
        dtypes: Types of the tensors it touches.
        is_circle: Whether the circle loader reads it.

    Examples:
        >>> problem_of("CEIL", None, (0,), (1,), ("float32",), is_circle=False)
        "onert's loader has no operation for CEIL"
    """
    if operation is None:
        return f"{UNKNOWN} for {builtin}"
    may_leave_out = _LEFT_OUT_INPUTS | (_CIRCLE_LEFT_OUT_INPUTS if is_circle else set())
    circle_custom = is_circle and operation.name == "Custom"
    if -1 in inputs and builtin not in may_leave_out and not circle_custom:
        return f"input {inputs.index(-1)} is left out, which onert's loader takes only for " + (
            " and ".join(sorted(may_leave_out))
        )
    if builtin == "UNIDIRECTIONAL_SEQUENCE_LSTM" and len(outputs) != 1:
        return f"{len(outputs)} outputs, onert's loader takes exactly one"
    if builtin == "RESHAPE" and len(inputs) < 2:
        return "the new shape is given as an option only, onert wants it as a second input"
    known = _DTYPES | (_CIRCLE_DTYPES if is_circle else set())
    foreign = sorted(set(dtypes) - known)
    if foreign:
        return f"{FOREIGN}: {foreign[0]}"
    if builtin == "DISPATCH_OP":
        return f"{UNKNOWN} for models compiled for an NPU: take the one it was compiled from"
    if operation.name == "Custom":
        return "a custom operation needs its kernel registered with the runtime"
    return ""
