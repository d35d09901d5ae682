"""An explanation as text: the difference from the baseline, choice by choice."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Final

from rich.table import Table

from pareto_profiler.core.membership import Verdict
from pareto_profiler.core.space import Assignment
from pareto_profiler.report.naming import named
from pareto_profiler.report.summary import Row, Summary
from pareto_profiler.samplers.structured.explanation import Choice, Effect, Explanation
from pareto_profiler.storage.journal import is_journal

SHOWN: Final = 15
"""Choices, unless all are asked for."""

_NAMED: Final = 6
_WORKS: Final = 0.5


def explained(
    run: Path,
    summary: Summary,
    assignment: Assignment,
    found: Explanation,
    *,
    everything: bool,
) -> list[Table | str]:
    """The parts of the explanation of an assignment, in order: prose and tables."""
    parts: list[Table | str] = [_headline(summary, assignment, found)]
    if not found.choices:
        parts.append("It is the baseline: there is nothing to explain.")
        return parts
    parts += [
        _differences(summary, assignment, found),
        "(±: standard deviation)\n",
        _choices(summary, found, everything=everything),
    ]
    more = len(found.choices) - SHOWN
    is_cut = more > 0 and not everything
    # Put back alone, a choice is all that needs the baseline's backend.
    unused = set(summary.header.space.backends) & {c.default for c in found.choices} - set(
        assignment
    )
    parts += [f"(each includes what {name} costs once it is in use)" for name in sorted(unused)]
    if any(choice.works <= _WORKS for choice in found.choices):
        parts.append("(! without this choice it likely fails)")
    parts.append(f"and {more} more that change less (--all)\n" if is_cut else "")
    parts.append(_simplifications(run, summary, assignment, found))
    return parts


def _headline(summary: Summary, assignment: Assignment, found: Explanation) -> str:
    row = summary.row_of(assignment)
    number = summary.header.space.id_of(assignment)
    name, lines = named(summary, str(number)), []
    if row is None:
        lines.append(f"{name} of {summary.header.model_name}: not measured, as predicted")
    else:
        of = {name: f" ({x:.1%} of the baseline)" for name, x in row.against_baseline.items()}
        figures = [
            f"{o.name} {plain(row.values[o.name])} {o.shown_unit}"
            + (", no verdict" if o.name in row.untold else of.get(o.name, ""))
            for o in summary.objectives
        ]
        lines.append(
            f"{name} of {summary.header.model_name}: {', '.join(figures)}; {_place(row, summary)}"
        )
    untold = _untold(summary)
    if untold:
        lines.append(f"no verdict on {', '.join(sorted(untold))}: the baseline's cannot be told")
    errors = ", ".join(
        f"{s.objective} {f'to {s.error:.2%}' if s.error < 1 else 'not at all'}"
        for s in found.skills
        if s.objective not in untold
    )
    lines.append(f"by a model that predicts {errors} (each measurement from all others)\n")
    return "\n".join(lines)


def _place(row: Row, summary: Summary) -> str:
    """Whether it is on the front, and how sure that is."""
    place = "on the front" if row in summary.front else "not on the front"
    if row.estimate.is_contended and row.untold:
        return f"{place} (no verdict: other work disturbed its times)"
    if not summary.is_noise_known or row.place.verdict is not Verdict.INCONCLUSIVE:
        return place
    return f"{place} (undecided: on it with {math.floor(100 * row.place.probability)} %)"


def _differences(summary: Summary, assignment: Assignment, found: Explanation) -> Table:
    table = Table(
        "",
        box=None,
        padding=(0, 2, 0, 0),
        title="The difference from the baseline",
        title_justify="left",
    )
    for o in summary.objectives:
        table.add_column(f"{o.name} {o.shown_unit}", justify="right")
    for part in found.parts:
        table.add_row(part.name, *_cells(part.effect, summary))
    table.add_section()
    table.add_row("in all, by the model", *_cells(found.whole, summary))
    measured = summary.row_of(assignment)
    if measured is not None and summary.baseline is not None:
        base, untold = summary.baseline.values, {*measured.untold, *summary.baseline.untold}
        differences = [measured.values[o.name] - base[o.name] for o in summary.objectives]
        told = [o.name not in untold for o in summary.objectives]
        beyond = [d - m for d, m in zip(differences, found.whole.values, strict=True)]
        for name, values in (("beyond the model", beyond), ("as measured", differences)):
            cells = [
                _signed(value) if is_told else "–"
                for value, is_told in zip(values, told, strict=True)
            ]
            table.add_row(name, *cells)
    return table


def _choices(summary: Summary, found: Explanation, *, everything: bool) -> Table:
    shown = found.choices if everything else found.choices[:SHOWN]
    objectives, untold = summary.objectives, _untold(summary)
    telling = [
        k
        for k, o in enumerate(objectives)
        if o.name not in untold and any(_is_telling(c, k) for c in found.choices)
    ]
    table = Table(
        box=None,
        padding=(0, 1, 0, 0),
        title="What each choice changes, all others as they are",
        title_justify="left",
    )
    table.add_column("choice")
    table.add_column("from → to")
    for k, o in enumerate(objectives):
        table.add_column(f"{o.name}\n{o.shown_unit}", justify="right", no_wrap=True)
        if k in telling:
            table.add_column("hand-\novers", justify="right", no_wrap=True)
    table.add_column("")
    for choice in shown:
        cells = []
        for k, cell in enumerate(_cells(choice.effect, summary)):
            cells.append(cell)
            if k in telling:
                share = choice.through["hand-overs"][k]
                cells.append(_signed(share) if _is_telling(choice, k) else "")
        needed = "" if choice.works > _WORKS else "!"
        table.add_row(
            _original(choice.variable, summary),
            f"{choice.default} → {choice.choice}",
            *cells,
            needed,
        )
    return table


def _original(variable: str, summary: Summary) -> str:
    """The name of a variable, with the number of its operation in the file that was adapted."""
    graph = summary.header.graph
    _, sign, number = variable.rpartition("@")
    if graph is None or not graph.origins or not sign or not number.isdecimal():
        return variable
    return f"{variable} (was @{graph.origins[int(number)]})"


def _is_telling(choice: Choice, k: int) -> bool:
    """Whether what hand-overs change can be told from nothing."""
    return abs(choice.through["hand-overs"][k]) > max(
        choice.effect.deviations[k], 0.02 * abs(choice.effect.values[k]), 1e-9
    )


def _cells(effect: Effect, summary: Summary) -> list[str]:
    baseline, untold = summary.baseline, _untold(summary)
    cells = []
    for o, value, deviation in zip(
        summary.objectives, effect.values, effect.deviations, strict=True
    ):
        if o.name in untold:
            cells.append("–")
            continue
        # What is less than a ten-thousandth of the baseline is not worth digits.
        least = 1e-4 * baseline.values[o.name] if baseline else 0.0
        if abs(value) < least and deviation < least:
            cells.append("0")
        else:
            cells.append(_signed(value) + (f" ± {plain(deviation, 2)}" if deviation else ""))
    return cells


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '-'}{plain(abs(value), 3)}"


def plain(value: float, digits: int = 4) -> str:
    """With so many digits that tell, no power of ten."""
    if not math.isfinite(value):
        return "?"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(6, decimals)}f}"


def _simplifications(
    run: Path, summary: Summary, assignment: Assignment, found: Explanation
) -> str:
    if not found.simplifications:
        return (
            "None of these is known not to matter: put back to the baseline's, each may cost more "
            "than noise, or fail.\n"
        )
    space = summary.header.space
    lines = ["What it could do without: choices put back to the baseline's"]
    for simpler in found.simplifications:
        names = ", ".join(simpler.put_back[:_NAMED])
        more = len(simpler.put_back) - _NAMED
        names += f" and {more} more" if more > 0 else ""
        cells = _cells(simpler.effect, summary)
        changes = ", ".join(
            f"{o.name} {cell} {o.shown_unit}"
            for o, cell in zip(summary.objectives, cells, strict=True)
            if o.name not in _untold(summary)
        )
        lines.append(
            f"  {named(summary, str(space.id_of(simpler.assignment)))}: {len(simpler.put_back)} of "
            f"{len(found.choices)} ({names}): {changes}, predicted; works with a probability of "
            f"{simpler.works:.0%}"
        )
    if is_journal(run) and "model" in summary.header.origin:
        number = space.id_of(assignment)
        where = shlex.quote(str(run))
        lines.append(f"To measure that: pareto-profiler explain {where} {number} --simplify")
    return "\n".join(lines) + "\n"


def _untold(summary: Summary) -> set[str]:
    """Objectives of which nothing can be explained: those of the baseline tell nothing."""
    return set(summary.baseline.untold) if summary.baseline else set()
