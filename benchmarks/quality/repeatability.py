"""Do two searches of one model on one machine agree, while something else runs a third of the time?

Pairs of whole searches with the same settings, with a processor hog switched on and off at random.
A pair disagrees on an assignment that one search calls on the front and the other off it. Beside it
the same for measuring everything once after one warm-up, as the original tool does: there what is
on the front is always said, so a pair disagrees on whatever is on one front only.

    python benchmarks/quality/repeatability.py [PAIRS] [BUDGET]
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import nondominated
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.membership import Membership, Verdict, memberships
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.rules import ONE_SHOT, Rules
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.jobs import Choices, prepare
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.samplers import RandomSampler

MODELS = Path(__file__).parents[2] / "examples" / "models"
OBJECTIVES = objectives_of(("exec_time", "max_rss"))
MEAN_ON_S, MEAN_OFF_S = 3.0, 6.0


@dataclass(frozen=True)
class Case:
    """A model and how it is searched."""

    model: str
    threads: int
    vary: str

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.model}, {self.threads} thread{'s' * (self.threads > 1)}"


CASES = (
    Case("mobilenet_v1_025_128.tflite", 1, "memory_planner,executor"),
    Case("mobilenet_v2_035_96.tflite", 2, "memory_planner"),
)


@contextlib.contextmanager
def hog(seed: int) -> Iterator[None]:
    """Something else that runs at random for a third of the time."""
    over = threading.Event()
    dice = random.Random(seed)  # noqa: S311 - no secret

    def switch() -> None:
        while not over.wait(dice.expovariate(1 / MEAN_OFF_S)):
            with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
                over.wait(dice.expovariate(1 / MEAN_ON_S))
                process.kill()

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def run(case: Case, rules: Rules, plan: dict[str, object], budget: int, seed: int) -> list[Trial]:
    """One whole search."""
    choices = Choices(
        model=MODELS / case.model,
        backends=("cpu", "ruy"),
        vary=case.vary,
        plan={"threads": case.threads, **plan},
        seed=0,
    )
    job = prepare(choices)
    journal = MemoryJournal()
    space = job.header.space
    with tempfile.TemporaryDirectory() as folder, hog(seed):
        runner = job.engine(Path(folder))
        try:
            for _ in search(
                space,
                RandomSampler(Problem(space, seed=0)),
                runner,
                journal,
                Budget(budget),
                source="random",
                objectives=OBJECTIVES,
                rules=rules,
            ):
                pass
        finally:
            runner.close()
            job.shell.close()
    return journal.trials


def places_of(trials: list[Trial], default: Assignment) -> dict[Assignment, Membership]:
    """What a search says of each assignment."""
    estimates = Estimates.of(trials, OBJECTIVES, default)
    return {
        item.assignment: place
        for item, place in zip(estimates.items, memberships(estimates), strict=True)
    }


def leans_against(one: Membership, other: Membership) -> bool:
    """Whether the other search, decided or not, holds the opposite of this verdict for likelier."""
    if one.verdict is Verdict.INCONCLUSIVE:
        return False
    return (one.verdict is Verdict.ON) != (other.probability >= 0.5)


def one_shot_front(trials: list[Trial]) -> dict[Assignment, bool]:
    """What measuring once says."""
    estimates = Estimates.of(trials, OBJECTIVES)
    on = nondominated(estimates.values())
    return {item.assignment: bool(is_on) for item, is_on in zip(estimates.items, on, strict=True)}


def main() -> None:
    """Print a table."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    budget = int(sys.argv[2]) if len(sys.argv) > 2 else 80
    careful = Rules()
    print(f"{pairs} pairs of searches of {budget} trials, a hog running a third of the time")
    for case in CASES:
        began = time.monotonic()
        against = decided = inconclusive = points = disturbed = leaning = 0
        bad_pairs = 0
        for pair in range(pairs):
            found = []
            for side in range(2):
                trials = run(case, careful, {}, budget, 1000 + 2 * pair + side)
                default = trials[0].assignment
                found.append(places_of(trials, default))
                disturbed += sum(getattr(t.outcome, "is_contended", False) for t in trials)
            both = found[0].keys() & found[1].keys()
            clash = [a for a in both if {f[a].verdict for f in found} == {Verdict.ON, Verdict.OFF}]
            against += len(clash)
            bad_pairs += bool(clash)
            points += 2 * len(both)
            leaning += sum(
                leans_against(found[side][a], found[1 - side][a]) for side in range(2) for a in both
            )
            decided += sum(f[a].verdict in {Verdict.ON, Verdict.OFF} for f in found for a in both)
            inconclusive += sum(f[a].verdict is Verdict.INCONCLUSIVE for f in found for a in both)
            print(
                f"  pair {pair}: {len(both)} assignments, "
                f"{sum(p.verdict is Verdict.ON for p in found[0].values())} and "
                f"{sum(p.verdict is Verdict.ON for p in found[1].values())} on the front, "
                f"{len(clash)} contradictions",
                flush=True,
            )
        took_s = time.monotonic() - began
        print(
            f"{case.title}: {bad_pairs} of {pairs} pairs disagree, on {against} assignments; "
            f"{decided / max(1, points):.1%} of {points} verdicts decided, {inconclusive} "
            f"inconclusive; the other search leans against {leaning} of the decided ones; "
            f"{disturbed} trials disturbed; {took_s / pairs / 2:.0f} s a search"
        )
        clashes = bad_pairs = said = 0
        for pair in range(pairs):
            fronts = [
                one_shot_front(
                    run(case, ONE_SHOT, {"repeats": 1, "warmups": 1}, 10**6, 2000 + 2 * pair + side)
                )
                for side in range(2)
            ]
            both = fronts[0].keys() & fronts[1].keys()
            clash = [a for a in both if fronts[0][a] != fronts[1][a]]
            clashes += len(clash)
            bad_pairs += bool(clash)
            said += sum(fronts[0][a] or fronts[1][a] for a in both)
        print(
            f"{case.title}, measured once: {bad_pairs} of {pairs} pairs disagree, on {clashes} of "
            f"{said} assignments that were on a front"
        )


if __name__ == "__main__":
    main()
