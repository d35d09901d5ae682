"""Joint: one front over the runs of several runtimes, each point named after its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import Front, hypervolume_share, reference_point
from pareto_profiler.core.measurement import Objective, objectives_of
from pareto_profiler.core.membership import Membership, memberships, shown_front
from pareto_profiler.core.recording import Recording
from pareto_profiler.errors import InputError
from pareto_profiler.report.summary import Row, Summary


@dataclass(frozen=True, slots=True)
class Point:
    """An assignment of one of the runtimes.

    Attributes:
        runtime: Which.
        row: What is said of it in its own run.
        place: What is known of its place on the joint front.
    """

    runtime: str
    row: Row
    place: Membership

    @property
    def name(self) -> str:
        """Such as ``RUNTIME:3``."""
        return f"{self.runtime}:{self.row.id}"


@dataclass(frozen=True, slots=True)
class Joint:
    """What the searches of several runtimes found together.

    Attributes:
        runs: Runtime → what its own search found, the one of the baseline first.
        objectives: What is minimised.
        points: All measured assignments.
        front: More likely on the joint front than not, by increasing first objective.
        is_noise_known: Whether every run says how much its figures scatter.
        hypervolume: Fraction of the box from 0 to ``reference`` that the figures dominate.
        reference: In seconds and bytes.
    """

    runs: Mapping[str, Summary]
    objectives: tuple[Objective, ...]
    points: tuple[Point, ...]
    front: tuple[Point, ...]
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
        if len({h.model_digest for h in headers}) > 1:
            raise InputError("the runs are of different models: they have no joint front")
        chosen = objectives or objectives_of(headers[0].objectives)
        runs = {name: Summary.of(r, chosen) for name, r in recordings.items()}
        rows = [(name, row) for name, run in runs.items() for row in run.measured]
        is_known = all(run.is_noise_known for run in runs.values() if run.measured)
        estimates = Estimates(
            chosen,
            tuple(row.estimate for _, row in rows),
            is_noise_known=is_known and bool(rows),
            noise=tuple(max(run.noise.get(o.name, 0.0) for run in runs.values()) for o in chosen),
        )
        places = memberships(
            estimates,
            margin=headers[0].margin if margin is None else margin,
            confidence=headers[0].confidence if confidence is None else confidence,
        )
        points = tuple(
            Point(name, row, place) for (name, row), place in zip(rows, places, strict=True)
        )
        first = next(iter(runs.values())).baseline
        corner = reference or reference_point(
            first.estimate.values if first else None,
            [],
            [item.values for item in estimates.items],
            len(chosen),
        )
        return cls(
            runs,
            chosen,
            points,
            tuple(points[i] for i in shown_front(estimates, places)),
            estimates.is_noise_known,
            hypervolume_share(Front.among(estimates).values(), corner) if points else 0.0,
            corner,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data; ids as text."""
        return {
            "objectives": [o.name for o in self.objectives],
            "hypervolume": self.hypervolume,
            "front": [
                {
                    "name": p.name,
                    "runtime": p.runtime,
                    **replace(p.row, place=p.place).to_json(),
                }
                for p in self.front
            ],
            "runs": {name: run.to_json() for name, run in self.runs.items()},
        }
