"""The names, numbers and field slots of the TFLite and circle schemas that reading a graph needs.

Facts of the public schemas (TFLite 3, circle 0.10). A test compares every name and number with the
``tflite`` and ``circle-schema`` packages. Those packages are not used for reading: their
accessors follow every offset unchecked, and importing one costs more than reading a model.
"""

from __future__ import annotations

from typing import Final

_BUILTIN_NAMES: Final = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
    RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
    SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER
    BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
    LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG
    PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE
    EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD
    REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
    REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
    SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE
    RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D
    IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
    RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE
    RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
    UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD
    STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP
    STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
    STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE
    STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE
    STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT
    STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA
    STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
    STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW
    STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT
""".split()

BUILTIN_NAMES: Final[dict[int, str]] = dict(enumerate(_BUILTIN_NAMES))
"""Builtin operator code → name, common to both formats (31, CALL, is for circle alone)."""

CIRCLE_BUILTIN_NAMES: Final[dict[int, str]] = {
    -9: "ATTENTION",
    -8: "RUN_MODEL",
    -7: "ROPE",
    -6: "RMS_NORM",
    -5: "GRU",
    -4: "BCQ_GATHER",
    -3: "BCQ_FULLY_CONNECTED",
    -2: "INSTANCE_NORM",
    209: "STABLEHLO_CASE",
}
"""Builtin operators that only circle has."""

CUSTOM: Final = 32
PLACEHOLDER_FOR_GREATER_OP_CODES: Final = 127

TYPE_NAMES: Final[dict[int, str]] = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    5: "string",
    6: "bool",
    7: "int16",
    8: "complex64",
    9: "int8",
    10: "float64",
    11: "complex128",
    12: "uint64",
    13: "resource",
    14: "variant",
    15: "uint32",
    16: "uint16",
    17: "int4",
    18: "bfloat16",
    19: "int2",
    20: "uint4",
    21: "float8_e4m3fn",
    22: "float8_e5m2",
    -1: "uint4",
    -2: "ggml_q4_0",
    -3: "ggml_q4_1",
    -4: "ggml_q8_0",
    -5: "ggml_q8_1",
    -6: "mxfp4",
    -7: "mxint8",
}

# dtype → (elements a block, bytes a block). Strings, resources and variants have no fixed size.
BLOCKS: Final[dict[str, tuple[int, int]]] = {
    "float32": (1, 4),
    "float16": (1, 2),
    "int32": (1, 4),
    "uint8": (1, 1),
    "int64": (1, 8),
    "bool": (1, 1),
    "int16": (1, 2),
    "complex64": (1, 8),
    "int8": (1, 1),
    "float64": (1, 8),
    "complex128": (1, 16),
    "uint64": (1, 8),
    "uint32": (1, 4),
    "uint16": (1, 2),
    "int4": (2, 1),
    "bfloat16": (1, 2),
    "uint4": (2, 1),
    "int2": (4, 1),
    "float8_e4m3fn": (1, 1),
    "float8_e5m2": (1, 1),
    "ggml_q4_0": (32, 18),
    "ggml_q4_1": (32, 20),
    "ggml_q8_0": (32, 34),
    "ggml_q8_1": (32, 36),
    "mxfp4": (32, 17),
    "mxint8": (32, 33),
}


class Model:
    """Field slots of the root table."""

    OPERATOR_CODES: Final = 1
    SUBGRAPHS: Final = 2
    BUFFERS: Final = 4
    METADATA: Final = 6
    SIGNATURES: Final = 7


class Signature:
    """Field slots of a signature."""

    OUTPUTS: Final = 1
    KEY: Final = 2
    SUBGRAPH: Final = 4


class TensorMap:
    """Field slots of a name in a signature."""

    NAME: Final = 0
    TENSOR: Final = 1


class SubGraph:
    """Field slots of a subgraph."""

    TENSORS: Final = 0
    INPUTS: Final = 1
    OUTPUTS: Final = 2
    OPERATORS: Final = 3


class Tensor:
    """Field slots of a tensor."""

    SHAPE: Final = 0
    TYPE: Final = 1
    BUFFER: Final = 2
    NAME: Final = 3
    SHAPE_SIGNATURE: Final = 7


class Operator:
    """Field slots of an operator."""

    OPCODE_INDEX: Final = 0
    INPUTS: Final = 1
    OUTPUTS: Final = 2
    OPTIONS: Final = 4


class OperatorCode:
    """Field slots of an operator code."""

    DEPRECATED_BUILTIN_CODE: Final = 0
    CUSTOM_CODE: Final = 1
    VERSION: Final = 2
    BUILTIN_CODE: Final = 3


class Metadata:
    """Field slots of an entry of the model's metadata."""

    NAME: Final = 0
    BUFFER: Final = 1


class Buffer:
    """Field slots of a buffer; OFFSET and SIZE name data behind the FlatBuffer."""

    DATA: Final = 0
    OFFSET: Final = 1
    SIZE: Final = 2
