"""Page data: what the page's script draws, as plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.membership import Verdict
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.report.history import Step, growth
from pareto_profiler.report.naming import handle
from pareto_profiler.report.selection import Limit, offered, shown
from pareto_profiler.report.summary import Judged, Row, Summary

COLOURS: Final = (
    *("#4c78c9", "#e0902f", "#3f9e6b", "#b65fc4", "#c94f4f"),
    *("#2aa3b5", "#8a6d3b", "#d6699f", "#7d8794"),
)
"""Of backends, in their order: told apart on light and on dark paper."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_FURTHER_DIGITS: Final = 0x100
_MAX_POINTS: Final = 4000
_MAX_FAILURES: Final = 150
_MAX_DIGITS: Final = 1_500_000
_MAX_CONFIGURATIONS: Final = 1_500_000
_MAX_UNDECIDED: Final = 40
_VERDICTS: Final = {Verdict.ON: "on", Verdict.OFF: "off", Verdict.INCONCLUSIVE: "open"}


def listed(judged: Judged) -> list[Row]:
    """What a reader may want to pick: the front, what may belong there, baseline, best uniform."""
    rows = [*judged.front, *judged.undecided[:_MAX_UNDECIDED]]
    there = {row.name for row in rows}
    for row in (judged.baseline, judged.best_uniform):
        if row is not None and row.name not in there:
            rows.append(row)
            there.add(row.name)
    return rows


def role_of(row: Row, judged: Judged) -> str:
    """What an assignment is beside a point: the baseline, or the best uniform assignment."""
    if judged.baseline and row.name == judged.baseline.name:
        return "baseline"
    if judged.best_uniform and row.name == judged.best_uniform.name:
        return "best uniform"
    return ""


def colours_of(judged: Judged) -> dict[str, str]:
    """Backend → colour, over all runs."""
    names = dict.fromkeys(chain.from_iterable(_backends(run) for run in judged.runs.values()))
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def data_of(judged: Judged, limits: Sequence[Limit] = ()) -> dict[str, Any]:
    """What the page's script draws, as plain data; ids as text.

    Of more than 4000 measured points the ones far from the front are left out; texts of assignments
    are kept for as many as fit 6 MB, the front's first.
    """
    runs = judged.runs
    colours = colours_of(judged)
    order = _order(runs)
    points = _thinned(judged)
    front = {row.name for row in judged.front}
    perhaps = {row.name for row in judged.undecided[:_MAX_UNDECIDED]}
    digits = {name: _digits(run) for name, run in runs.items()}
    widest = max(len(run.header.space.variables) for run in runs.values())
    kept_digits = _MAX_DIGITS // max(1, widest)
    numbers = {name: i for i, name in enumerate(runs)}
    room = _MAX_CONFIGURATIONS
    drawn = []
    for n, row in enumerate(points):
        point = _point(row, judged) | {"run": numbers[row.runtime]}
        first = row.estimate.trials[0]
        point |= {"order": order[row.runtime, first.number], "origin": first.source}
        point |= {"handle": handle(n)} if row.name in front else {}
        point |= {"front": row.name in front, "perhaps": row.name in perhaps}
        if n < kept_digits:
            point["digits"] = digits[row.runtime](row.estimate.assignment)
        if n < len(front) + len(perhaps) + 2 and len(text := row.configuration) <= room:
            room -= len(text)
            point["configuration"] = text
        drawn.append(point)
    failures = [
        entry | {"run": numbers[name], "order": order[name, trial.number]}
        for name, run in runs.items()
        for trial, entry in _failures(run, digits[name] if kept_digits > len(points) else None)
    ]
    first_row = offered(judged, limits) if judged.front else None
    return {
        "objectives": [{"name": o.name, "unit": o.shown_unit} for o in judged.objectives],
        "runs": [_run(name, run, colours) for name, run in runs.items()],
        "points": drawn,
        "measured": len(judged.measured),
        "leftOut": len(judged.measured) - len(points),
        "failures": sorted(failures, key=lambda f: int(f["order"])),
        "failureCount": sum(len(run.failures) for run in runs.values()),
        "isNoiseKnown": judged.is_noise_known,
        "baseline": judged.baseline.name if judged.baseline else None,
        "first": first_row.name if first_row else None,
        "limits": [
            {"objective": judged.objectives.index(x.objective), "most": x.objective.shown(x.most)}
            for x in limits
        ],
        "steps": [
            {"trials": s.trials, "seconds": s.seconds, "hypervolume": s.hypervolume}
            for s in _sparse(_steps(judged, order))
        ],
        "trials": sum(run.trials for run in runs.values()),
        "seconds": sum(run.seconds for run in runs.values()),
    }


def _backends(run: Summary) -> tuple[str, ...]:
    return run.header.space.backends


def _run(name: str, run: Summary, colours: Mapping[str, str]) -> dict[str, Any]:
    """What is chosen in a run, and the model that it is chosen for."""
    space, graph = run.header.space, run.header.graph
    owner = {o: i for i, v in enumerate(space.variables) for o in v.operations}
    if graph is not None and owner and max(owner) >= len(graph.operations):
        graph = None  # a table whose operations are numbered otherwise
    return {
        "name": name,
        "runtime": run.header.runtime,
        "target": run.header.target,
        "backends": list(space.backends),
        "colours": [colours[backend] for backend in space.backends],
        "variables": [
            {
                "name": v.name,
                "choices": list(v.choices),
                "isSetting": v.is_setting,
                "count": len(v.operations),
            }
            for v in space.variables
        ],
        "operations": _operations(graph, owner) if graph else [],
        "edges": [[e.producer, e.consumer, e.size_bytes] for e in (graph.edges if graph else ())],
        "profiles": {
            backend: {str(i): 1e3 * seconds for i, seconds in times.items()}
            for backend, times in run.profiles.items()
            if backend in space.backends and graph is not None
        },
    }


def _operations(graph: Graph, owner: Mapping[int, int]) -> list[dict[str, Any]]:
    return [
        {
            "name": o.name or o.builtin,
            "builtin": o.builtin,
            "shape": list(graph.tensors[o.outputs[0]].shape) if o.outputs else [],
            "origin": graph.origins[o.index] if graph.origins else None,
            "bytes": o.data_bytes,
            "weights": o.weight_bytes,
            "variable": owner.get(o.index, -1),
        }
        for o in graph.operations
    ]


def _order(runs: Mapping[str, Summary]) -> dict[tuple[str, int], int]:
    """Run and number of a trial → its place among the trials of all runs, from 1."""
    trials: list[tuple[str, Trial]] = [
        (name, trial)
        for name, run in runs.items()
        for trial in chain(run.failures, *(row.estimate.trials for row in run.measured))
    ]
    if len(runs) == 1:
        return {(name, trial.number): trial.number + 1 for name, trial in trials}
    trials.sort(key=lambda pair: (pair[1].started_at, pair[0], pair[1].number))
    return {(name, trial.number): i for i, (name, trial) in enumerate(trials, start=1)}


def _steps(judged: Judged, order: Mapping[tuple[str, int], int]) -> Sequence[Step]:
    """How the hypervolume grew: of one run as it says, of several over all their trials."""
    if len(judged.runs) == 1:
        return next(iter(judged.runs.values())).steps
    rows = sorted(judged.measured, key=lambda r: order[r.runtime, r.estimate.trials[0].number])
    places = [order[row.runtime, row.estimate.trials[0].number] for row in rows]
    shares = growth([row.estimate.values for row in rows], judged.reference)
    spent = {name: run.seconds / max(1, run.trials) for name, run in judged.runs.items()}
    mean = sum(spent.values()) / len(spent)
    return [
        Step(place, i, place * mean, share)
        for i, (place, share) in enumerate(zip(places, shares, strict=True), start=1)
    ]


def _sparse(steps: Sequence[Step]) -> Iterator[Step]:
    """Steps that change something."""
    before = None
    for step in steps:
        if before is None or step.hypervolume != before:
            yield step
        before = step.hypervolume


def _thinned(judged: Judged) -> list[Row]:
    """All rows, what is listed first, of many those nearest to the front's figures."""
    first = listed(judged)
    there = {row.name for row in first}
    rest = [row for row in judged.measured if row.name not in there]
    if len(first) + len(rest) > _MAX_POINTS:
        least = [min(r.estimate.values[i] for r in first) for i in range(len(judged.objectives))]

        def distance(row: Row) -> float:
            pairs = zip(row.estimate.values, least, strict=True)
            return max(math.log(max(v, 1e-300) / max(low, 1e-300)) for v, low in pairs)

        rest = sorted(rest, key=distance)[: max(0, _MAX_POINTS - len(first))]
    return first + rest


def _digits(run: Summary) -> Callable[[Assignment], str]:
    places = [{c: _digit(i) for i, c in enumerate(v.choices)} for v in run.header.space.variables]

    def text(assignment: Assignment) -> str:
        return "".join(p[c] for p, c in zip(places, assignment, strict=True))

    return text


def _digit(number: int) -> str:
    """A character for a choice's number: of 36 or more one that no shorter alphabet has."""
    few = len(_DIGITS)
    return _DIGITS[number] if number < few else chr(_FURTHER_DIGITS + number - few)


def _point(row: Row, judged: Judged) -> dict[str, Any]:
    names = [o.name for o in judged.objectives]
    point: dict[str, Any] = {
        "id": row.name,
        "values": [row.values[n] for n in names],
        "role": role_of(row, judged),
        "probability": row.place.probability,
        "verdict": _VERDICTS.get(row.place.verdict) if row.place.verdict else None,
        "ties": [str(t) for t in row.ties[:3]],
    }
    if row.intervals:
        ends = [row.intervals[n] for n in names]
        point["low"] = [pair and pair[0] for pair in ends]
        point["high"] = [pair and pair[1] for pair in ends]
    return point


def _failures(
    run: Summary, digits: Callable[[Assignment], str] | None
) -> Iterator[tuple[Trial, dict[str, Any]]]:
    failures = [(t, t.outcome) for t in run.failures if isinstance(t.outcome, Failure)]
    for trial, failure in failures[:_MAX_FAILURES]:
        entry = {
            "id": str(run.header.space.id_of(trial.assignment)),
            "kind": str(failure.kind),
            "message": failure.message[:300],
        }
        yield trial, entry | ({"digits": digits(trial.assignment)} if digits else {})


def limit_words(limit: Limit) -> str:
    """A limit as people write it."""
    return f"{limit.objective.name} ≤ {shown(limit.objective, limit.most)}"
