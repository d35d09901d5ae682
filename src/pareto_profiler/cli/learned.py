"""``pareto-profiler learned``: what the structured sampler believes, and how rightly."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table

from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import JsonOption, RunArgument, TableOptions, command
from pareto_profiler.cli.output import console, print_json
from pareto_profiler.errors import InputError
from pareto_profiler.report.naming import short_id
from pareto_profiler.report.summary import Summary
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.samplers.structured.model_report import ModelReport, model_report_of
from pareto_profiler.storage.opening import open_recording


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
    told = Summary.of(recording).baseline
    untold = told.untold if told else ()
    found = found and found.without(untold)
    if found is None:
        raise InputError(f"{run}: the baseline was not measured: there is nothing to learn from")
    if as_json:
        print_json(found.to_json())
        return
    for name in sorted(untold):
        note(f"no verdict on {name}: other work disturbed the baseline each time")
    out = console()
    for part in _parts(found):
        out.print(part)


def _parts(found: ModelReport) -> list[RenderableType]:

    parts: list[RenderableType] = []
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
    skills.caption = "each measurement predicted from all others"
    parts.append(skills)
    terms = Table("term", box=None, title="What it learned", title_justify="left")
    for title in ("objective", "value", "±", ""):
        terms.add_column(title, justify="left" if title == "objective" else "right")
    for term in found.terms:
        terms.add_row(
            term.name, term.objective, f"{term.value:.4g}", f"{term.deviation:.2g}", term.unit
        )
    parts.append(terms)
    if found.culprits:
        culprits = Table(
            "together", "probability", box=None, title="What fails", title_justify="left"
        )
        for culprit in found.culprits:
            culprits.add_row(" + ".join(culprit.choices), f"{culprit.probability:.0%}")
        culprits.caption = "choices that together make an assignment fail or compute wrongly"
        parts.append(culprits)
    if not found.front:
        return parts
    front = Table("id", box=None, title="The front it predicts", title_justify="left")
    for name, unit in found.units.items():
        front.add_column(f"{name} {unit}", justify="right")
    front.add_column("works", justify="right")
    front.add_column("measured", justify="right")
    for point in found.front:
        cells = [f"{v:.4g} ± {d:.2g}" for v, d in zip(point.values, point.deviations, strict=True)]
        front.add_row(
            short_id(point.id), *cells, f"{point.works:.0%}", "yes" if point.is_measured else "no"
        )
    parts.append(front)
    return parts
