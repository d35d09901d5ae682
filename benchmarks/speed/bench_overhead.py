"""Host time per measurement: python benchmarks/speed/bench_overhead.py [MODEL].

For each assignment measured, what passes beyond the child's own load, prepare, first run, warm-ups
and runs; side by side with a fresh Python process that uses the onert wheel's own API.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from pareto_profiler import DecisionSpace, Granularity, Plan, load
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.jobs import Choices, prepare

ROUNDS = 15
PLAN = Plan(repeats=10, warmups=3)
CHILD_STEPS = ("load_time", "prepare_time", "first_run_time")

PYTHON_CHILD = """
import json, sys, time
model, inputs, warmups, runs, output = sys.argv[1:]
import numpy as np, onert.infer
x = np.load(inputs)
start = time.perf_counter()
session = onert.infer.session(model, backends="cpu")
(result,) = session.infer([x])
times = [time.perf_counter() - start]
for _ in range(int(warmups) + int(runs)):
    start = time.perf_counter()
    session.infer([x])
    times.append(time.perf_counter() - start)
np.save(output, result)
print(json.dumps(sum(times)))
"""


def own_time(measurement: Measurement) -> float:
    """Seconds that the measured process spent on what was asked for."""
    return sum(
        sum(values)
        for name, values in (*measurement.samples.items(), *measurement.warmups.items())
        if name in {*CHILD_STEPS, "exec_time"}
    )


def main(model: Path, folder: Path) -> None:
    """Measure by turns, check equal outputs, print the overheads and their ratio."""
    job = prepare(
        Choices(
            model=model, backends=("cpu",), plan={"repeats": PLAN.repeats, "warmups": PLAN.warmups}
        )
    )
    runner = job.engine(folder)
    space = DecisionSpace.of(load(model).graph, ("cpu",), Granularity.NAME)
    np.save(folder / "input.npy", job.inputs[0])
    python = [sys.executable, "-c", PYTHON_CHILD, str(model), str(folder / "input.npy")]
    python += [str(PLAN.warmups), str(PLAN.repeats), str(folder / "output.npy")]
    ours, theirs, children = [], [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        measurement = runner.run(space.default)
        wall = time.perf_counter() - start
        children.append(own_time(measurement))
        ours.append(wall - children[-1])
        start = time.perf_counter()
        done = subprocess.run(
            python, env={"NUM_THREADS": "1"}, capture_output=True, text=True, check=True
        )
        theirs.append(time.perf_counter() - start - float(done.stdout.splitlines()[-1]))
    reference = np.fromfile(next(folder.glob(".*/reference.0")), np.float32)
    assert np.array_equal(reference, np.load(folder / "output.npy").ravel())
    runner.close()
    own, python_own, child = median(ours), median(theirs), median(children)
    print(f"{model.name}, {PLAN.repeats} runs after {PLAN.warmups} warm-ups, {ROUNDS} rounds")
    print(f"measured process: {child * 1e3:.1f} ms")
    print(f"host, probe:      {own * 1e3:.1f} ms ({own / child:.1%})")
    print(f"host, Python API: {python_own * 1e3:.1f} ms ({python_own / child:.1%})")
    print(f"ratio: {python_own / own:.1f}")


if __name__ == "__main__":
    bundled = Path(__file__).parents[2] / "examples" / "models" / "mobilenet_v2_035_96.tflite"
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else bundled, Path(temporary))
