"""Draw ResNet-18 or MobileNetV2 with random weights as .onnx: python draw_onnx.py NAME OUT.

NAME is ``resnet18`` (He et al. 2016; 47 MB) or ``mobilenet_v2`` (Sandler et al. 2018; 14 MB), for
images of 224 × 224, batch normalisation folded. Weights are He-normal with seed 0, so that
activations keep their size and outputs differ from each other, which comparing outputs needs.
Needs the ``onnx`` package.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 224
CLASSES = 1000
OPSET = 17
IR_VERSION = 9
# Expansion, channels, repeats, first stride of each stage.
MOBILENET_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Drawing:
    """A graph that grows operation by operation."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        """A tensor of these values."""
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def operation(self, kind: str, inputs: list[str], **attributes: object) -> str:
        """An operation on tensors; the name of what it makes."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        made = f"{name}_out"
        self.nodes.append(helper.make_node(kind, inputs, [made], name=name, **attributes))
        return made

    def convolution(self, x: str, shape: tuple[int, int, int], *, size: int, **how: int) -> str:
        """A convolution with a bias: channels taken, channels made, groups; width of its window."""
        taken, made, groups = shape
        name = f"conv_{len(self.nodes)}"
        spread = np.sqrt(2 / (size * size * taken // groups))
        weights = self.random.standard_normal((made, taken // groups, size, size)) * spread
        stride = how.get("stride", 1)
        return self.operation(
            "Conv",
            [
                x,
                self.constant(f"{name}_weights", weights),
                self.constant(f"{name}_bias", np.zeros(made)),
            ],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
            group=groups,
        )

    def head(self, x: str, channels: int) -> str:
        """Averages, and a dense layer."""
        x = self.operation("Flatten", [self.operation("GlobalAveragePool", [x])])
        weights = self.random.standard_normal((CLASSES, channels)) / np.sqrt(channels)
        named = [
            self.constant("dense_weights", weights),
            self.constant("dense_bias", np.zeros(CLASSES)),
        ]
        return self.operation("Gemm", [x, *named], transB=1)

    def write(self, made: str, file: Path) -> None:
        """As a file that the format's checker takes."""
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
            [helper.make_tensor_value_info(made, TensorProto.FLOAT, [1, CLASSES])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(file))


def resnet18(drawing: Drawing) -> str:
    """Its last tensor."""
    x = drawing.operation("Relu", [drawing.convolution("image", (3, 64, 1), size=7, stride=2)])
    x = drawing.operation("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for wide, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for step in (stride, 1):
            y = drawing.convolution(x, (channels, wide, 1), size=3, stride=step)
            y = drawing.convolution(drawing.operation("Relu", [y]), (wide, wide, 1), size=3)
            if step > 1 or channels != wide:
                x = drawing.convolution(x, (channels, wide, 1), size=1, stride=step)
            x = drawing.operation("Relu", [drawing.operation("Add", [y, x])])
            channels = wide
    return drawing.head(x, channels)


def mobilenet_v2(drawing: Drawing) -> str:
    """Its last tensor."""
    limits = [drawing.constant("zero", np.array(0)), drawing.constant("six", np.array(6))]

    def limited(x: str) -> str:
        return drawing.operation("Clip", [x, *limits])

    x = limited(drawing.convolution("image", (3, 32, 1), size=3, stride=2))
    channels = 32
    for expansion, wide, repeats, first in MOBILENET_STAGES:
        for repeat in range(repeats):
            step, inner, y = (1 if repeat else first), channels * expansion, x
            if expansion > 1:
                y = limited(drawing.convolution(y, (channels, inner, 1), size=1))
            y = limited(drawing.convolution(y, (inner, inner, inner), size=3, stride=step))
            y = drawing.convolution(y, (inner, wide, 1), size=1)
            x = drawing.operation("Add", [x, y]) if step == 1 and channels == wide else y
            channels = wide
    return drawing.head(limited(drawing.convolution(x, (channels, 1280, 1), size=1)), 1280)


ARCHITECTURES = {"resnet18": resnet18, "mobilenet_v2": mobilenet_v2}


def draw(name: str, file: Path) -> None:
    """Write an architecture to a file."""
    drawing = Drawing()
    drawing.write(ARCHITECTURES[name](drawing), file)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ARCHITECTURES:
        sys.exit(f"usage: python draw_onnx.py {'|'.join(ARCHITECTURES)} OUT")
    draw(sys.argv[1], Path(sys.argv[2]))
