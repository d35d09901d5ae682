"""Whether one search over two runtimes ends where two searches of half its budget each do.

    python benchmarks/quality/joint.py [MODEL] [ROUNDS]

Both ways are taken by turns, each round with another seed. It prints the hypervolume of the joint
front of each, in one box, and how far each falls short of the front of everything that was seen.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev

from pareto_profiler.core.recording import Recording
from pareto_profiler.report.joint import Joint
from pareto_profiler.storage.journal import read
from pareto_profiler.storage.opening import open_runs

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mobilenet_v2_035_96.tflite"
RUNTIMES = ("litert", "onert")
BUDGET = 60


def search(model: Path, runtime: str, budget: int, seed: int, output: Path) -> None:
    """Run the command."""
    command = [sys.executable, "-m", "pareto_profiler", "search", str(model)]
    options = ["--runtime", runtime, "--granularity", "operation", "--budget", str(budget)]
    objectives = ["--objectives", "exec_time,model_rss", "--seed", str(seed)]
    where = ["--output", str(output)]
    subprocess.run([*command, *options, *objectives, *where], check=True, capture_output=True)


def both_ways(model: Path, seed: int, folder: Path) -> dict[str, dict[str, Recording]]:
    """One round."""
    search(model, ",".join(RUNTIMES), BUDGET, seed, folder / "together")
    for runtime in RUNTIMES:
        search(model, runtime, BUDGET // 2, seed, folder / "apart" / runtime)
    apart = {runtime: read(folder / "apart" / runtime) for runtime in RUNTIMES}
    return {"together": dict(open_runs(folder / "together")), "apart": apart}


def volume(recordings: Mapping[str, Recording], reference: tuple[float, ...]) -> float:
    """Of the joint front, in a box."""
    return Joint.of(recordings, reference=reference).hypervolume


def main() -> None:
    """Take both ways by turns."""
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    ratios = []
    reference: tuple[float, ...] = ()
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            ways = both_ways(model, seed, Path(folder))
        reference = reference or Joint.of(ways["apart"]).reference
        volumes = {name: volume(recordings, reference) for name, recordings in ways.items()}
        ratios.append(volumes["together"] / volumes["apart"])
        spent = {name: len(r.trials) for name, r in ways["together"].items()}
        print(
            f"round {seed}: together {volumes['together']:.4f} ({spent}), apart "
            f"{volumes['apart']:.4f}: {ratios[-1]:.3f}",
            flush=True,
        )
    spread = stdev(ratios) if len(ratios) > 1 else 0.0
    print(f"{model.stem}, {BUDGET} trials: together over apart {mean(ratios):.3f} ± {spread:.3f}")


if __name__ == "__main__":
    main()
