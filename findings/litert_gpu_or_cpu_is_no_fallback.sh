#!/usr/bin/env bash
# FOUND     LiteRT's CompiledModel refuses a model for HardwareAccelerator.GPU | HardwareAccelerator.CPU where no GPU can be used: the GPU's
#           accelerator is there without a device (it registers, and fails when the model is compiled), and the CPU beside it does not take over.
# VERSIONS  ai-edge-litert 2.3.0 on Linux x86_64, basic-pitch 0.4.0 (its nmp.tflite).
# GUESS     "GPU | CPU runs on the GPU where there is one, and else on the CPU", as an operation that the GPU's delegate does not take does.
# WHO       Whoever ships one binary to machines with and without a GPU: try GPU | CPU, and compile again for the CPU alone where that fails.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check ai-edge-litert==2.3.0 numpy==2.4.6 2>pip.log || { cat pip.log; exit 1; }
venv/bin/pip download -q --disable-pip-version-check --no-deps basic-pitch==0.4.0 2>pip.log || { cat pip.log; exit 1; }
python3 -m zipfile -e basic_pitch-0.4.0-*.whl model

cat > run.py <<'PY'
import glob

from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator as Hardware

path = glob.glob("model/**/nmp.tflite", recursive=True)[0]


def compiles(hardware):
    try:
        CompiledModel.from_file(path, hardware_accel=hardware)
    except RuntimeError:
        return "refused"
    return "compiled"


found = [compiles(h) for h in (Hardware.CPU, Hardware.GPU | Hardware.CPU)]
print("CPU:", found[0], "| GPU | CPU:", found[1], flush=True)
raise SystemExit(found != ["compiled", "refused"])
PY
# As on a machine without any Vulkan driver.
VK_ICD_FILENAMES=none.json VK_DRIVER_FILES=none.json venv/bin/python run.py 2>/dev/null
