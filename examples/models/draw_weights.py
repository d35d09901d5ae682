"""Draw new weights for a TFLite float model: python draw_weights.py IN OUT.

The bundled models are architectures with random weights. This script draws them: He-normal for
every convolution and dense layer (seed 0, in file order), so that activations keep their size and
outputs differ from each other, which comparing the outputs of two backends needs. Everything else
in the file stays as it is. Needs the ``tflite`` package.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tflite

SEED = 0
# Position of the weights among the inputs, and the axes that one output element sums over.
SUMMED_AXES = {
    tflite.BuiltinOperator.CONV_2D: (1, 2, 3),
    tflite.BuiltinOperator.DEPTHWISE_CONV_2D: (1, 2),
    tflite.BuiltinOperator.FULLY_CONNECTED: (1,),
}


def main(source: Path, target: Path) -> None:
    """Write ``source`` with new weights to ``target``."""
    data = bytearray(source.read_bytes())
    model = tflite.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    generator = np.random.default_rng(SEED)
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        if code not in SUMMED_AXES:
            continue
        weights = graph.Tensors(operator.Inputs(1))
        shape = weights.ShapeAsNumpy()
        fan_in = int(np.prod([shape[axis] for axis in SUMMED_AXES[code]]))
        buffer = model.Buffers(weights.Buffer()).DataAsNumpy().view(np.float32)
        buffer[:] = generator.normal(scale=np.sqrt(2 / fan_in), size=buffer.size)
    target.write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
