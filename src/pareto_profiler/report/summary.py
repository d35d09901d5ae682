"""Summary: all that is said of a recording, as plain data, computed from its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pareto_profiler.core.configuration import Configuration
from pareto_profiler.core.front import Front, reference_point
from pareto_profiler.core.measurement import Measurement, Objective, objectives_of
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.trial import Failure, Placement, Trial
from pareto_profiler.errors import InputError


@dataclass(frozen=True, slots=True)
class Row:
    """One measured assignment as it is shown.

    Attributes:
        id: The seed's integer.
        trial: What it was computed from.
        values: Objective → figure in its shown unit.
        against_baseline: Objective → figure over the baseline's; empty where that is not known.
        against_best_uniform: The same against the best uniform assignment.
        configuration: What realises it, for a shell.
        placement: Read back from the runtime; None where it was not.
    """

    id: int
    trial: Trial
    values: Mapping[str, float]
    against_baseline: Mapping[str, float]
    against_best_uniform: Mapping[str, float]
    configuration: str
    placement: Placement | None

    def to_json(self) -> dict[str, Any]:
        """As plain data; the id as text, since JSON's readers round or refuse large integers."""
        return {
            "id": str(self.id),
            "trial": self.trial.number,
            "source": self.trial.source,
            "assignment": list(self.trial.assignment),
            "values": dict(self.values),
            "against_baseline": dict(self.against_baseline),
            "against_best_uniform": dict(self.against_best_uniform),
            "configuration": self.configuration,
            "placement_verified": self.placement is not None and not self.placement.mismatches,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """What a search found.

    Attributes:
        header: Its circumstances.
        objectives: What is minimised.
        front: By increasing first objective.
        measured: All measured assignments, in the order of the trials.
        baseline: None where it was not measured.
        best_uniform: Of the assignments that put all they can on one backend, the baseline
            included, the best in the first objective; None where none was measured.
        failures: Trials without figures, in order.
        misplaced: Assignments that ran elsewhere than asked; they are not on the front.
        notes: What the baseline's measurement noted.
        hypervolume: Fraction of the box from 0 to ``reference`` that the front dominates.
        reference: In seconds and bytes.
    """

    header: Header
    objectives: tuple[Objective, ...]
    front: tuple[Row, ...]
    measured: tuple[Row, ...]
    baseline: Row | None
    best_uniform: Row | None
    failures: tuple[Trial, ...]
    misplaced: tuple[Placement, ...]
    notes: tuple[str, ...]
    hypervolume: float
    reference: tuple[float, ...]

    @classmethod
    def of(
        cls,
        recording: Recording,
        objectives: tuple[Objective, ...] = (),
        *,
        reference: tuple[float, ...] = (),
    ) -> Summary:
        """Compute the summary.

        Args:
            recording: What was recorded.
            objectives: Instead of the recorded ones.
            reference: For the hypervolume, instead of the recording's own: to compare with another.

        Raises:
            InputError: An objective's metric was not recorded, or is unknown.
        """
        space = recording.header.space
        objectives = objectives or objectives_of(recording.header.objectives)
        placements = {p.assignment: p for p in recording.placements}
        misplaced = tuple(p for p in placements.values() if p.mismatches)
        apart = {p.assignment for p in misplaced}
        measured = [
            t
            for t in recording.trials
            if isinstance(t.outcome, Measurement) and t.assignment not in apart
        ]
        for trial in measured:
            _check_metrics(trial, objectives)
        by_assignment = {t.assignment: t for t in measured}
        baseline = by_assignment.get(space.default)
        uniforms = [by_assignment[a] for a in space.uniforms() if a in by_assignment]
        candidates = ([baseline] if baseline else []) + uniforms
        best = min(candidates, key=lambda t: _value(t, objectives[0]), default=None)
        reference = reference or reference_point(baseline, uniforms, measured, objectives)
        front = Front.of(measured, objectives)
        rows = {
            t.number: _row(t, recording.header, objectives, baseline, best, placements)
            for t in measured
        }
        return cls(
            header=recording.header,
            objectives=objectives,
            front=tuple(rows[t.number] for t in front.trials),
            measured=tuple(rows.values()),
            baseline=rows[baseline.number] if baseline else None,
            best_uniform=rows[best.number] if best else None,
            failures=tuple(t for t in recording.trials if isinstance(t.outcome, Failure)),
            misplaced=misplaced,
            notes=_measurement(baseline).notes if baseline else (),
            hypervolume=front.hypervolume(reference),
            reference=reference,
        )

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
            "trials": len(self.measured) + len(self.failures) + len(self.misplaced),
            "measured": len(self.measured),
            "failures": {
                kind: [{"message": m, "count": n} for m, n in messages]
                for kind, messages in self.failures_by_kind().items()
            },
            "misplaced": [list(p.mismatches) for p in self.misplaced],
            "notes": list(self.notes),
            "hypervolume": self.hypervolume,
            "reference": {
                o.name: o.shown(r) for o, r in zip(self.objectives, self.reference, strict=True)
            },
            "baseline": self.baseline.to_json() if self.baseline else None,
            "best_uniform": self.best_uniform.to_json() if self.best_uniform else None,
            "front": [row.to_json() for row in self.front],
        }


def _check_metrics(trial: Trial, objectives: tuple[Objective, ...]) -> None:
    for objective in objectives:
        if not _measurement(trial).has(objective):
            raise InputError(
                f"objective {objective.name}: trial {trial.number} recorded only "
                f"{', '.join(_measurement(trial).samples)}"
            )


def _measurement(trial: Trial) -> Measurement:
    assert isinstance(trial.outcome, Measurement)
    return trial.outcome


def _value(trial: Trial, objective: Objective) -> float:
    return _measurement(trial).value(objective)


def _row(
    trial: Trial,
    header: Header,
    objectives: tuple[Objective, ...],
    baseline: Trial | None,
    best: Trial | None,
    placements: Mapping[tuple[str, ...], Placement],
) -> Row:
    plan = header.plan
    return Row(
        id=header.space.id_of(trial.assignment),
        trial=trial,
        values={o.name: o.shown(_value(trial, o)) for o in objectives},
        against_baseline=_ratios(trial, baseline, objectives),
        against_best_uniform=_ratios(trial, best, objectives),
        configuration=Configuration.of(
            header.space,
            trial.assignment,
            load_every_backend=plan is None or plan.load_every_backend,
            threads=plan.threads if plan else None,
        ).text,
        placement=placements.get(trial.assignment),
    )


def _ratios(
    trial: Trial, other: Trial | None, objectives: tuple[Objective, ...]
) -> dict[str, float]:
    if other is None:
        return {}
    return {o.name: _value(trial, o) / _value(other, o) for o in objectives if _value(other, o) > 0}
