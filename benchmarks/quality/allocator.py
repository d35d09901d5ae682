"""What does glibc's mmap threshold, held at its first value, do to time and peak memory on onert?

The same assignments with and without it, in turns, on this machine: medians of five processes each,
and the ratio of both. Run it with models as arguments, or on the bundled ones.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

from pareto_profiler.core.measurement import OBJECTIVES
from pareto_profiler.core.ports import Runner
from pareto_profiler.core.space import Assignment, Granularity
from pareto_profiler.errors import RunError
from pareto_profiler.jobs import Choices, prepare
from pareto_profiler.shells.base import Completed

THRESHOLD: Final = {"MALLOC_MMAP_THRESHOLD_": "131072"}
ASSIGNMENTS: Final = 12
PROCESSES: Final = 5
MODELS: Final = Path(__file__).parents[2] / "examples" / "models"


def figures(runner: Runner, assignment: Assignment) -> tuple[float, float]:
    """Milliseconds and KiB of one process."""
    measured = runner.run(assignment, is_repeat=True)
    time, memory = (OBJECTIVES[name] for name in ("exec_time", "max_rss"))
    return time.shown(measured.value(time)), memory.shown(measured.value(memory))


def compare(model: Path, folder: Path) -> None:
    """Print a line for each assignment that computes what the baseline does."""
    plan = {"repeats": 20, "warmups": 3}
    job = prepare(Choices(model, granularity=Granularity.NAME, vary=("memory_planner",), plan=plan))
    shell, start = job.shell, job.shell.run
    held: dict[str, str] = {}

    def run(
        command: Sequence[str], *, environment: Mapping[str, str], time_limit_s: float
    ) -> Completed:
        return start(command, environment={**environment, **held}, time_limit_s=time_limit_s)

    shell.run = run  # type: ignore[method-assign]
    runner = job.engine(folder)
    try:
        for assignment in islice(job.header.space, ASSIGNMENTS):
            rows: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
            try:
                for _ in range(PROCESSES):
                    for is_held, row in rows.items():
                        held.clear()
                        held.update(THRESHOLD if is_held else {})
                        row.append(figures(runner, assignment))
            except RunError:
                continue
            (ms, kib), (held_ms, held_kib) = (
                [median(column) for column in zip(*rows[is_held], strict=True)]
                for is_held in (False, True)
            )
            name = f"{model.stem} {job.header.space.id_of(assignment)}"
            print(
                f"{name:32s} {ms:9.3f} → {held_ms:9.3f} ms ({held_ms / ms:5.2f})  "
                f"{kib:8.0f} → {held_kib:8.0f} KiB ({held_kib / kib:6.3f})"
            )
    finally:
        runner.close()
        shell.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
        for named in sys.argv[1:] or sorted(map(str, MODELS.glob("*.tflite"))):
            compare(Path(named), Path(here))
