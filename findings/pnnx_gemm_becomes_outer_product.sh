#!/usr/bin/env bash
# FOUND     A dense layer written as ONNX's Gemm without a bias and without transB, behind a pool and Flatten, becomes a matrix product in
#           ncnn that takes the row of 16 numbers for a column: the net has 160 outputs, where the model has 10. The same layer as a MatMul, or as
#           a Gemm with transB = 1, becomes an inner product with 10 outputs.
# VERSIONS  pnnx 20261020, ncnn 1.0.20261020, onnx 1.23.2.
# GUESS     "pnnx either converts a model or says that it cannot; what loads and runs computes the same." All exit statuses are 0.
# WHO       Whoever converts models whose classifier was exported as x @ W, and compares no outputs.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check ncnn==1.0.20261020 onnx==1.23.2 2>pip.log || { cat pip.log; exit 1; }
venv/bin/pip install -q --disable-pip-version-check --no-deps pnnx==20261020 2>pip.log || { cat pip.log; exit 1; }

cat > convert.py <<'PY'
import importlib.util, subprocess
from pathlib import Path
import ncnn
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PNNX = Path(next(iter(importlib.util.find_spec("pnnx").submodule_search_locations))) / "pnnx"
random = np.random.default_rng(0)
conv, dense = (random.standard_normal(s).astype(np.float32) for s in ((16, 3, 3, 3), (16, 10)))

def outputs(kind, weights, **attributes):
    nodes = [
        helper.make_node("Conv", ["x", "c"], ["a"], kernel_shape=[3, 3]),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["d"]),
        helper.make_node(kind, ["d", "w"], ["y"], **attributes),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 3, 8, 8]), ("y", [1, 10]))]
    constants = [numpy_helper.from_array(conv, "c"), numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "m.onnx")
    subprocess.run([PNNX, "m.onnx", "inputshape=[1,3,8,8]f32", "fp16=0"], check=True, capture_output=True)
    net = ncnn.Net()
    assert net.load_param("m.ncnn.param") == 0 and net.load_model("m.ncnn.bin") == 0
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(np.ones((3, 8, 8), np.float32)))
    status, made = extractor.extract("out0")
    assert status == 0
    return np.array(made).size, Path("m.ncnn.param").read_text().splitlines()[-1].split()[0]

found = {
    "Gemm": outputs("Gemm", dense),
    "Gemm, transB = 1": outputs("Gemm", np.ascontiguousarray(dense.T), transB=1),
    "MatMul": outputs("MatMul", dense),
}
for way, (size, layer) in found.items():
    print(f"{way:17} -> {layer:12} with {size} outputs")
assert [size for size, _ in found.values()] == [160, 10, 10], found
PY
venv/bin/python convert.py
