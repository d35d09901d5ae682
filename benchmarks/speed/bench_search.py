"""How long samplers think about an ask, and structured about a graph of thousands of operations.

    python benchmarks/speed/bench_search.py [OPERATIONS] [BACKENDS]
    python benchmarks/speed/bench_search.py peers [OPERATIONS] [BACKENDS]

The second one lets three samplers make a search of 60 trials of one device, by turns.
"""

from __future__ import annotations

import resource
import sys
import time

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.trial import Failure
from pareto_profiler.loop import run_trial
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.simulation.families import Device, Recipe

ASKS = 5
BATCH = 4
BUDGET = 60
PEERS = ("structured", "tpe", "nsga2")


def peers(operations: int, backends: int) -> None:
    """CPU time of asks for one assignment each and of their tells, where some samplers think."""
    device = Device("a device", Recipe("", operations, backends), 0)
    space, runner = device.space, device.runner(Plan(repeats=3, warmups=0))
    samplers = {name: SAMPLERS[name](Problem(space, graph=device.graph)) for name in PEERS}
    asks_s: dict[str, list[float]] = {name: [] for name in PEERS}
    for sampler in samplers.values():
        sampler.tell(run_trial(runner, space.default, 0, "uniform"))
    for number in range(1, BUDGET):
        for name, sampler in samplers.items():
            start = time.process_time()
            asked = sampler.ask(1)
            asks_s[name].append(time.process_time() - start)
            for assignment in asked:
                trial = run_trial(runner, assignment, number, name)
                start = time.process_time()
                sampler.tell(trial)
                asks_s[name][-1] += time.process_time() - start
    for name, mine_s in asks_s.items():
        print(f"{name}: an ask and a tell take {1e3 * sum(mine_s) / len(mine_s):.2f} ms")
    for name in PEERS[1:]:
        ratio = sum(asks_s["structured"]) / sum(asks_s[name])
        print(f"ratio of structured's to {name}'s: {ratio:.1f}")


def main() -> None:
    said = sys.argv[1:]
    if said[:1] == ["peers"]:
        peers(*(*map(int, said[1:]), *(65, 3)[len(said) - 1 :])[:2])
        return
    operations, backends = (*map(int, said), *(5000, 8)[len(said) :])[:2]
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
