"""Picture: a run's front for slides and papers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pareto_profiler.core.membership import Verdict
from pareto_profiler.errors import InputError
from pareto_profiler.report.page_data import listed
from pareto_profiler.report.selection import Limit, knee_of, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pareto_profiler.core.measurement import Objective
    from pareto_profiler.report.summary import Row, Summary

_ACCENT: Final = "#0b63ce"
_SOFT: Final = "#8a929b"
_LIMIT: Final = "#c2255c"
_SIZE_INCHES: Final = (6.4, 4.0)
_DOTS_PER_INCH: Final = 200
_KIB_PER_MIB: Final = 1024
_PAD: Final = 0.07
_FEW: Final = 2
_WORDS: Final = {
    "exec_time": "latency: exec_time",
    "max_rss": "peak memory: max_rss",
    "model_rss": "peak memory of the model: model_rss",
    "anon_rss": "memory that cannot be dropped: anon_rss",
    "vram": "memory of GPUs: vram",
}


def picture_of(summary: Summary, picture_format: str, limits: Sequence[Limit] = ()) -> bytes:
    """The first two objectives of the front and what is near it, with 95 % intervals.

    Args:
        summary: What is shown.
        picture_format: ``svg`` or ``png``.
        limits: Drawn as lines.

    Raises:
        InputError: Matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("pictures need Matplotlib: pip install matplotlib") from error

    # The same run gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": summary.header.model_name, "svg.fonttype": "none"}):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, summary, limits)
        out = io.BytesIO()
        metadata = {"Date": None} if picture_format == "svg" else None
        figure.savefig(out, format=picture_format, dpi=_DOTS_PER_INCH, metadata=metadata)
    return out.getvalue()


def _draw(axes: Axes, summary: Summary, limits: Sequence[Limit]) -> None:
    x, y = summary.objectives[0], summary.objectives[min(1, len(summary.objectives) - 1)]
    near = listed(summary)
    for objective, bound, label in (
        (x, axes.set_xlim, axes.set_xlabel),
        (y, axes.set_ylim, axes.set_ylabel),
    ):
        values = [_shown(objective, row) for row in near]
        values += [_scaled(objective, lim.most) for lim in limits if lim.objective == objective]
        pad = _PAD * ((max(values) - min(values)) or abs(max(values)) or 1.0)
        bound(min(values) - pad, max(values) + pad)
        label(_label(objective))
    axes.grid(color="#eef0f2", zorder=0)
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(False)
    xs, ys = ([_shown(o, row) for row in summary.measured] for o in (x, y))
    axes.scatter(xs, ys, s=10, color=_SOFT, alpha=0.6, lw=0, label="measured")
    front = sorted(summary.front, key=lambda row: _shown(x, row))
    if len(summary.objectives) == 2 and len(front) > 1:
        xs, ys = ([_shown(o, row) for row in front] for o in (x, y))
        axes.step(xs, ys, where="post", color=_ACCENT, lw=1, alpha=0.6)
    for row in front:
        is_sure = row.place.verdict is Verdict.ON or not summary.is_noise_known
        axes.errorbar(
            _shown(x, row),
            _shown(y, row),
            xerr=_reach(x, row),
            yerr=_reach(y, row),
            fmt="o",
            ms=6,
            color=_ACCENT,
            mfc=_ACCENT if is_sure else "white",
            lw=1,
            zorder=3,
        )
    axes.plot([], [], "o", color=_ACCENT, label="on the front")
    if summary.is_noise_known and any(row.place.verdict is not Verdict.ON for row in front):
        axes.plot([], [], "o", color=_ACCENT, mfc="white", label="likely, not decided")
    axes.text(0.015, 0.02, "↙ better", transform=axes.transAxes, color=_SOFT, fontsize=8)
    _name_points(axes, summary)
    for limit in limits:
        words = f"≤ {shown(limit.objective, limit.most)}"
        at_limit = _scaled(limit.objective, limit.most)
        if limit.objective == x:
            axes.axvline(at_limit, color=_LIMIT, ls="--", lw=1, label=words)
        elif limit.objective == y:
            axes.axhline(at_limit, color=_LIMIT, ls="--", lw=1, label=words)
    axes.set_title(summary.header.model_name, loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False)


def _name_points(axes: Axes, summary: Summary) -> None:
    """Ring and name what a reader looks for."""
    x, y = summary.objectives[0], summary.objectives[min(1, len(summary.objectives) - 1)]
    knee = knee_of(summary) if len(summary.front) > _FEW else None
    named: dict[int, tuple[str, Row]] = {}
    for name, one in (
        ("baseline", summary.baseline),
        ("best uniform", summary.best_uniform),
        ("knee", knee),
    ):
        if one is not None:
            named.setdefault(one.id, (name, one))
    for name, one in named.values():
        at = (_shown(x, one), _shown(y, one))
        axes.scatter(*at, s=110, facecolors="none", edgecolors="black", lw=1, zorder=4)
        is_right = at[0] > sum(axes.get_xlim()) / 2
        # To the left of what is far right the front comes in.
        shift, align = ((5, 8), ("right", "bottom")) if is_right else ((7, 5), ("left", "bottom"))
        axes.annotate(name, at, shift, textcoords="offset points", ha=align[0], va=align[1])


def _scaled(objective: Objective, value: float) -> float:
    """In the unit of the axis: memory in MiB."""
    return objective.shown(value) / (_KIB_PER_MIB if objective.shown_unit == "KiB" else 1)


def _shown(objective: Objective, row: Row) -> float:
    per = _KIB_PER_MIB if objective.shown_unit == "KiB" else 1
    return row.values[objective.name] / per


def _reach(objective: Objective, row: Row) -> list[list[float]] | None:
    interval = row.intervals.get(objective.name)
    if interval is None:
        return None
    per = _KIB_PER_MIB if objective.shown_unit == "KiB" else 1
    value = _shown(objective, row)
    return [[value - interval[0] / per], [interval[1] / per - value]]


def _label(objective: Objective) -> str:
    unit = "MiB" if objective.shown_unit == "KiB" else objective.shown_unit
    return f"{_WORDS.get(objective.name, objective.name)} ({unit})"
