"""Summary: all that is said of a recording, as plain data, computed from its trials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np

from pareto_profiler.core.estimate import Estimate, Estimates
from pareto_profiler.core.front import (
    Front,
    contenders,
    hypervolume_share,
    reference_point,
    resampled_hypervolumes,
)
from pareto_profiler.core.measurement import OBJECTIVES, Measurement, Objective, objectives_of
from pareto_profiler.core.membership import LIKELY, Membership, Verdict, shown_front
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Failure, Placement, Profile, Trial
from pareto_profiler.report.health import Check, checks_of, warnings_of
from pareto_profiler.report.history import Step, steps_of
from pareto_profiler.report.places import estimates_of, places_of
from pareto_profiler.runtimes import runtime_of

INTERVAL: Final = 0.95
"""Confidence of the intervals that are shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured assignment as it is shown.

    Attributes:
        header: Of the run.
        id: The seed's integer.
        estimate: What it was computed from.
        place: What is known of its place.
        values: Objective → figure in its shown unit.
        intervals: Objective → where the true figure lies with 95 % confidence, in the shown unit;
            None where that cannot be told; empty where nothing is known of the noise.
        ties: Ids of assignments that cannot be told from it.
        failed: How many of its trials failed.
        against_baseline: Objective → figure over the baseline's; empty where that is not known.
        against_best_uniform: The same against the best uniform assignment.
        placement: Read back from the runtime; None where it was not.
        runtime: Which it is of, where several were searched together; empty else.
    """

    header: Header = field(repr=False)
    id: int
    estimate: Estimate
    place: Membership
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float] | None]
    ties: tuple[int, ...]
    failed: int
    against_baseline: Mapping[str, float]
    against_best_uniform: Mapping[str, float]
    placement: Placement | None
    runtime: str = ""

    @property
    def name(self) -> str:
        """The id; with the runtime, such as ``RUNTIME:3``, where there are several."""
        return f"{self.runtime}:{self.id}" if self.runtime else str(self.id)

    @property
    def untold(self) -> tuple[str, ...]:
        """Objectives whose figures tell nothing: other work, or noise beyond measure."""
        if not self.intervals and self.estimate.is_contended:
            return tuple(n for n in self.values if OBJECTIVES[n].unit in {"s", "J"})
        return tuple(name for name, interval in self.intervals.items() if interval is None)

    @property
    def configuration(self) -> str:
        """What realises it, for a shell; made when asked for, since few of many rows are shown."""
        header = self.header
        made = runtime_of(header).configuration(header.space, self.estimate.assignment, header.plan)
        return made.text

    @property
    def trial(self) -> Trial:
        """The first measured trial of it."""
        return self.estimate.trials[0]

    def to_json(self) -> dict[str, Any]:
        """As plain data; the id as text, since JSON's readers round or refuse large integers."""
        named = {"name": self.name, "runtime": self.runtime} if self.runtime else {}
        return {
            **named,
            "id": str(self.id),
            "trials": [t.number for t in self.estimate.trials],
            "source": self.trial.source,
            "assignment": list(self.estimate.assignment),
            "values": dict(self.values),
            "intervals": {name: i and list(i) for name, i in self.intervals.items()},
            "untold": list(self.untold),
            "probability_on_front": self.place.probability,
            "verdict": self.place.verdict and str(self.place.verdict),
            "ties": [str(number) for number in self.ties],
            "contended": self.estimate.is_contended,
            "failed_trials": self.failed,
            "against_baseline": dict(self.against_baseline),
            "against_best_uniform": dict(self.against_best_uniform),
            "configuration": self.configuration,
            "placement_verified": self.placement is not None and not self.placement.mismatches,
        }


class Judged(Protocol):
    """What points can be chosen from: a summary of one run, or of several together."""

    @property
    def runs(self) -> Mapping[str, Summary]: ...
    @property
    def reference(self) -> tuple[float, ...]: ...
    @property
    def header(self) -> Header: ...
    @property
    def objectives(self) -> tuple[Objective, ...]: ...
    @property
    def front(self) -> tuple[Row, ...]: ...
    @property
    def undecided(self) -> tuple[Row, ...]: ...
    @property
    def measured(self) -> tuple[Row, ...]: ...
    @property
    def baseline(self) -> Row | None: ...
    @property
    def best_uniform(self) -> Row | None: ...
    @property
    def is_noise_known(self) -> bool: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """What a search found.

    Attributes:
        header: Its circumstances.
        objectives: What is minimised.
        front: More likely on the front than not, by increasing first objective.
        undecided: Less likely than not, but not decided, the most likely first.
        measured: All measured assignments, in the order of their first trials.
        baseline: None where it was not measured.
        best_uniform: Of the assignments that put all they can on one backend, the baseline
            included, whatever their settings, the best in the first objective; None where none was
            measured.
        failures: Trials without figures, in order.
        misplaced: Assignments that ran elsewhere than asked; they are not on the front.
        trials: How many there are in all.
        seconds: Time of all of them, rests included.
        is_noise_known: Whether repeats say how much the figures scatter.
        noise: Objective → standard deviation from process to process, as a fraction.
        drift: Objective → by how much the target's level moved, as a fraction; corrected.
        warnings: What makes the figures less trustworthy than they look, in words.
        checks: Whether the front can be trusted, whether the search is done, which backends worked.
        steps: How the hypervolume grew.
        profiles: Backend → operation → seconds, where the runtime was traced.
        notes: What the baseline's measurement noted, and which boards measured.
        hypervolume: Fraction of the box from 0 to ``reference`` that the figures dominate.
        hypervolume_interval: Where it lies with 95 % confidence; None where the noise is unknown.
        reference: In seconds and bytes.
    """

    header: Header
    objectives: tuple[Objective, ...]
    front: tuple[Row, ...]
    undecided: tuple[Row, ...]
    measured: tuple[Row, ...]
    baseline: Row | None
    best_uniform: Row | None
    failures: tuple[Trial, ...]
    misplaced: tuple[Placement, ...]
    trials: int
    seconds: float
    is_noise_known: bool
    noise: Mapping[str, float]
    drift: Mapping[str, float]
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]
    steps: tuple[Step, ...]
    profiles: Mapping[str, Mapping[int, float]]
    notes: tuple[str, ...]
    hypervolume: float
    hypervolume_interval: tuple[float, float] | None
    reference: tuple[float, ...]

    def __repr__(self) -> str:
        name, count = self.header.model_name, len(self.front)
        return f"<Summary of {name}: {self.trials} trials, {count} on the front>"

    @classmethod
    def of(
        cls,
        recording: Recording,
        objectives: tuple[Objective, ...] = (),
        *,
        reference: tuple[float, ...] = (),
        margin: float | None = None,
        confidence: float | None = None,
    ) -> Summary:
        """Compute the summary.

        Args:
            recording: What was recorded.
            objectives: Instead of the recorded ones.
            reference: For the hypervolume, instead of the recording's own: to compare with another.
            margin: A difference that nobody would notice, instead of the recorded one.
            confidence: Of each verdict, instead of the recorded one.

        Raises:
            InputError: An objective's metric was not recorded, or is unknown.
        """
        header = recording.header
        header = replace(
            header,
            margin=header.margin if margin is None else margin,
            confidence=header.confidence if confidence is None else confidence,
        )
        space = header.space
        objectives = objectives or objectives_of(header.objectives)
        placements = {p.assignment: p for p in recording.placements}
        misplaced = tuple(p for p in placements.values() if p.mismatches)
        estimates = estimates_of(recording, objectives)
        places = places_of(replace(recording, header=header), estimates)
        position = {item.assignment: i for i, item in enumerate(estimates.items)}
        baseline = _item(estimates, position.get(space.default))
        uniforms = [estimates.items[position[a]] for a in space.uniforms() if a in position]
        backends = {_backends(space, a) for a in (space.default, *space.uniforms())}
        candidates = [i for i in estimates.items if _backends(space, i.assignment) in backends]
        best = min(candidates, key=lambda item: item.values[0], default=None)
        reference = reference or reference_point(
            baseline.values if baseline else None,
            [item.values for item in uniforms],
            [item.values for item in estimates.items],
            len(objectives),
        )
        failures = tuple(t for t in recording.trials if isinstance(t.outcome, Failure))
        failed: dict[Assignment, int] = {}
        for trial in failures:
            failed[trial.assignment] = failed.get(trial.assignment, 0) + 1
        ids = [space.id_of(item.assignment) for item in estimates.items]
        rows = [
            Row(
                header=header,
                id=ids[i],
                estimate=item,
                place=place,
                values={o.name: o.shown(v) for o, v in zip(objectives, item.values, strict=True)},
                intervals=_intervals(item, objectives) if estimates.is_noise_known else {},
                ties=tuple(ids[j] for j in place.ties if places[j].probability >= LIKELY),
                failed=failed.get(item.assignment, 0),
                against_baseline=ratios(item, baseline, objectives),
                against_best_uniform=ratios(item, best, objectives),
                placement=placements.get(item.assignment),
            )
            for i, (item, place) in enumerate(zip(estimates.items, places, strict=True))
        ]
        front = shown_front(estimates, places, header.margin)
        undecided = [
            i
            for i, place in enumerate(places)
            if place.verdict is Verdict.INCONCLUSIVE and i not in front
        ]
        undecided.sort(key=lambda i: -places[i].probability)
        share = hypervolume_share(Front.among(estimates).values(), reference)
        interval = None
        near = contenders(estimates)
        if estimates.is_noise_known and all(estimates.items[i].is_told for i in near):
            draws = resampled_hypervolumes(estimates, reference)
            low, high = np.quantile(draws, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]).tolist()
            # Of what is measured with noise the best looks better than it is, and of what is drawn
            # around that once more: by as much as draws lie above it, it lies above the truth.
            interval = (max(0.0, 2 * share - high), max(share, 2 * share - low))
        names = [o.name for o in objectives]
        steps = steps_of(recording.trials, estimates, reference)
        return cls(
            header=header,
            objectives=objectives,
            front=tuple(rows[i] for i in front),
            undecided=tuple(rows[i] for i in undecided),
            measured=tuple(rows),
            baseline=rows[position[space.default]] if baseline else None,
            best_uniform=rows[position[best.assignment]] if best else None,
            failures=failures,
            misplaced=misplaced,
            trials=len(recording.trials),
            seconds=sum(t.duration_s + t.rested_s for t in recording.trials),
            is_noise_known=estimates.is_noise_known,
            noise=dict(zip(names, estimates.noise, strict=True)) if rows else {},
            drift=dict(zip(names, estimates.drifts, strict=True)) if rows else {},
            warnings=warnings_of(recording, estimates),
            checks=checks_of(recording, estimates, places, steps),
            steps=steps,
            profiles=_profiles(recording),
            notes=(*_notes(baseline), *_boards(recording.trials)),
            hypervolume=share,
            hypervolume_interval=interval,
            reference=reference,
        )

    def row_of(self, assignment: Assignment) -> Row | None:
        """What is said of an assignment; None where it was not measured."""
        return next((r for r in self.measured if r.estimate.assignment == assignment), None)

    @property
    def runs(self) -> Mapping[str, Summary]:
        """This one, without a name: as several together name theirs."""
        return {"": self}

    def failures_by_kind(self) -> dict[str, list[tuple[str, int]]]:
        """Kind → messages and how often each came, most often first."""
        counts: dict[str, dict[str, int]] = {}
        for trial in self.failures:
            assert isinstance(trial.outcome, Failure)
            of_kind = counts.setdefault(str(trial.outcome.kind), {})
            of_kind[trial.outcome.message] = of_kind.get(trial.outcome.message, 0) + 1
        return {
            kind: sorted(messages.items(), key=lambda item: -item[1])
            for kind, messages in counts.items()
        }

    def to_json(self) -> dict[str, Any]:
        """As plain data, for scripts."""
        header = self.header
        return {
            "model": header.model_name,
            "model_digest": header.model_digest,
            "target": header.target,
            "runtime": header.runtime,
            "machine": dict(header.machine),
            "granularity": str(header.space.granularity),
            "backends": list(header.space.backends),
            "variables": len(header.space.variables),
            "space_size": str(header.space.size),
            "objectives": {
                o.name: {"unit": o.shown_unit, "meaning": o.meaning} for o in self.objectives
            },
            "trials": self.trials,
            "seconds": self.seconds,
            "measured": len(self.measured),
            "margin": self.header.margin,
            "confidence": self.header.confidence,
            "noise_known": self.is_noise_known,
            "noise": dict(self.noise),
            "drift": dict(self.drift),
            "warnings": list(self.warnings),
            "checks": [asdict(check) for check in self.checks],
            "command": header.origin.get("command", ""),
            "created_at": header.created_at,
            "tool_version": header.tool_version,
            "sampler": header.sampler,
            "seed": header.seed,
            "plan": header.plan.to_json() if header.plan else None,
            "hypervolume_steps": [asdict(step) for step in self.steps],
            "profiles": {
                backend: {str(i): seconds for i, seconds in times.items()}
                for backend, times in self.profiles.items()
            },
            "failures": {
                kind: [{"message": m, "count": n} for m, n in messages]
                for kind, messages in self.failures_by_kind().items()
            },
            "misplaced": [list(p.mismatches) for p in self.misplaced],
            "notes": list(self.notes),
            "hypervolume": self.hypervolume,
            "hypervolume_interval": self.hypervolume_interval and list(self.hypervolume_interval),
            "reference": {
                o.name: o.shown(r) for o, r in zip(self.objectives, self.reference, strict=True)
            },
            "baseline": self.baseline.to_json() if self.baseline else None,
            "best_uniform": self.best_uniform.to_json() if self.best_uniform else None,
            "front": [row.to_json() for row in self.front],
            "undecided": [row.to_json() for row in self.undecided],
        }


def _measurement(trial: Trial) -> Measurement:
    assert isinstance(trial.outcome, Measurement)
    return trial.outcome


def _backends(space: DecisionSpace, assignment: Assignment) -> tuple[str, ...]:
    """What of an assignment are no settings."""
    chosen = zip(space.variables, assignment, strict=True)
    return tuple(choice for variable, choice in chosen if not variable.is_setting)


def _item(estimates: Estimates, position: int | None) -> Estimate | None:
    return None if position is None else estimates.items[position]


def _intervals(
    item: Estimate, objectives: Sequence[Objective]
) -> dict[str, tuple[float, float] | None]:
    found: dict[str, tuple[float, float] | None] = {}
    for objective, figure in zip(objectives, item.figures, strict=True):
        ends = figure.interval(INTERVAL)
        found[objective.name] = ends and (objective.shown(ends[0]), objective.shown(ends[1]))
    return found


def _profiles(recording: Recording) -> dict[str, dict[int, float]]:
    """Backend → operation → seconds: the last traced run of each where nothing else is chosen.

    Where settings vary, those of the baseline.
    """
    space = recording.header.space
    settings = space.settings(space.default)
    found: dict[str, dict[int, float]] = {}
    for trial in recording.trials:
        if not isinstance(trial.outcome, Profile) or space.settings(trial.assignment) != settings:
            continue
        for time in trial.outcome.operations:
            found.setdefault(time.backend, {})[time.index] = time.seconds
    return found


def ratios(
    item: Estimate, other: Estimate | None, objectives: Sequence[Objective]
) -> dict[str, float]:
    """Objective → an assignment's figure over another's, as far as both are told."""
    if other is None:
        return {}
    pairs = zip(objectives, item.figures, other.figures, strict=True)
    found = {
        o.name: mine.value / theirs.value
        for o, mine, theirs in pairs
        if theirs.value > 0
        and mine.interval()
        and theirs.interval()
        # What was repeated by nobody has no interval that could tell.
        and not (o.unit in {"s", "J"} and (item.is_contended or other.is_contended))
    }
    return {name: ratio for name, ratio in found.items() if math.isfinite(ratio)}


def _boards(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Which boards measured how much, where there are several."""
    counts = Counter(t.board for t in trials)
    if len(counts) < 2:
        return ()
    each = ", ".join(f"{name or 'before there were several'} {n}" for name, n in counts.items())
    return (f"trials by board: {each}; figures are those of their mean",)


def _notes(baseline: Estimate | None) -> tuple[str, ...]:
    if baseline is None:
        return ()
    notes = [note for trial in baseline.trials for note in _measurement(trial).notes]
    return tuple(dict.fromkeys(notes))
