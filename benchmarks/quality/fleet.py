"""Several boards of a kind: how soon they are there, how even their verdicts are, what they cost.

python benchmarks/quality/fleet.py evaluations [SEEDS]   to 95 %, by 1 to 16 simulated boards
python benchmarks/quality/fleet.py verdicts [PAIRS]      of pairs of searches, boards 3 % apart,
                                                         each lost once and one for good
python benchmarks/quality/fleet.py throughput [TRIALS]   of boards that take 0.5 s, so many each
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from pareto_profiler.bench import Run, curve_of, reported_front, scale_of, subject_of
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.membership import Verdict
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Runner
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.rules import ONE_SHOT, Rules
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Placement, Profile
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.fleet import Fleet, TimedRunner, VirtualFleet, search_on_boards
from pareto_profiler.loop import Budget, MemoryJournal
from pareto_profiler.report.summary import Summary
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.samplers.history import History
from pareto_profiler.simulation.families import Device
from pareto_profiler.simulation.runner import Noise

FAMILIES = ("simulated:chain-20x3", "simulated:hand-over-20x3")
BOARDS = (1, 2, 4, 8, 16)
BUDGET = 60
APART = 0.03
SHARE = 0.95


class Board:
    """A simulated board that is slower than the truth by a factor, and in a state of its own.

    Args:
        runner: Measures.
        factor: What times are multiplied by.
        left: How many measurements it makes until it is lost; fewer than none where it never is.
    """

    def __init__(self, runner: TimedRunner, factor: float, left: int = -1) -> None:
        self._runner = runner
        self._factor = factor
        self._left = left

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        self._left -= 1
        if not self._left:
            raise TargetError("the board was cut off")
        measured = self._runner.run(assignment, is_repeat=is_repeat)
        return measured.scaled({"exec_time": self._factor})

    def placement(self, assignment: Assignment) -> Placement | None:
        return self._runner.placement(assignment)

    @property
    def can_profile(self) -> bool:
        return self._runner.can_profile

    def profile(self, assignment: Assignment) -> Profile:
        return self._runner.profile(assignment)

    def now(self) -> float:
        return self._runner.now()

    def rest(self, seconds: float) -> None:
        self._runner.rest(seconds)

    def close(self) -> None:
        self._runner.close()


def crew_of(
    device: Device, boards: int, seed: int, noise: Noise | None = None, *, is_cut: bool = False
) -> VirtualFleet:
    """Boards up to 3 % apart, with noise of their own; or each lost once, one for good."""
    random = np.random.default_rng([seed, boards])
    factors = 1 + APART * random.uniform(-1, 1, boards)
    left = random.integers(5, 45, boards).tolist() if is_cut else [-1] * boards
    joined = [0] * boards

    def connecting(number: int) -> Callable[[], TimedRunner]:
        def connect() -> TimedRunner:
            joined[number] += 1
            is_back = joined[number] > 1
            if is_back and not number:
                raise TargetError("the board is gone for good")
            runner = device.runner(Plan(repeats=5, warmups=0), 1000 * seed + number, noise)
            return Board(runner, float(factors[number]), -1 if is_back else left[number])

        return connect

    return VirtualFleet({f"b{n}": connecting(n) for n in range(boards)}, device.space.default)


def searched(name: str, boards: int, seed: int) -> Run:
    """One search on so many boards."""
    subject, device = subject_of(name), Device.of(name)
    problem = replace(subject.problem, seed=seed)
    sampler, journal = SAMPLERS["structured"](problem), MemoryJournal()
    told, reported = History(problem.objectives), []
    crew = crew_of(device, boards, seed)
    start = crew.now()
    seconds: list[float] = []
    for trial in search_on_boards(
        problem.space,
        sampler,
        crew,
        journal,
        Budget(BUDGET),
        source="structured",
        is_profiling=True,
        objectives=problem.objectives,
        rules=replace(ONE_SHOT, seed=seed, confirm_share=1e-9),
        now=crew.now,
    ):
        told.add(trial)
        seconds.append(crew.now() - start)
        reported.append(reported_front(journal.trials, sampler, problem, told))
    done = tuple(t.assignment for t in journal.trials)
    return Run(str(boards), seed, tuple(seconds), done, tuple(reported))


def evaluations(seeds: int) -> None:
    """Evaluations and time to 95 % of the hypervolume, against one board's."""
    print("family                     boards  evaluations  of one's  time of one's")
    with ProcessPoolExecutor(2) as pool:
        for family in FAMILIES:
            name = f"{family}:0"
            subject = subject_of(name)
            asked = [(k, s) for k in BOARDS for s in range(seeds)]
            runs = list(pool.map(searched, [name] * len(asked), *zip(*asked, strict=True)))
            scale = scale_of(subject, runs)
            reached: dict[int, tuple[float, float]] = {}
            for k in BOARDS:
                curves = [curve_of(subject, scale, r) for r in runs if r.sampler == str(k)]
                counts = [c.evaluations_to(SHARE) or BUDGET for c in curves]
                times = [c.run.seconds[n - 1] for c, n in zip(curves, counts, strict=True)]
                reached[k] = median(counts), median(times)
                more, less = (x / y for x, y in zip(reached[k], reached[1], strict=True))
                print(f"{name:26} {k:6} {reached[k][0]:12g} {more:9.2f} {less:10.3f}", flush=True)


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a search: number of trials, and the verdicts that are decided."""

    trials: int
    verdicts: Mapping[Assignment, Verdict | None]


def judged_of(name: str, boards: int, seed: int) -> Judged:
    """Of one search with anchors and repeats; boards drift, and several are cut off."""
    device = Device.of(name)
    problem = replace(subject_of(name).problem, seed=seed)
    noise = Noise(runs=0.01, processes=0.01, drift=0.01, memory=0.002)
    journal, crew = MemoryJournal(), crew_of(device, boards, seed, noise, is_cut=boards > 1)
    for _ in search_on_boards(
        problem.space,
        SAMPLERS["structured"](problem),
        crew,
        journal,
        Budget(200),
        source="structured",
        is_profiling=True,
        objectives=problem.objectives,
        rules=Rules(seed=seed),
        now=crew.now,
    ):
        pass
    header = Header(
        model_name=name,
        model_digest="",
        space=problem.space,
        objectives=tuple(o.name for o in problem.objectives),
        target="shelf",
        runtime="",
        sampler="structured",
        seed=seed,
        tool_version="",
        created_at="",
        graph=device.graph,
        traits=device.traits,
    )
    summary = Summary.of(Recording(header, tuple(journal.trials)))
    verdicts = {r.estimate.assignment: r.place.verdict for r in summary.measured}
    decided = {a: v for a, v in verdicts.items() if v in {Verdict.ON, Verdict.OFF}}
    return Judged(summary.trials, decided)


def verdicts(pairs: int) -> None:
    """Decided verdicts of two searches with other seeds and boards, and of one on one board."""
    name, boards = "simulated:chain-20x3:0", (4, 4, 1)
    asked = [(k, len(boards) * pair + n) for pair in range(pairs) for n, k in enumerate(boards)]
    with ProcessPoolExecutor(2) as pool:
        summaries = list(pool.map(judged_of, [name] * len(asked), *zip(*asked, strict=True)))
    trials = [[s.trials for s in summaries[n::3]] for n in range(3)]
    print(f"{pairs} searches each of {min(map(min, trials))} to {max(map(max, trials))} trials on")
    print(
        f"four boards, on four others and on one; boards up to {APART:.0%} apart, drifting, each of"
    )
    print("the four lost once, one for good")
    print("                          decided in both  contradictory")
    for words, one, other in (("four boards, four others", 0, 1), ("four boards, one", 0, 2)):
        decided = [
            pair
            for a, b in zip(summaries[one::3], summaries[other::3], strict=True)
            for pair in ((a.verdicts[x], b.verdicts[x]) for x in a.verdicts.keys() & b.verdicts)
        ]
        print(f"{words:24} {len(decided):17} {sum(x != y for x, y in decided):14}")
    for n, words in ((0, "four boards"), (2, "one board")):
        fronts = [[*s.verdicts.values()].count(Verdict.ON) for s in summaries[n::3]]
        print(f"points decided to be on the front, {words}: {min(fronts)} to {max(fronts)}")


class Sleeping:
    """A board that takes half a second for a trial, on its own processor."""

    can_profile = False

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        del is_repeat
        time.sleep(0.5)
        number = sum(map(len, assignment)) + hash(assignment) % 97
        return Measurement({"exec_time": (1e-3 * number,), "max_rss": (1e6 + 1e3 * number,)})

    def placement(self, assignment: Assignment) -> None:
        del assignment

    def profile(self, assignment: Assignment) -> Profile:
        raise RunError(FailureKind.REJECTED, f"this board does not trace {assignment}")

    def close(self) -> None:
        """Nothing was opened."""


def throughput(each: int) -> None:
    """Trials an hour of boards in threads, and what this machine does meanwhile."""
    problem = subject_of("simulated:chain-20x3:0").problem

    @contextlib.contextmanager
    def connect() -> Iterator[Runner]:
        yield Sleeping()

    print("sampler     boards  trials an hour  of n times one's  processor for each board")
    first: dict[str, float] = {}
    for name, boards in itertools.product(("structured", "random"), BOARDS):
        crew = Fleet({f"b{n}": connect for n in range(boards)}, problem.space.default)
        began, busy = time.monotonic(), sum(os.times()[:2])
        trials = each * boards
        for _ in search_on_boards(
            problem.space,
            SAMPLERS[name](problem),
            crew,
            MemoryJournal(),
            Budget(trials),
            source=name,
            is_profiling=False,
            objectives=problem.objectives,
            rules=Rules(),
        ):
            pass
        seconds, busy = time.monotonic() - began, sum(os.times()[:2]) - busy
        rate = 3600 * trials / seconds
        first.setdefault(name, rate)
        share = busy / seconds / boards
        over = rate / first[name] / boards
        print(f"{name:11} {boards:6} {rate:15.0f} {over:17.2f} {share:25.1%}", flush=True)


def main(what: str = "evaluations", count: str = "") -> None:
    """Do one of them."""
    tasks: dict[str, Callable[[], None]] = {
        "evaluations": lambda: evaluations(int(count or 10)),
        "verdicts": lambda: verdicts(int(count or 10)),
        "throughput": lambda: throughput(int(count or 24)),
    }
    tasks[what]()


if __name__ == "__main__":
    main(*sys.argv[1:])
