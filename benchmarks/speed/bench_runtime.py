"""Drivers beside the wheels: python benchmarks/speed/bench_runtime.py [MODEL [RUNTIME]].

One process of our C driver and one of the wheel's own Python call by turns, both with the runtime's
usual kernels on one thread: equal outputs, then time and peak memory; and the host's time for a
measurement, beyond what the measured process itself spent: on what was asked for, and on opening
its library and ending.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from bench_overhead import own_time

from pareto_profiler.jobs import Choices, prepare

ROUNDS = 15
PLAN = {"repeats": 20, "warmups": 5}

# What opens a model, and gives a call for an inference and one for its output.
OPENING = {
    "litert": """
from ai_edge_litert.interpreter import Interpreter
one = Interpreter(model, num_threads=1)
one.allocate_tensors()
one.set_tensor(one.get_input_details()[0]["index"], np.load(inputs))
infer = one.invoke
result = lambda: one.get_tensor(one.get_output_details()[0]["index"])
""",
    "onnxruntime": """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
one = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feeds = {one.get_inputs()[0].name: np.load(inputs)}
infer = result = lambda: one.run(None, feeds)[0]
""",
    "ncnn": """
import ncnn
one = ncnn.Net()
one.opt.num_threads = 1
one.load_param(model)
one.load_model(model.removesuffix("param") + "bin")
array = np.load(inputs)  # which the tensor does not keep
tensor = ncnn.Mat(array)
def infer():
    extractor = one.create_extractor()
    extractor.input(one.input_names()[0], tensor)
    return extractor.extract(one.output_names()[0])[1]
result = lambda: np.array(infer())
""",
}
PYTHON_CHILD = """
import json, sys, time
import numpy as np
model, inputs, output, warmups, runs = sys.argv[1:]
OPENING
taken = []
for _ in range(int(warmups) + int(runs)):
    start = time.perf_counter()
    infer()
    taken.append(time.perf_counter() - start)
np.save(output, result())
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps([sorted(taken[int(warmups):])[int(runs) // 2], 1024 * peak]))
"""


def children_s() -> float:
    """Processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(model: Path, runtime: str, folder: Path) -> None:
    """Measure by turns, check equal outputs, print ratios."""
    job = prepare(Choices(model=model, runtime=runtime, plan=PLAN))
    child = PYTHON_CHILD.replace("OPENING", OPENING[runtime])
    engine, baseline = job.engine(folder), job.header.space.default
    np.save(folder / "input.npy", job.inputs[0])
    python = [sys.executable, "-c", child, str(job.model.file), str(folder / "input.npy")]
    python += [str(folder / "output.npy"), str(PLAN["warmups"]), str(PLAN["repeats"])]
    ours, theirs, hosts, openings = [], [], [], []
    for turn in range(ROUNDS):
        start, children = time.perf_counter(), children_s()
        measured = engine.run(baseline)
        wall, child_s = time.perf_counter() - start, children_s() - children
        if turn:  # the first tries a second input, too
            hosts.append(wall - child_s)
            openings.append(child_s - own_time(measured))
        ours.append((median(measured.samples["exec_time"]), measured.samples["max_rss"][0]))
        done = subprocess.run(python, capture_output=True, text=True, check=True)
        theirs.append(tuple(json.loads(done.stdout.splitlines()[-1])))
    reference = np.fromfile(next(folder.glob(".*/reference.0")), np.float32)
    other = np.load(folder / "output.npy").ravel()
    assert np.abs(reference - other).max() <= 1e-5 * max(1.0, np.ptp(other)), "other outputs"
    engine.close()
    print(
        f"{model.name} on {runtime}, {PLAN['repeats']} runs after {PLAN['warmups']} warm-ups, "
        f"{ROUNDS} rounds"
    )
    for i, (name, unit, scale) in enumerate((("exec_time", "ms", 1e3), ("max_rss", "MiB", 2**-20))):
        own, other = (median(f[i] for f in figures) for figures in (ours, theirs))
        ratio = median(a[i] / b[i] for a, b in zip(ours, theirs, strict=True))
        print(f"  {name:9} driver {scale * own:8.3f} {unit}, Python {scale * other:8.3f} {unit}")
        print(f"  {'':9} ratio {ratio:.3f}")
    print(
        f"  host beyond the process: {1e3 * median(hosts):.1f} ms for a measurement; the process "
        f"beyond what was asked for: {1e3 * median(openings):.1f} ms"
    )


if __name__ == "__main__":
    bundled = Path(__file__).parents[2] / "examples" / "models" / "mobilenet_v2_035_96.tflite"
    with tempfile.TemporaryDirectory() as temporary:
        named = Path(sys.argv[1]) if len(sys.argv) > 1 else bundled
        main(named, sys.argv[2] if len(sys.argv) > 2 else "litert", Path(temporary))
