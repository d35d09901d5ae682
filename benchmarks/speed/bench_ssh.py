"""Host time per measurement over ssh: python benchmarks/speed/bench_ssh.py [MODEL].

The device is this machine behind a loopback sshd of its own, the connection is up. What passes
beyond the process's own load, prepare, first run, warm-ups and runs, side by side with the same
measurement without ssh.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from statistics import median

from bench_overhead import own_time

from pareto_profiler import DecisionSpace, Granularity, Plan, runtime
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.runners.inputs import random_inputs
from pareto_profiler.runtimes.base import Engine, Where
from pareto_profiler.runtimes.onert.engine import wheel_library
from pareto_profiler.shells.base import Shell
from pareto_profiler.shells.local import LocalShell
from pareto_profiler.shells.ssh import SshShell

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from devices import Sshd  # noqa: E402 - it lies with the tests

ROUNDS = 25
PLAN = Plan(repeats=10, warmups=3)


def main(model: Path, folder: Path) -> None:
    """Measure by turns, check equal outputs, print the overheads and their ratio."""
    server = Sshd(folder)
    read = runtime().read(model)
    space = DecisionSpace.of(read.graph, ("cpu",), Granularity.NAME)

    def runner_on(shell: Shell, name: str) -> Engine:
        work = PurePosixPath(folder / name)
        where = Where(name, is_local=False, work=work, given={"library": str(wheel_library())})
        inputs = random_inputs(read.graph, 0)
        return runtime().find(shell, where).start(work / "run", space, PLAN, read, inputs)

    def timed(measure: Callable[[], Measurement]) -> tuple[float, float]:
        start = time.perf_counter()
        measurement = measure()
        own = own_time(measurement)
        return time.perf_counter() - start - own, own

    shell = SshShell("here", server.config())
    runners = {"local": runner_on(LocalShell(), "local"), "ssh": runner_on(shell, "ssh")}
    outputs = {name: runner.run(space.default) for name, runner in runners.items()}
    digests = {(folder / name / "run" / "reference.0").read_bytes() for name in outputs}
    assert len(digests) == 1, "the outputs differ"
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, runner in runners.items():
            taken[name].append(timed(lambda r=runner: r.run(space.default)))  # type: ignore[misc]
    for runner in runners.values():
        runner.close()
    shell.close()
    server.stop()
    print(f"{model.name}: {ROUNDS} measurements each, medians")
    for name, figures in taken.items():
        beyond, own = (median(values) for values in zip(*figures, strict=True))
        print(f"  {name:6} {1e3 * beyond:6.1f} ms beyond the {1e3 * own:.1f} ms of the process")
    ratio = median(b for b, _ in taken["ssh"]) / median(b for b, _ in taken["local"])
    print(f"  ratio  {ratio:6.1f}")


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else "mobilenet_v2_035_96.tflite"
    file = Path(chosen) if Path(chosen).is_file() else ROOT / "examples" / "models" / chosen
    with tempfile.TemporaryDirectory() as scratch:
        main(file, Path(scratch))
