"""``pareto-profiler learned``: what the structured sampler believes, and how rightly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table

from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import JsonOption, RunArgument, TableOptions, command
from pareto_profiler.cli.output import print_json, say, show
from pareto_profiler.errors import InputError
from pareto_profiler.report.explained import plain
from pareto_profiler.report.naming import handle, short_id
from pareto_profiler.report.summary import Summary
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.samplers.structured.model_report import ModelReport, Point, model_report_of
from pareto_profiler.storage.opening import open_recording

_SHOWN: Final = 12


@command
def learned(
    run: RunArgument,
    given: TableOptions,
    as_json: JsonOption = False,
) -> None:
    """Show the model that `structured` fits to a run, whichever sampler made it.

    What backends, copies between them and settings cost; the front that it predicts; which choices
    together fail; and how well it predicted each measurement from all others, which says whether
    to trust the rest.
    """
    recording = open_recording(run, given.names, given.baseline)
    header = recording.header
    problem = problem_of(header)
    found = model_report_of(problem, recording.trials)
    summary = Summary.of(recording)
    untold = summary.baseline.untold if summary.baseline else ()
    found = found and found.without(untold)
    if found is None:
        raise InputError(f"{run}: the baseline was not measured: there is nothing to learn from")
    if as_json:
        print_json(found.to_json())
        return
    for name in sorted(untold):
        note(f"no verdict on {name}: other work disturbed the baseline each time")
    for part in _parts(found, summary):
        say(part) if isinstance(part, str) else show(part)


def _parts(found: ModelReport, summary: Summary) -> list[Table | str]:
    parts: list[Table | str] = []
    skills = Table("", box=None, title="How well it predicts", title_justify="left")
    for title in ("measured", "typical error", "within its 90 %", "rank correlation"):
        skills.add_column(title, justify="right")
    for skill in found.skills:
        skills.add_row(
            skill.objective,
            str(skill.measured),
            f"{skill.error:.2%}",
            f"{skill.coverage:.0%}",
            f"{skill.correlation:.2f}",
        )
    parts += [skills, "(each measurement predicted from all others)\n"]
    terms = Table("term", box=None, title="What it learned", title_justify="left")
    for title in ("objective", "value", "±", "unit"):
        is_text = title in {"objective", "unit"}
        terms.add_column(title, justify="left" if is_text else "right", no_wrap=title != "unit")
    for term in found.terms:
        terms.add_row(
            term.name, term.objective, plain(term.value), plain(term.deviation, 2), term.unit
        )
    parts.append(terms)
    if found.culprits:
        culprits = Table(
            "together", "probability", box=None, title="What fails", title_justify="left"
        )
        for culprit in found.culprits:
            culprits.add_row(" + ".join(culprit.choices), f"{culprit.probability:.0%}")
        parts += ["", culprits]
        parts.append("(choices that together make an assignment fail or compute wrongly)")
    if found.front:
        parts += ["", _predicted(found, summary)]
    if len(found.front) > _SHOWN:
        parts.append(f"({_SHOWN} of {len(found.front)}; all with --json)")
    return parts


def _predicted(found: ModelReport, summary: Summary) -> Table:
    """The front that the model predicts; what is on the measured one by its handle."""
    front = Table("", box=None, title="The front it predicts", title_justify="left")
    for name, unit in found.units.items():
        front.add_column(f"{name} {unit}", justify="right")
    front.add_column("works", justify="right")
    front.add_column("measured", justify="right")
    handles = {row.id: handle(i) for i, row in enumerate(summary.front)}
    for point in _some(found.front):
        figures = zip(point.values, point.deviations, strict=True)
        front.add_row(
            handles.get(point.id, short_id(point.id)),
            *(f"{plain(value)} ± {plain(deviation, 2)}" for value, deviation in figures),
            f"{point.works:.0%}",
            "yes" if point.is_measured else "no",
        )
    return front


def _some(points: Sequence[Point]) -> list[Point]:
    """As many as are shown, from one end to the other."""
    count = min(_SHOWN, len(points))
    return [points[round(i * (len(points) - 1) / max(1, count - 1))] for i in range(count)]
