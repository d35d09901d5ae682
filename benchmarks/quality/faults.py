r"""Wrong outputs that are known beforehand: of how many, and of how many right ones.

    python benchmarks/quality/faults.py RECORDING…

Live, for any model here:

    pareto-profiler search MODEL --sampler random --granularity operation --backends cpu,ruy \
        --vary memory_planner --repeats 1 --warmups 0 --retries 0 --anchor-every 0 --no-confirm \
        --budget 200 --output run
    python benchmarks/quality/faults.py run
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import FailureKind
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.storage.opening import open_recording


def main() -> None:
    for path in map(Path, sys.argv[1:]):
        recording = open_recording(path)
        faults = problem_of(recording.header).faults
        counts = Counter[tuple[str, bool]]()
        for assignment, outcome in {t.assignment: t.outcome for t in recording.trials}.items():
            known = bool(faults(assignment))
            if isinstance(outcome, Measurement):
                counts["right", known] += 1
            elif isinstance(outcome, Failure) and outcome.kind is FailureKind.WRONG_OUTPUT:
                counts["wrong", known] += 1
        wrong, right = (counts[kind, True] + counts[kind, False] for kind in ("wrong", "right"))
        print(
            f"{path.stem}: {recording.header.runtime}: predicted {counts['wrong', True]} of "
            f"{wrong} wrong, condemned {counts['right', True]} of {right} right"
        )


if __name__ == "__main__":
    main()
