"""Joint: one front over the runs of several runtimes, each point named after its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.estimate import Estimate, Estimates, Figure
from pareto_profiler.core.front import Front, hypervolume_share, reference_point
from pareto_profiler.core.measurement import Objective, objectives_of
from pareto_profiler.core.membership import Verdict, memberships, shown_front
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.errors import InputError
from pareto_profiler.report.places import with_what_was_learned
from pareto_profiler.report.summary import Judged, Row, Summary, ratios
from pareto_profiler.storage.opening import open_recording, open_runs, runs_in

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Joint:
    """What the searches of several runtimes found together.

    Attributes:
        runs: Runtime → what its own search found, the one of the baseline first.
        header: Of the first one, with the margin and confidence of the verdicts.
        objectives: What is minimised.
        front: More likely on the joint front than not, by increasing first objective.
        undecided: Less likely than not, but not decided, the most likely first.
        measured: All measured assignments.
        is_noise_known: Whether some run says how much its figures scatter; one that does not is
            taken to scatter like the noisiest of these.
        hypervolume: Fraction of the box from 0 to ``reference`` that the figures dominate.
        reference: In seconds and bytes.
    """

    runs: Mapping[str, Summary]
    header: Header
    objectives: tuple[Objective, ...]
    front: tuple[Row, ...]
    undecided: tuple[Row, ...]
    measured: tuple[Row, ...]
    is_noise_known: bool
    hypervolume: float
    reference: tuple[float, ...]

    @classmethod
    def of(
        cls,
        recordings: Mapping[str, Recording],
        objectives: tuple[Objective, ...] = (),
        reference: tuple[float, ...] = (),
        *,
        margin: float | None = None,
        confidence: float | None = None,
    ) -> Joint:
        """Compute the joint front.

        Memory is best compared as ``model_rss``: runtimes take more or less before any model.

        Args:
            recordings: Runtime → its run, the one of the baseline first.
            objectives: Instead of the recorded ones.
            reference: For the hypervolume, instead of the runs' own.
            margin: A difference that nobody would notice, instead of the first run's.
            confidence: Of each verdict, instead of the first run's.

        Raises:
            InputError: No run has a trial yet, the runs are of different models, or an objective
                was not recorded.
        """
        if not recordings:
            raise InputError("nothing was measured yet")
        headers = [r.header for r in recordings.values()]
        if len({h.original_digest for h in headers}) > 1:
            raise InputError("the runs are of different models: they have no joint front")
        header = replace(
            headers[0],
            margin=headers[0].margin if margin is None else margin,
            confidence=headers[0].confidence if confidence is None else confidence,
        )
        chosen = objectives or objectives_of(header.objectives)
        runs = {name: Summary.of(r, chosen) for name, r in recordings.items()}
        known = [run for run in runs.values() if run.is_noise_known]
        noise = tuple(max((run.noise[o.name] for run in known), default=0.0) for o in chosen)
        first = next(iter(runs.values())).baseline
        base = first.estimate if first else None
        uniforms = [run.best_uniform.estimate for run in runs.values() if run.best_uniform]
        uniform = min(uniforms, key=lambda item: item.values[0], default=None)
        rows = [
            replace(
                _with_noise(row, run, noise) if known else row,
                runtime=name,
                against_baseline=ratios(row.estimate, base, chosen),
                against_best_uniform=ratios(row.estimate, uniform, chosen),
            )
            for name, run in runs.items()
            for row in run.measured
        ]
        estimates = Estimates(
            chosen,
            tuple(row.estimate for row in rows),
            is_noise_known=bool(known),
            noise=noise,
        )
        judged = _judged(recordings, runs, estimates) if known else estimates
        places = memberships(judged, margin=header.margin, confidence=header.confidence)
        rows = [replace(row, place=place) for row, place in zip(rows, places, strict=True)]
        front = shown_front(estimates, places, header.margin)
        undecided = [
            row
            for i, row in enumerate(rows)
            if row.place.verdict is Verdict.INCONCLUSIVE and i not in front
        ]
        warm = {a for run in runs.values() for a in run.header.space.uniforms()}
        corner = reference or reference_point(
            base.values if base else None,
            [item.values for item in estimates.items if item.assignment in warm],
            [item.values for item in estimates.items],
            len(chosen),
        )
        return cls(
            runs,
            header,
            chosen,
            tuple(rows[i] for i in front),
            tuple(sorted(undecided, key=lambda row: -row.place.probability)),
            tuple(rows),
            estimates.is_noise_known,
            hypervolume_share(Front.among(estimates).values(), corner) if rows else 0.0,
            corner,
        )

    @property
    def baseline(self) -> Row | None:
        """That of the first runtime."""
        name, first = next(iter(self.runs.items()))
        return first.baseline and replace(first.baseline, runtime=name)

    @property
    def best_uniform(self) -> Row | None:
        """Of those of the runtimes the best in the first objective."""
        uniforms = [
            replace(run.best_uniform, runtime=name)
            for name, run in self.runs.items()
            if run.best_uniform is not None
        ]
        return min(uniforms, key=lambda row: row.estimate.values[0], default=None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the runs that have points on the front."""
        told = {row.runtime: self.runs[row.runtime].warnings for row in self.front}
        return tuple(f"{name}: {words}" for name, said in told.items() for words in said)

    def to_json(self) -> dict[str, Any]:
        """As plain data; ids as text."""
        return {
            "objectives": [o.name for o in self.objectives],
            "hypervolume": self.hypervolume,
            "front": [row.to_json() for row in self.front],
            "runs": {name: run.to_json() for name, run in self.runs.items()},
        }


def _judged(
    recordings: Mapping[str, Recording], runs: Mapping[str, Summary], estimates: Estimates
) -> Estimates:
    """The figures by which places are judged: as in each run, by what was learned there, too."""
    items: list[Estimate] = []
    blocks: list[list[Vector]] = []
    for name, run in runs.items():
        mine = estimates.items[len(items) : len(items) + len(run.measured)]
        alone = Estimates(estimates.objectives, mine, run.is_noise_known, estimates.noise)
        learned = with_what_was_learned(recordings[name], alone)
        items += learned.items
        apart = [np.eye(len(mine))] * len(estimates.objectives)
        blocks.append(list(learned.correlations) or apart)
    columns = tuple(_beside(column) for column in zip(*blocks, strict=True))
    return replace(estimates, items=tuple(items), correlations=columns)


def _beside(matrices: Sequence[Vector]) -> Vector:
    """Matrices along the diagonal of one: what was measured in one run says nothing of another."""
    size = sum(map(len, matrices))
    found, start = np.zeros((size, size)), 0
    for matrix in matrices:
        end = start + len(matrix)
        found[start:end, start:end] = matrix
        start = end
    return found


def _with_noise(row: Row, run: Summary, noise: Sequence[float]) -> Row:
    """Figures of a run that repeated nothing are taken to scatter as the noisiest other run's."""
    if run.is_noise_known:
        return row

    def own(objective: Objective, figure: Figure, deviation: float) -> Figure:
        # Of times that other work disturbed nothing is told, however little others scatter.
        is_untold = row.estimate.is_contended and objective.unit in {"s", "J"}
        return replace(figure, deviation=math.inf if is_untold else deviation)

    figures = tuple(map(own, run.objectives, row.estimate.figures, noise))
    intervals = {
        o.name: ends and (o.shown(ends[0]), o.shown(ends[1]))
        for o, ends in zip(run.objectives, (f.interval() for f in figures), strict=True)
    }
    return replace(row, estimate=replace(row.estimate, figures=figures), intervals=intervals)


def judged(path: Path, backends: Sequence[str] = (), baseline: str = "") -> Judged:
    """What a run says, or the runs of several runtimes together, whichever a path holds.

    Args:
        path: File or folder.
        backends: Of a dump that does not name them, or of a CSV table.
        baseline: Of a CSV table: the backend that its baseline is on.

    Raises:
        InputError, StoreError: It holds neither, or is damaged.
    """
    if runs_in(path):
        return Joint.of(open_runs(path))
    return Summary.of(open_recording(path, backends, baseline))
