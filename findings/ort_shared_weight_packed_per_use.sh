#!/usr/bin/env bash
# FOUND     ONNX Runtime packs a weight once for each node that takes it: a 16 MB matrix that four MatMuls share costs 64 MB of anonymous
#           memory, as much again for each further use. Sharing saves disk, not memory.
# VERSIONS  onnxruntime 1.32.0, onnx 1.23.2.
# GUESS     "One initializer, one packed copy": tied weights (an embedding and its output layer, a block that is applied again and again)
#           are shared to save memory.
# WHO       Whoever ties weights for a small device, or estimates a session's memory from the size of the file.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 2>pip.log || { cat pip.log; exit 1; }

cat > session.py <<'PY'
import sys
import numpy as np
import onnxruntime

def anonymous_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
before = anonymous_mb()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, {"x": np.ones((1, 2048), np.float32)})
print(anonymous_mb() - before)
PY
cat > compare.py <<'PY'
import subprocess, sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

weights = numpy_helper.from_array(np.random.default_rng(0).random((2048, 2048), np.float32), "w")
found = {}
for uses in (1, 2, 4):
    names = ["x", *(f"t{i}" for i in range(1, uses)), "y"]
    nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in zip(names, names[1:])]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2048]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "m.onnx")
    done = subprocess.run([sys.executable, "session.py", "m.onnx"], check=True, capture_output=True, text=True)
    found[uses] = float(done.stdout)
    print(f"used {uses} times: {found[uses]:6.1f} MB")
per_use = (found[4] - found[1]) / 3
print(f"each further use: {per_use:.1f} MB, the matrix has 16.0")
assert 14 < per_use < 18, found
PY
venv/bin/python compare.py
