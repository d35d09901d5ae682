#!/usr/bin/env bash
# FOUND     Packing, which ONNX Runtime does to every constant weight of a MatMul, gains nothing for an input of one row, and costs a second copy in
#           memory that cannot be dropped: 97 MB for six matrices of 16 MB. The same weights listed among the graph's inputs, with their
#           values as defaults, stay pages of the file: 1.4 MB, and just as fast.
# VERSIONS  onnxruntime 1.32.0, onnx 1.23.2, x86_64.
# GUESS     "Packing weights ahead trades memory for time": what it costs in memory it pays back in speed.
# WHO       Whoever runs fully connected layers, recommenders or a language model's decoding at batch 1 on a CPU.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 2>pip.log || { cat pip.log; exit 1; }

cat > session.py <<'PY'
import sys, time
import numpy as np
import onnxruntime

def anonymous_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 3
before = anonymous_mb()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
feed = {"x": np.ones((1, 2048), np.float32)}
taken = []
for _ in range(60):
    start = time.process_time()
    session.run(None, feed)
    taken.append(1e3 * (time.process_time() - start))
print(sorted(taken)[len(taken) // 4], anonymous_mb() - before)
PY
cat > compare.py <<'PY'
import subprocess, sys
from statistics import median
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS = 6
random = np.random.default_rng(0)
weights = [numpy_helper.from_array(random.standard_normal((2048, 2048), np.float32) / 45, f"w{i}") for i in range(LAYERS)]
names = ["x", *(f"t{i}" for i in range(1, LAYERS)), "y"]
nodes = [helper.make_node("MatMul", [a, f"w{i}"], [b]) for i, (a, b) in enumerate(zip(names, names[1:]))]
ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2048]) for n in ("x", "y")]
listed = [helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in weights]
for name, inputs in (("packed", ends[:1]), ("plain", ends[:1] + listed)):
    graph = helper.make_graph(nodes, "g", inputs, ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{name}.onnx", save_as_external_data=True, location=f"{name}.bin")
found = {"packed": [], "plain": []}
for _ in range(8):
    for name, rows in found.items():
        done = subprocess.run([sys.executable, "session.py", f"{name}.onnx"], check=True, capture_output=True, text=True)
        rows.append(tuple(map(float, done.stdout.split())))
ms, mb = ({name: median(row[i] for row in rows) for name, rows in found.items()} for i in (0, 1))
for name in found:
    print(f"{name:6} {ms[name]:6.2f} ms of CPU, {mb[name]:6.1f} MB anonymous")
print(f"packed takes {ms['packed'] / ms['plain']:.2f} of the time")
assert ms["plain"] < 1.05 * ms["packed"], ms
assert mb["packed"] > 90 and mb["plain"] < 10, mb
PY
venv/bin/python compare.py
