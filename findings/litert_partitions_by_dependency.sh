#!/usr/bin/env bash
# FOUND     Operators that stand apart in the file share one delegate partition when nothing between them depends on both: three TANH
#           with a GATHER between each two, which XNNPACK leaves alone, become one partition where they are side by side, and three
#           where each waits for the one before.
# VERSIONS  ai-edge-litert 2.3.0.
# GUESS     "A partition is a run of operators in the order of the file, so the number of runs is the number of partitions." It is an
#           upper bound: partitions follow dependencies.
# WHO       Whoever counts borders to estimate what a mixed placement costs, or reads a delegate's profile step by step and takes its
#           steps for neighbours in the file.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check ai-edge-litert==2.3.0 2>pip.log || { cat pip.log; exit 1; }

cat > count.py <<'PY'
import flatbuffers
import numpy as np
from ai_edge_litert import interpreter, schema_py_generated as schema

def model(is_chain):
    made, graph = schema.ModelT(), schema.SubGraphT()
    made.version, made.buffers = 3, [schema.BufferT(), schema.BufferT()]
    made.buffers[1].data = np.frombuffer(np.arange(4, dtype=np.int32).tobytes(), np.uint8)
    made.operatorCodes = []
    for code in (schema.BuiltinOperator.TANH, schema.BuiltinOperator.GATHER):
        kind = schema.OperatorCodeT()
        kind.builtinCode = kind.deprecatedBuiltinCode = code
        kind.version = 1
        made.operatorCodes.append(kind)
    graph.tensors, graph.operators = [], []
    def tensor(shape, kind=schema.TensorType.FLOAT32, buffer=0):
        t = schema.TensorT()
        t.shape, t.type, t.buffer, t.name = shape, kind, buffer, f"t{len(graph.tensors)}".encode()
        graph.tensors.append(t)
        return len(graph.tensors) - 1
    numbers = tensor([4], schema.TensorType.INT32, 1)
    def add(code, inputs):
        o = schema.OperatorT()
        o.opcodeIndex, o.inputs, o.outputs = code, inputs, [tensor([4, 8])]
        if code:
            o.builtinOptionsType, o.builtinOptions = schema.BuiltinOptions.GatherOptions, schema.GatherOptionsT()
        graph.operators.append(o)
        return o.outputs[0]
    inputs, outputs, before = [], [], None
    for k in range(3):
        if before is None or not is_chain:
            before = tensor([4, 8])
            inputs.append(before)
        before = add(0, [before])
        if k < 2:
            before = add(1, [before, numbers])
        if not is_chain or k == 2:
            outputs.append(before)
    graph.inputs, graph.outputs = inputs, outputs
    made.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())

found = []
for is_chain in (False, True):
    one = interpreter.Interpreter(model_content=model(is_chain))
    one.allocate_tensors()
    names = [o["op_name"] for o in one._get_ops_details()]
    found.append(names.count("DELEGATE"))
    print("chain" if is_chain else "side by side", names, f"{found[-1]} partitions")
assert found == [1, 3], found
PY
venv/bin/python count.py
