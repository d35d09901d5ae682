"""Two builds of `structured` side by side: simulated devices, the same seeds, all else this tree's.

    python benchmarks/quality/builds.py run OUT REVISION… [--families a,b] [--seeds N] [--budget N]
    python benchmarks/quality/builds.py show OUT REVISION…      a row for each family

``REVISION`` is one of git's, or ``.`` for the working tree. ``OUT`` is a folder; what has its
result there is not run again. The reference front is that of all that any build evaluated and of a
local search of the truth from there.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
SAMPLER: Final = "src/pareto_profiler/samplers/structured"
MARKS: Final = (20, 40, 60)
STEPS: Final = 6_000


def search(out: Path, family: str, seed: int, budget: int) -> None:
    """One search with whatever build is imported; what was told and reported goes to a file."""
    from pareto_profiler.bench import run_one, subject_of
    from pareto_profiler.samplers import SAMPLERS

    subject = subject_of(f"simulated:{family}:{seed}")
    began_s = time.process_time()
    done = run_one(subject, "structured", SAMPLERS["structured"], seed, budget)
    cpu_s = time.process_time() - began_s
    number = subject.problem.space.id_of
    found = {
        "cpu_s": cpu_s,
        "asked": [str(number(a)) for a in done.assignments],
        "reported": [[str(number(a)) for a in members] for members in done.reported],
    }
    out.write_text(json.dumps(found), encoding="utf-8")


def build(out: Path, revision: str) -> Path:
    """Folder of sources: this tree's, with the sampler of a revision."""
    folder = out / "builds" / slug(revision)
    if folder.exists():
        return folder
    shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    if revision != ".":
        sampler = folder / Path(SAMPLER).relative_to("src")
        shutil.rmtree(sampler)
        git = ["git", "-C", str(ROOT), "archive", revision, SAMPLER]
        packed = subprocess.run(git, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(out / "unpacked", filter="data")
        shutil.move(out / "unpacked" / SAMPLER, sampler)
    return folder


def slug(revision: str) -> str:
    """A folder's name of a revision's."""
    return "tree" if revision == "." else re.sub(r"[^\w-]+", "_", revision)


def run(out: Path, revisions: list[str], families: list[str], seeds: int, budget: int) -> None:
    """Searches that have no result yet, one process each, as many at a time as there are cores."""
    todo = []
    for revision in revisions:
        sources = build(out, revision)
        for seed in range(seeds):
            for family in families:
                file = out / slug(revision) / f"{family}-{seed}.json"
                file.parent.mkdir(exist_ok=True)
                if not file.exists():
                    todo.append((sources, file, family, seed))

    def one(task: tuple[Path, Path, str, int]) -> None:
        sources, file, family, seed = task
        words = [str(Path(__file__)), "one", str(file), family, str(seed), str(budget)]
        settings = {"PYTHONPATH": str(sources), "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run([sys.executable, *words], env={**os.environ, **settings}, check=True)
        print(file, flush=True)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(one, todo))


def reference(subject: Any, values: dict[int, tuple[float, ...] | None]) -> None:
    """Add what a local search of the truth finds from the front of what is there."""
    import numpy as np

    from pareto_profiler.core.front import nondominated

    space, random, end = subject.problem.space, np.random.default_rng(0), len(values) + STEPS
    while len(values) < end:
        works = [(i, v) for i, v in values.items() if v is not None]
        front = np.flatnonzero(nondominated(np.array([v for _, v in works])))
        before = len(values)
        for member in random.permutation(front)[:40].tolist():
            changed = list(space.assignment_of(works[member][0]))
            start = int(random.integers(len(changed)))
            if space.variables[start].is_setting:
                changed[start] = str(random.choice(space.variables[start].feasible))
            backend = str(random.choice(space.backends))
            for i in range(start, min(start + int(random.choice([1, 2, 4, 8])), len(changed))):
                if not space.variables[i].is_setting and backend in space.variables[i].feasible:
                    changed[i] = backend
            number = space.id_of(tuple(changed))
            if number not in values:
                values[number] = subject.truth(tuple(changed))
        end -= before == len(values)


def show(out: Path, revisions: list[str]) -> None:
    """Means of shares after some evaluations, medians of evaluations to 95 %, failures, CPU."""
    from pareto_profiler.bench import Scale, subject_of

    print(f"| family | devices | after {', '.join(map(str, MARKS))} | to 95 % | failed | CPU s |")
    print("| --- | --- | --- | --- | --- | --- |")
    first = out / slug(revisions[0])
    names = sorted({f.stem.rpartition("-")[0] for f in first.glob("*.json")})
    for family in names:
        rows: dict[str, list[tuple[list[float], int, float]]] = {r: [] for r in revisions}
        for file in sorted(first.glob(f"{family}-*.json")):
            others = [out / slug(r) / file.name for r in revisions]
            if not all(other.exists() for other in others):
                continue
            runs = [json.loads(other.read_text(encoding="utf-8")) for other in others]
            subject = subject_of(f"simulated:{family}:{file.stem.rpartition('-')[2]}")
            place = subject.problem.space.assignment_of
            values = {int(i): subject.truth(place(int(i))) for one in runs for i in one["asked"]}
            reference(subject, values)
            scale = Scale.of([v for v in values.values() if v is not None])
            for revision, one in zip(revisions, runs, strict=True):
                fronts = [[values[int(i)] for i in members] for members in one["reported"]]
                shares = [scale.share([v for v in front if v is not None]) for front in fronts]
                failed = sum(values[int(i)] is None for i in one["asked"])
                rows[revision].append((shares, failed, one["cpu_s"]))
        if rows[revisions[0]]:
            cells = zip(*(cells_of(rows[r]) for r in revisions), strict=True)
            words = [" / ".join(each) for each in cells]
            print(f"| `{family}` | {len(rows[revisions[0]])} | {' | '.join(words)} |", flush=True)


def cells_of(rows: list[tuple[list[float], int, float]]) -> tuple[str, str, str, str]:
    """Of one build on one family."""
    shares = [
        f"{100 * statistics.mean(curve[min(n, len(curve)) - 1] for curve, *_ in rows):.1f}"
        for n in MARKS
    ]
    ends = [next((n for n, v in enumerate(c, 1) if v >= 0.95), 10**9) for c, *_ in rows]
    middle = statistics.median(ends)
    return (
        ", ".join(shares),
        f"{middle:g}" if middle < 10**8 else "–",
        f"{statistics.mean(failed for _, failed, _ in rows):.1f}",
        f"{statistics.mean(cpu_s for *_, cpu_s in rows):.1f}",
    )


def main() -> None:
    """The command."""
    if sys.argv[1] == "one":
        file, family, seed, budget = sys.argv[2:]
        search(Path(file), family, int(seed), int(budget))
        return
    from pareto_profiler.simulation.families import FAMILIES

    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["run", "show"])
    parser.add_argument("out", type=Path)
    parser.add_argument("revisions", nargs="+")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=60)
    said = parser.parse_args()
    if said.command == "run":
        said.out.mkdir(parents=True, exist_ok=True)
        run(said.out, said.revisions, said.families.split(","), said.seeds, said.budget)
    else:
        show(said.out, said.revisions)


if __name__ == "__main__":
    main()
