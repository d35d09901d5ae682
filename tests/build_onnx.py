"""Builds small .onnx files for tests, with the format's own library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 16


def constant(name: str, shape: Sequence[int], seed: int = 0) -> onnx.TensorProto:
    """Random numbers under a name."""
    values = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array(values.astype(np.float32), name)


def node(kind: str, inputs: Sequence[str], output: str, **more: Any) -> onnx.NodeProto:
    """An operation that makes one tensor."""
    return helper.make_node(kind, list(inputs), [output], **more)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    *,
    taken: Sequence[Any] = (1, 3, 16, 16),
    made: Sequence[Any] = (1, 10),
    overridable: Sequence[str] = (),
) -> onnx.ModelProto:
    """A model of one input ``x`` and one output ``y``; some constants are inputs, too."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(taken))]
    inputs += [
        helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
        for t in constants
        if t.name in overridable
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(made))
    graph = helper.make_graph(list(nodes), "graph", inputs, [output], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def small(*, overridable: Sequence[str] = (), has_names: bool = True) -> onnx.ModelProto:
    """Three convolutions, one of them with batch normalisation, a pool and a dense layer."""
    convs = [constant(f"w{i}", (CHANNELS, 3 if i == 0 else CHANNELS, 3, 3), i) for i in range(3)]
    norm = [np.ones(CHANNELS), np.zeros(CHANNELS), np.zeros(CHANNELS), np.ones(CHANNELS)]
    statistics = [
        numpy_helper.from_array(v.astype(np.float32), f"n{i}") for i, v in enumerate(norm)
    ]
    pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        node("Conv", ["x", "w0"], "a", **pads),
        node("Relu", ["a"], "b"),
        node("Conv", ["b", "w1"], "c", **pads),
        node("BatchNormalization", ["c", "n0", "n1", "n2", "n3"], "d"),
        node("Relu", ["d"], "e"),
        node("Conv", ["e", "w2"], "f", **pads),
        node("Add", ["f", "b"], "g"),
        node("Relu", ["g"], "h"),
        node("GlobalAveragePool", ["h"], "i"),
        node("Flatten", ["i"], "j"),
        node("Gemm", ["j", "dense", "bias"], "y", transB=1),
    ]
    if has_names:
        for i, one in enumerate(nodes):
            one.name = f"{one.op_type}{i}"
    constants = [*convs, *statistics, constant("dense", (10, CHANNELS), 9), constant("bias", (10,))]
    return model_of(nodes, constants, overridable=overridable)
