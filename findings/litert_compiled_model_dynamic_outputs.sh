#!/usr/bin/env bash
# FOUND     LiteRT's CompiledModel says that a run succeeded and leaves the output buffers as they were, where the sizes of outputs are
#           computed while the model runs (batch size left free, SHAPE -> STRIDED_SLICE -> PACK -> RESHAPE). The Interpreter of the same
#           wheel computes them.
# VERSIONS  ai-edge-litert 2.3.0, basic-pitch 0.4.0 (its nmp.tflite).
# GUESS     "run_by_index raises where it cannot run", and "a free size that the file fills with 1 is 1".
# WHO       Whoever moves from Interpreter to CompiledModel: no error, and outputs of zeros or of what was in the buffer before. Fix the sizes in
#           the file first, so that nothing is left to compute them from.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check ai-edge-litert==2.3.0 numpy==2.4.6 2>pip.log || { cat pip.log; exit 1; }
venv/bin/pip download -q --disable-pip-version-check --no-deps basic-pitch==0.4.0 2>pip.log || { cat pip.log; exit 1; }
python3 -m zipfile -e basic_pitch-0.4.0-*.whl model

cat > run.py <<'PY'
import glob
import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter

path = glob.glob("model/**/nmp.tflite", recursive=True)[0]
sound = np.random.default_rng(0).random((1, 43844, 1)).astype(np.float32)
interpreter = Interpreter(path)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sound)
interpreter.invoke()
outputs = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
model = CompiledModel.from_file(path)
inputs, buffers = model.create_input_buffers(0), model.create_output_buffers(0)
inputs[0].write(sound)
for buffer in buffers:
    buffer.write(np.full(15136, 7, np.float32))
model.run_by_index(0, inputs, buffers)
print("interpreter:", *(f"{o.size} numbers from {o.min():.3f} to {o.max():.3f}" for o in outputs), sep=" | ")
untouched = [bool((b.read(15136, np.float32) == 7).all()) for b in buffers]
print("compiled model: no error; buffers that still hold what was in them before:", sum(untouched), "of", len(buffers))
raise SystemExit(sum(untouched) == 0)
PY
venv/bin/python run.py 2>/dev/null
