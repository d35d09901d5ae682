"""How long structured thinks about a graph of thousands of operations, and in how much memory.

python benchmarks/speed/bench_search.py [OPERATIONS] [BACKENDS]
"""

from __future__ import annotations

import resource
import sys
import time

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.trial import Failure
from pareto_profiler.loop import run_trial
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.simulation.families import Device, Recipe

ASKS = 5
BATCH = 4


def main() -> None:
    operations, backends = (*map(int, sys.argv[1:]), *(5000, 8)[len(sys.argv) - 1 :])[:2]
    device = Device("a device", Recipe("", operations, backends, crashes=100), 0)
    space = device.space
    runner = device.runner(Plan(repeats=3, warmups=0))
    sampler = StructuredSampler(Problem(space, graph=device.graph))
    number = 0
    for assignment in (space.default, *filter(space.is_feasible, space.uniforms())):
        sampler.tell(run_trial(runner, assignment, number, "uniform"))
        number += 1
    for assignment in sampler.profiles():
        sampler.tell(run_trial(runner, assignment, number, "profile"))
        number += 1
    print(
        f"{operations} operations on {backends} backends, ids of {len(str(space.id_limit))} digits"
    )
    asks, tells, failed = [], [], 0
    for _ in range(ASKS):
        start = time.perf_counter()
        asked = sampler.ask(BATCH)
        asks.append(time.perf_counter() - start)
        for assignment in asked:
            assert space.assignment_of(space.id_of(assignment)) == assignment
            trial = run_trial(runner, assignment, number, "structured")
            failed += isinstance(trial.outcome, Failure)
            number += 1
            start = time.perf_counter()
            sampler.tell(trial)
            tells.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"of {len(tells)} asked for {failed} failed")
    print(f"ask for {BATCH}: {min(asks):.2f} to {max(asks):.2f} s")
    print(f"tell: {1e3 * max(tells):.2f} ms at most")
    print(f"peak memory of the process: {peak:.2f} GB")
    print(f"ratio of an ask to a tell: {min(asks) / max(tells):.0f}")


if __name__ == "__main__":
    sys.set_int_max_str_digits(0)
    main()
