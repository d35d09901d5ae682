"""Cut a final Softmax off a TFLite model: python cut_softmax.py IN OUT.

Behind a Softmax of random weights all outputs are nearly equal, which hides the errors that a
comparison of outputs is to find; the values before it, the logits, show them. The last operator is
taken out of the graph and its input becomes the model's output, in signatures as well; nothing else
in the file changes.
Needs the ``tflite`` package.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import tflite

# Positions of a subgraph's fields in the schema's virtual table.
OUTPUTS, OPERATORS = 8, 10
# And of a signature's tensor.
TENSOR_INDEX = 6


def main(source: Path, target: Path) -> None:
    """Write ``source`` without its last operator to ``target``."""
    data = bytearray(source.read_bytes())
    model = tflite.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    last = graph.Operators(graph.OperatorsLength() - 1)
    code = model.OperatorCodes(last.OpcodeIndex()).BuiltinCode()
    if code != tflite.BuiltinOperator.SOFTMAX or list(graph.OutputsAsNumpy()) != [last.Outputs(0)]:
        sys.exit(f"{source}: its last operator is no Softmax that makes the only output")
    table = graph._tab  # noqa: SLF001 - where in the file the vectors are
    outputs, operators = (table.Vector(table.Offset(field)) for field in (OUTPUTS, OPERATORS))
    struct.pack_into("<i", data, outputs, last.Inputs(0))
    struct.pack_into("<I", data, operators - 4, graph.OperatorsLength() - 1)
    for signature in map(model.SignatureDefs, range(model.SignatureDefsLength())):
        for named in map(signature.Outputs, range(signature.OutputsLength())):
            entry = named._tab  # noqa: SLF001 - the same
            if named.TensorIndex() == last.Outputs(0):
                place = entry.Pos + entry.Offset(TENSOR_INDEX)
                struct.pack_into("<I", data, place, last.Inputs(0))
    target.write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
