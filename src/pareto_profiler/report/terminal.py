"""A summary as text: the front as a table, where it lies as a scatter, what failed and why."""

from __future__ import annotations

import math
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.membership import LIKELY, Verdict
from pareto_profiler.core.space import Granularity, readable
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind, tame
from pareto_profiler.report.naming import counts_of, handle
from pareto_profiler.report.selection import Limit, knee_of, offered
from pareto_profiler.report.summary import Judged, Row, Summary
from pareto_profiler.runtimes import runtime_of

WIDTH: Final = 80
"""Columns of what is printed."""

_HEIGHT: Final = 40
_MESSAGE_WIDTH: Final = 60
# How far beyond the front and the uniform choices the scatter looks: one outlier of 100 times the
# latency would squeeze all that matters into a corner.
_WINDOW: Final = 2.0
_TELLING_POINTS: Final = 3
_SCATTER_WIDTH: Final = 76
_SCATTER_HEIGHTS: Final = (7, 16)
_FRONT: Final = 18
_UNDECIDED: Final = 1
_MIN_SHOWN: Final = 0.0005
_MIN_CHOICES: Final = 18
_SHORT_ID: Final = 7
_FEW_CHOICES: Final = 64
_LONG_CONFIGURATION: Final = 400


def progress_of(summary: Summary) -> str:
    """How many assignments were measured, of how many.

    Those that the support tables rule out count where they were tried all the same.
    """
    space = summary.header.space
    measured = [row.estimate.assignment for row in summary.measured]
    outside = sum(not space.is_feasible(a) for a in measured)
    return f"{len(measured)} of {readable(space.size + outside)}"


def summary_text(summary: Summary, path: Path | None = None, limits: Sequence[Limit] = ()) -> str:
    """What was searched, the front, what is uncertain, and what to do next: 80 columns wide.

    Where the front leaves room on a screen of 40 lines it is drawn, too.

    Args:
        summary: What is shown.
        path: Of the run, for the commands that come next; None where it is kept nowhere.
        limits: That were given beforehand.
    """
    lines = [*_title(summary), *(f"warning: {text}" for text in summary.warnings), ""]
    lines += front_legend("Front", summary.objectives)
    lines += ["", *front_table(summary, _choices_of), *_undecided_table(summary), ""]
    lines += _reference_lines(summary)
    lines += [f"! {c.words}" for c in summary.checks if not c.is_good]
    good = [c.words for c in summary.checks if c.is_good]
    lines += [f"✓ {'; '.join(good)}"] if good else []
    lines += _failure_lines(summary)
    after = _next_lines(summary, path, limits)
    wrapped = [one for line in lines for one in wrap(line)]
    if len(summary.measured) > 1:
        room = _HEIGHT - len(wrapped) - len(after) - 3
        if room >= _SCATTER_HEIGHTS[0]:
            height = min(room, _SCATTER_HEIGHTS[1])
            drawn = scatter(summary, height).rstrip().splitlines()
            wrapped += ["", *(line.rstrip() for line in drawn)]
    return tame("\n".join([*wrapped, *after]))


def wrap(line: str) -> list[str]:
    """A line as lines of 80 columns, the further ones indented; tables are that narrow by design.

    Examples:
        >>> wrap("! " + "word " * 30)[1][:7]
        '  word '
    """
    if len(line) <= WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    # A path or an id is copied from here: whole, however long.
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def front_legend(title: str, objectives: Sequence[Objective]) -> list[str]:
    """What the columns of figures are."""
    return wrap(f"{title} of " + " and ".join(f"{o.name} ({o.meaning})" for o in objectives))


def front_table(judged: Judged, choices: Callable[[Row, int], str]) -> list[str]:
    """The points of a front, a line each: handle, figures, how sure, what runs where.

    Args:
        judged: A run, or several together.
        choices: Of a row, in so many columns, what runs where.
    """
    objectives = [f"{o.name}, {o.shown_unit}" for o in judged.objectives]
    second = [] if _second(judged, judged.front[:1]) is None else [""]
    heads = ["", *second, *objectives, "", "operations on"]
    return _rows_of(judged, judged.front[:_FRONT], choices, heads) + _marks_told(judged)


def _second(judged: Judged, rows: Sequence[Row]) -> list[str] | None:
    """Of each row what stands behind its handle: its runtime, or its id where all are short."""
    if any(row.runtime for row in rows):
        return [row.runtime for row in rows]
    if all(len(str(row.id)) <= _SHORT_ID for row in (*judged.front, *rows)):
        return [f"id {row.id}" for row in rows]
    return None


def _rows_of(
    judged: Judged,
    rows: Sequence[Row],
    choices: Callable[[Row, int], str],
    heads: Sequence[str] = (),
) -> list[str]:
    objectives, places = judged.objectives, {r.name: i for i, r in enumerate(judged.front)}
    decimals = {o: decimals_of([r.values[o.name] for r in judged.front], o) for o in objectives}
    second = _second(judged, rows)
    table = [[*heads[:-1]]] if heads else []
    for n, row in enumerate(rows):
        figures = [
            f"{row.values[o.name]:.{decimals[o]}f}" + (half_width(row, o) if row.intervals else "")
            for o in objectives
        ]
        name = handle(places[row.name]) if row.name in places else "·"
        table.append([name, *([] if second is None else [second[n]]), *figures, _sure(row, judged)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    left = max(_MIN_CHOICES, WIDTH - sum(widths) - 2 * len(widths))
    told = [
        *heads[-1:],
        *(textwrap.shorten(choices(r, left), left, placeholder=" …") for r in rows),
    ]
    return [
        "  ".join([*(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)), last]).rstrip()
        for cells, last in zip(table, told, strict=True)
    ]


def _marks_told(judged: Judged) -> list[str]:
    marks = []
    if (more := len(judged.front) - _FRONT) > 0:
        marks.append(f"{more} more with --json")
    marks.append("letters may change, ids never do")
    if any(row.placement is not None for row in judged.front):
        marks[-1] += "; ✓ placement verified"
    if judged.is_noise_known:
        sure = f"{100 * judged.header.confidence:g} %"
        marks.append(f"60%? probability of being on it, decided at {sure}")
        if any(not r.untold and r.place.probability < LIKELY for r in judged.front):
            marks.append("below 50 %: the likeliest of several there")
        marks.append("=B cannot be told from B")
        if any(row.estimate.is_contended for row in judged.front):
            marks.append("busy: other work disturbed it, ±? by how much cannot be told")
        marks.append("±: 95 % interval")
    return wrap(f"({'; '.join(marks)})")


def _sure(row: Row, judged: Judged) -> str:
    """How sure the place of a row is."""
    parts = ["✓" if row.placement is not None else " "]
    if judged.is_noise_known and row.untold:
        parts.append("?")
    elif judged.is_noise_known and row.place.verdict is not Verdict.ON:
        # Never rounded up to what would be a verdict.
        parts.append(f"{math.floor(100 * row.place.probability)}%?")
    names = {(other.runtime, other.id): handle(i) for i, other in enumerate(judged.front)}
    same = [names[row.runtime, tie] for tie in row.ties if (row.runtime, tie) in names]
    parts += [f"={name}" for name in same[:1]]
    if row.estimate.is_contended:
        parts.append("busy")
    return " ".join(parts)


def configured(row: Row) -> str:
    """The configuration; of a long one how many operations run where.

    One that is a variable of the environment is to be copied, and stays a line.
    """
    text = row.configuration.strip()
    if len(text) <= _LONG_CONFIGURATION:
        return text if "=" in text else _filled(text, "  ")
    counts = counts_of(row.header.space, row.estimate.assignment)
    return f"{counts} (deploy writes it, --json shows it)"


def _filled(text: str, indent: str) -> str:
    """Broken into lines behind commas and blanks; all but the first are indented."""
    lines = [""]
    for piece in re.split(r"(?<=[, ])", text):
        if len(indent + lines[-1] + piece.rstrip()) > WIDTH:
            lines.append("")
        lines[-1] += piece
    return f"\n{indent}".join(line.rstrip() for line in lines)


def _choices_of(row: Row, width: int) -> str:
    """How many operations run where; without the names of settings where there is no room."""
    space, assignment = row.header.space, row.estimate.assignment
    counts = counts_of(space, assignment)
    return counts if len(counts) <= width else counts_of(space, assignment, has_names=False)


def _undecided_table(summary: Summary) -> list[str]:
    if not summary.undecided:
        return []
    rows = _rows_of(summary, summary.undecided[:_UNDECIDED], _choices_of)
    is_one = len(summary.undecided) == 1
    return [f"{more_on(summary)}{':' if is_one else '; most likely:'}", *rows]


def more_on(judged: Judged) -> str:
    """How many more may be on the front than are shown."""
    count = len(judged.undecided)
    return f"{count} more may be on the front" if count > 1 else "one more may be on the front"


def _next_lines(summary: Summary, path: Path | None, limits: Sequence[Limit]) -> list[str]:
    """The commands that come next."""
    if path is None or not summary.front:
        return []
    row = offered(summary, limits)
    run = shlex.quote(str(path))
    place = next((i for i, other in enumerate(summary.front) if other.id == row.id), None)
    name = str(row.id) if place is None else handle(place)
    lines = [""]
    if len(summary.front) > 1 and not limits:
        limit = _limit_of(row, summary.objectives)
        lines.append(f"choose:      pareto-profiler select {run} {limit}")
    if row.estimate.is_contended and row.untold:
        lines += wrap(
            f"no time can be told: {name} is the smallest, and may be slow; confirm first"
        )
    lines.append(f"ship one:    pareto-profiler deploy {run} {name}")
    lines.append(f"understand:  pareto-profiler explain {run} {name}")
    space = summary.header.space
    is_coarse = space.granularity is Granularity.NAME and space.size <= _FEW_CHOICES
    if is_coarse and len(space.backends) > 1:
        lines.append("more choice: search again with --granularity operation, or another --runtime")
    if summary.undecided and summary.is_noise_known and runtime_of(summary.header).forms:
        lines.append(f"be surer:    pareto-profiler confirm {run}")
    return lines


def _limit_of(row: Row, objectives: Sequence[Objective]) -> str:
    """An option that a point keeps: its memory, or its first figure where memory is none."""
    memory = next((o for o in objectives if o.is_memory), None)
    if memory is None:
        return f"--max {objectives[0].name}={row.values[objectives[0].name]:.4g}ms"
    size = f"{math.ceil(row.values[memory.name] / 102.4) / 10:g}MiB"
    return f"--max-rss {size}" if memory.name == "max_rss" else f"--max {memory.name}={size}"


def scatter(summary: Summary, height: int = _SCATTER_HEIGHTS[1]) -> str:
    """The front, the baseline and the measured points near them, over the first two objectives."""
    import plotext

    x, y = summary.objectives[:2]
    front = {row.id for row in summary.front}
    others = [row for row in summary.measured if row.id not in front]
    landmarks = [r for r in (*summary.front, summary.baseline, summary.best_uniform) if r]
    limits = {o.name: _WINDOW * max(r.values[o.name] for r in landmarks) for o in (x, y)}
    near = [r for r in others if all(r.values[name] <= most for name, most in limits.items())]
    if len({row.id for row in (*landmarks, *near)}) < _TELLING_POINTS:
        near = others
    plot = plotext.figure
    plot.clear()
    plot.plot_size(_SCATTER_WIDTH, height)
    groups: list[tuple[Sequence[Row], str, str]] = [
        (near, "·", "measured"),
        (summary.front, "●", "front"),
        ([summary.baseline] if summary.baseline else [], "B", "baseline"),
    ]
    (by_x, unit_x), (by_y, unit_y) = _axis(x), _axis(y)
    legend = []
    for rows, marker, label in groups:
        if rows:
            points = plot.signal(
                [row.values[x.name] / by_x for row in rows],
                [row.values[y.name] / by_y for row in rows],
                marker=marker,
            )
            plot.draw(points)
            legend.append(f"{marker} {label}")
    plot.label(f"{x.name} ({unit_x})", axis="x")
    plot.label(f"{y.name} ({unit_y})", axis="y")
    text = plot.build().string(colorless=True)
    plot.clear()
    outside = len(others) - len(near)
    if outside:
        legend.append(f"({outside} far worse point{'s' * (outside > 1)} outside)")
    if len(summary.objectives) > 2:
        legend.append(f"(a front of {len(summary.objectives)} objectives, seen along two)")
    return f"{text}\n     {'   '.join(legend)}\n"


def _axis(objective: Objective) -> tuple[float, str]:
    """What figures are divided by on an axis, and their unit there: memory in short numbers."""
    return (1024, "MiB") if objective.is_memory else (1, objective.shown_unit)


def _title(summary: Summary) -> list[str]:
    header, space = summary.header, summary.header.space
    where = f"{header.runtime} on {header.target}" if header.runtime else "a table"
    unknown = sum(_kind(t) is FailureKind.NOT_RECORDED for t in summary.failures)
    processes = sum(len(row.estimate.trials) for row in summary.measured)
    traces = summary.trials - processes - len(summary.failures)
    counts = [
        f"{progress_of(summary)} assignments measured"
        + (f" in {summary.trials} processes" if processes > len(summary.measured) else ""),
        f"{len(summary.failures) - unknown} failed",
        f"{unknown} not recorded" if unknown else "",
        f"{traces} traced" if traces > 0 and not summary.misplaced else "",
        f"{len(summary.misplaced)} misplaced" if summary.misplaced else "",
    ]
    plan = [f"  {header.plan.in_words}"] if header.plan else []
    return [
        f"{header.model_name}: {where}",
        f"  {len(space.variables)} variables by {space.granularity}; {', '.join(space.backends)}",
        f"  {', '.join(filter(None, counts))}",
        *plan,
    ]


def _kind(trial: Trial) -> FailureKind | None:
    return trial.outcome.kind if isinstance(trial.outcome, Failure) else None


def half_width(row: Row, objective: Objective) -> str:
    """Half the width of the 95 % interval, as a fraction of the figure."""
    ends = row.intervals[objective.name]
    value = row.values[objective.name]
    if ends is None:
        return " ±?"
    share = (ends[1] - ends[0]) / 2 / value if value else 0.0
    return "" if not share else f" ±{share:.1%}" if share >= _MIN_SHOWN else " ±<0.1%"


def _reference_lines(summary: Summary) -> list[str]:
    lines = []
    first = summary.objectives[0].name
    rivals = (("baseline", summary.baseline), (f"best uniform by {first}", summary.best_uniform))
    places = {row.id: handle(i) for i, row in enumerate(summary.front)}
    for what, row in rivals:
        if row is None:
            lines.append(f"{what}: not measured")
            continue
        figures = " · ".join(_figure(row.values[o.name], o) for o in summary.objectives)
        where = f"{places[row.id]} · " if row.id in places else ""
        choices = counts_of(summary.header.space, row.estimate.assignment)
        lines.append(f"{what}: {where}{figures} · {choices}")
    row = knee_of(summary)
    if row is None and summary.front:
        lines.append("knee: none: no point lies below the line between the front's ends")
    if row is not None and summary.baseline:
        shares = [
            f"{o.name} {row.against_baseline[o.name] - 1:+.0%}"
            if o.name in row.against_baseline
            else f"{o.name} no verdict"
            for o in summary.objectives
        ]
        name = places.get(row.id, str(row.id))
        lines.append(f"knee: {name} · {', '.join(shares)} against the baseline")
    corner = " × ".join(
        _figure(o.shown(r), o) for o, r in zip(summary.objectives, summary.reference, strict=True)
    )
    if summary.baseline:
        interval = summary.hypervolume_interval
        spread = f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""
        lines.append(f"hypervolume: {summary.hypervolume:.4f}{spread} of the box up to {corner}")
    if summary.is_noise_known:
        noise = ", ".join(f"{name} {size:.2%}" for name, size in summary.noise.items())
        lines.append(f"noise from process to process: {noise}")
    return [*lines, *(f"note: {text}" for text in summary.notes)]


def decimals_of(values: Sequence[float], objective: Objective) -> int:
    """Decimals that give the smallest of some times four digits; none for memory."""
    least = min((v for v in values if v > 0), default=1.0)
    return min(9, max(0, 3 - math.floor(math.log10(least)))) if objective.unit == "s" else 0


def _figure(value: float, objective: Objective) -> str:
    return f"{value:.{decimals_of([value], objective)}f} {objective.shown_unit}"


def _failure_lines(summary: Summary) -> list[str]:
    lines = []
    for kind, messages in summary.failures_by_kind().items():
        message, count = messages[0]
        more = sum(n for _, n in messages) - count
        rest = f"; {more} with other messages" if more else ""
        lines.append(f"{kind}: {count} × {_shortened(message)}{rest}")
    lines += [f"misplaced: {m}" for p in summary.misplaced for m in p.mismatches[:1]]
    return lines


def _shortened(message: str) -> str:
    return message if len(message) <= _MESSAGE_WIDTH else message[:_MESSAGE_WIDTH] + " …"
