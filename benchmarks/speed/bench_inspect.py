"""Speed of inspect: python benchmarks/speed/bench_inspect.py [MODEL] [PYTHON_WITH_TENSORFLOW].

Wall time of `pareto-profiler inspect` as a user sees it, and of importing the package. With an
interpreter that has TensorFlow, side by side with what the original does for its operation list:
import TensorFlow, build an interpreter, ask it for the operations.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

ROUNDS = 7
LONG = 5_000
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]

ORIGINAL = """
import collections, json, sys
import tensorflow as tf
resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
interpreter = tf.lite.Interpreter(model_path=sys.argv[1], experimental_op_resolver_type=resolver)
interpreter.allocate_tensors()
names = [o["op_name"] for o in interpreter._get_ops_details()]
print(json.dumps(collections.Counter(names)))
"""


def wall(command: list[str], rounds: int = ROUNDS) -> tuple[float, str]:
    """Median wall time of a command in seconds, and what it printed last."""
    times, text = [], ""
    for _ in range(rounds):
        start = time.perf_counter()
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        times.append(time.perf_counter() - start)
    return median(times), text


def main(model: Path, tensorflow_python: str | None) -> None:
    """Print the times, and the ratio where TensorFlow is there."""
    inspect = [str(BIN / "pareto-profiler"), "inspect", "--json"]
    importing, _ = wall([sys.executable, "-c", "import pareto_profiler"])
    starting, _ = wall([sys.executable, "-c", "pass"])
    print(f"import pareto_profiler: {(importing - starting) * 1e3:.0f} ms")
    ours, text = wall([*inspect, str(model)])
    operations = json.loads(text)["operations"]
    print(f"inspect {model.name} ({len(operations)} operations): {ours:.2f} s")
    sys.path.insert(0, str(ROOT / "tests"))
    from build_model import build, chain

    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "long.tflite"
        long.write_bytes(build(chain(LONG)))
        seconds, _ = wall([*inspect[:2], str(long)])
        print(f"inspect a chain of {LONG} operations: {seconds:.2f} s")
    if tensorflow_python:
        theirs, text = wall([tensorflow_python, "-c", ORIGINAL, str(model)], rounds=3)
        assert json.loads(text.splitlines()[-1]) == Counter(o["builtin"] for o in operations)
        print(f"TensorFlow's interpreter: {theirs:.2f} s, ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    bundled = ROOT / "examples" / "models" / "mobilenet_v2_035_96.tflite"
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else bundled,
        sys.argv[2] if len(sys.argv) > 2 else None,
    )
