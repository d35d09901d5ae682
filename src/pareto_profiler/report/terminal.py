"""A summary as text: the front as a table, where it lies as a scatter, what failed and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.membership import Verdict
from pareto_profiler.core.space import Assignment, DecisionSpace, readable
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind, tame
from pareto_profiler.report.naming import short_id
from pareto_profiler.report.summary import Row, Summary

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_MESSAGE_WIDTH: Final = 300
_CONFIGURATION_WIDTH: Final = 400
_MESSAGES: Final = 3
# How far beyond the front and the uniform choices the scatter looks: one outlier of 100 times the
# latency would squeeze all that matters into a corner.
_WINDOW: Final = 2.0
_TELLING_POINTS: Final = 3
_SCATTER_SIZE: Final = (76, 18)
_UNDECIDED: Final = 8
_MIN_SHOWN: Final = 0.0005
_TIES: Final = 3


def renderables(summary: Summary) -> list[RenderableType]:
    """The parts of the report, in order, for a Rich console."""
    from rich.text import Text

    plain = [_title(summary), *(f"warning: {text}" for text in summary.warnings), ""]
    plain.append(_legend(summary))
    parts: list[RenderableType] = [Text(tame("\n".join(plain))), _front_table(summary)]
    if summary.undecided:
        parts.append(Text(_undecided_line(summary)))
    parts.append(Text(tame("\n".join(_reference_lines(summary)))))
    checks = [f"{'✓' if c.is_good else '!'} {c.words}" for c in summary.checks]
    parts.append(Text(tame("\n".join([*checks, ""]))))
    if len(summary.measured) > 1:
        parts.append(Text.from_ansi(scatter(summary)))
    parts.append(Text("Configurations of the front", style="bold"))
    parts += [
        Text(f"  id {row.id}:\n    {_configured(row, summary)}", overflow="fold")
        for row in summary.front
    ]
    failures = _failure_lines(summary)
    if failures:
        parts += [Text("\nFailures", style="bold"), Text(tame("\n".join(failures)))]
    return parts


def scatter(summary: Summary) -> str:
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
    plot.plot_size(*_SCATTER_SIZE)
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


def _title(summary: Summary) -> str:
    header = summary.header
    space = header.space
    where = f"{header.runtime} on {header.target}" if header.runtime else "a result dump"
    plan = header.plan
    how = f", {plan.in_words}" if plan else ""
    unknown = sum(_kind(t) is FailureKind.NOT_RECORDED for t in summary.failures)
    processes = sum(len(row.estimate.trials) for row in summary.measured)
    counts = [
        f"{len(summary.measured)} measured"
        + (f" in {processes} processes" if processes > len(summary.measured) else ""),
        f"{len(summary.failures) - unknown} failed",
        f"{unknown} not recorded" if unknown else "",
        f"{len(summary.misplaced)} misplaced" if summary.misplaced else "",
    ]
    return (
        f"{header.model_name}: {len(space.variables)} variables by {space.granularity}, "
        f"backends {', '.join(space.backends)}, {readable(space.size)} feasible assignments; "
        f"{where}{how}\n{', '.join(filter(None, counts))}"
    )


def _kind(trial: Trial) -> FailureKind | None:
    return trial.outcome.kind if isinstance(trial.outcome, Failure) else None


def _legend(summary: Summary) -> str:
    return "\n".join(f"{o.name} ({o.shown_unit}): {o.meaning}" for o in summary.objectives)


def _front_table(summary: Summary) -> Table:
    from rich import box
    from rich.table import Table

    baseline, best = summary.baseline, summary.best_uniform
    # Other settings alone make no rival that is worth two columns.
    has_rival = best is not None and (
        baseline is None or _backends(best, summary) != _backends(baseline, summary)
    )
    table = Table(
        title="Front",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("id", justify="right")
    decimals = {}
    for o in summary.objectives:
        decimals[o.name] = decimals_of([row.values[o.name] for row in summary.front], o)
        table.add_column(f"{o.name}\n{o.shown_unit}", justify="right")
        if baseline:
            table.add_column("of the\nbaseline", justify="right")
        if has_rival:
            table.add_column("of the best\nuniform", justify="right")
    if summary.is_noise_known:
        table.add_column("on the\nfront", justify="right")
    table.add_column("")
    for row in (*summary.front, *summary.undecided[:_UNDECIDED]):
        if summary.undecided and row is summary.undecided[0]:
            table.add_section()
        cells = []
        for o in summary.objectives:
            width = half_width(row, o) if summary.is_noise_known else ""
            cells.append(f"{row.values[o.name]:.{decimals[o.name]}f}{width}")
            cells += [_percent(row.against_baseline, o)] if baseline else []
            cells += [_percent(row.against_best_uniform, o)] if has_rival else []
        cells += [_probability(row)] if summary.is_noise_known else []
        table.add_row(short_id(row.id), *cells, _role(row, summary))
    return table


def half_width(row: Row, objective: Objective) -> str:
    """Half the width of the 95 % interval, as a fraction of the figure."""
    ends = row.intervals[objective.name]
    value = row.values[objective.name]
    if ends is None:
        return " ±?"
    share = (ends[1] - ends[0]) / 2 / value if value else 0.0
    return "" if not share else f" ±{share:.1%}" if share >= _MIN_SHOWN else " ±<0.1%"


def _probability(row: Row) -> str:
    if row.place.verdict is Verdict.ON:
        return "yes"
    if row.untold:
        return "?"
    # Never rounded up to what would be a verdict.
    return f"{math.floor(100 * row.place.probability)}%?"


def _undecided_line(summary: Summary) -> str:
    more = len(summary.undecided) - _UNDECIDED
    rest = f"; {more} more like them" if more > 0 else ""
    return f"below the line: less likely than not to be on the front, but not decided{rest}\n"


def _role(row: Row, summary: Summary) -> str:
    roles = []
    if summary.baseline and row.id == summary.baseline.id:
        roles.append("baseline")
    elif summary.best_uniform and row.id == summary.best_uniform.id:
        roles.append("best uniform")
    if row.placement is not None:
        roles.append("verified")
    if row.estimate.is_contended:
        roles.append("busy")
    if row.ties:
        more = ", …" if len(row.ties) > _TIES else ""
        roles.append("tie " + ", ".join(map(short_id, row.ties[:_TIES])) + more)
    return ", ".join(roles)


def _reference_lines(summary: Summary) -> list[str]:
    lines = []
    first = summary.objectives[0].name
    rivals = (("baseline", summary.baseline), (f"best uniform by {first}", summary.best_uniform))
    for what, row in rivals:
        if row is None:
            lines.append(f"{what}: not measured")
            continue
        figures = " · ".join(_figure(row.values[o.name], o) for o in summary.objectives)
        lines.append(f"{what}: id {short_id(row.id)} · {figures} · {_choices(row, summary)}")
    corner = " × ".join(
        _figure(o.shown(r), o) for o, r in zip(summary.objectives, summary.reference, strict=True)
    )
    if summary.baseline:
        interval = summary.hypervolume_interval
        spread = f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""
        lines.append(f"hypervolume: {summary.hypervolume:.4f}{spread} of the box up to {corner}")
    if summary.is_noise_known:
        lines.append(
            f"±: half the width of the 95 % interval, ? where it cannot be told; on "
            f"the front: yes where that holds with {100 * summary.header.confidence:g} %, else how "
            f"probable it is; differences below {100 * summary.header.margin:g} % count as none"
        )
        noise = ", ".join(f"{name} {size:.2%}" for name, size in summary.noise.items())
        lines.append(f"noise from process to process (standard deviation): {noise}")
    return [*lines, *(f"note: {text}" for text in summary.notes), ""]


def _choices(row: Row, summary: Summary) -> str:
    settings = summary.header.space.settings(row.estimate.assignment)
    words = [f"{name} {choice}" for name, choice in settings.items()]
    return ", ".join([" + ".join(_backends(row, summary)), *words])


def _backends(row: Row, summary: Summary) -> list[str]:
    """Those that a row uses, by their first operation."""
    chosen = zip(summary.header.space.variables, row.estimate.assignment, strict=True)
    return list(dict.fromkeys(choice for v, choice in chosen if not v.is_setting))


def _configured(row: Row, summary: Summary) -> str:
    """The configuration; of a long one how many operations run where."""
    text = row.configuration.rstrip()
    if len(text) <= _CONFIGURATION_WIDTH:
        return text
    counts = counts_of(summary.header.space, row.estimate.assignment)
    return f"{counts} (deploy writes it, --json shows it)"


def counts_of(space: DecisionSpace, assignment: Assignment) -> str:
    """How many operations run where, and the settings.

    Examples:
        >>> space = DecisionSpace.by_names(("cpu", "npu"), ["a", "b", "c"])
        >>> counts_of(space, ("npu", "cpu", "npu"))
        '2 npu, 1 cpu'
    """
    counts: Counter[str] = Counter()
    for variable, choice in zip(space.variables, assignment, strict=True):
        if not variable.is_setting:
            counts[choice] += max(1, len(variable.operations))
    parts = [f"{count} {backend}" for backend, count in counts.most_common()]
    return ", ".join([*parts, *(f"{n} {c}" for n, c in space.settings(assignment).items())])


def _percent(ratios: Mapping[str, float], objective: Objective) -> str:
    return f"{ratios[objective.name]:.1%}" if objective.name in ratios else "–"


def decimals_of(values: Sequence[float], objective: Objective) -> int:
    """Decimals that give the smallest of some times four digits; none for memory."""
    least = min((v for v in values if v > 0), default=1.0)
    return min(9, max(0, 3 - math.floor(math.log10(least)))) if objective.unit == "s" else 0


def _figure(value: float, objective: Objective) -> str:
    return f"{value:.{decimals_of([value], objective)}f} {objective.shown_unit}"


def _failure_lines(summary: Summary) -> list[str]:
    lines = []
    for kind, messages in summary.failures_by_kind().items():
        lines.append(f"  {kind} ({sum(n for _, n in messages)}):")
        for message, count in messages[:_MESSAGES]:
            shown = message if len(message) <= _MESSAGE_WIDTH else message[:_MESSAGE_WIDTH] + " …"
            lines.append(f"    {count} × {shown}")
        if len(messages) > _MESSAGES:
            lines.append(f"    and {len(messages) - _MESSAGES} other messages")
        if kind == FailureKind.WRONG_OUTPUT:
            lines.append(
                "    some mixes of backends and planners compute wrong results in the runtime "
                "itself; see docs/measurement.md"
            )
    lines += [f"  misplaced: {m}" for p in summary.misplaced for m in p.mismatches[:1]]
    return lines
