"""Searches of a bench on two workers beside one, of processes here and of Dask; and what each adds.

python benchmarks/speed/bench_cells.py
"""

from __future__ import annotations

import os

# As its workers, which compute several side by side.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import time
from collections.abc import Callable, Sequence

from pareto_profiler.bench import Run
from pareto_profiler.cells import Cell, Cluster, Pool, Workers, compute, digest_of

TABLE = "simulated:chain-20x3:0"
LONG = [Cell(TABLE, "structured", seed, 25) for seed in range(16)]
SHORT = [Cell(TABLE, "random", seed, 4) for seed in range(300)]
POOLS: dict[str, Callable[[int], Pool]] = {
    "processes": Workers,
    "dask local": lambda count: Cluster("local", count),
}


def timed(pool: Pool, cells: Sequence[Cell]) -> tuple[float, list[Run]]:
    """Seconds, and what came of each cell, in their order."""
    began = time.perf_counter()
    done = dict(pool.run(cells))
    seconds = time.perf_counter() - began
    runs = [done[cell] for cell in cells]
    assert all(isinstance(run, Run) for run in runs)
    return seconds, [run for run in runs if isinstance(run, Run)]


def main() -> None:
    """Print a line for each kind of pool."""
    digest = digest_of(TABLE)
    expected = [compute(cell, digest) for cell in LONG]
    began = time.perf_counter()
    for cell in SHORT:
        compute(cell, digest)
    alone_s = time.perf_counter() - began
    print("workers     cells a minute: of one, of two  ratio  beyond the cell's own work")
    for name, make in POOLS.items():
        seconds = {}
        for count in (1, 2):
            pool = make(count)
            try:
                timed(pool, LONG[:count])  # they start, and import
                seconds[count], runs = timed(pool, LONG)
                assert [r.assignments for r in runs] == [r.assignments for r in expected]
                short_s, _ = timed(pool, SHORT)
            finally:
                pool.close()
            if count == 1:
                added_ms = 1e3 * (short_s - alone_s) / len(SHORT)
        rates = [60 * len(LONG) / seconds[count] for count in (1, 2)]
        ratio = seconds[1] / seconds[2]
        print(f"{name:11} {rates[0]:23.0f} {rates[1]:7.0f} {ratio:6.2f} {added_ms:17.1f} ms")


if __name__ == "__main__":
    main()
