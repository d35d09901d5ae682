"""Page: a run, or several together, as one self-contained HTML file."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.membership import Verdict
from pareto_profiler.core.space import readable
from pareto_profiler.errors import InputError
from pareto_profiler.report.naming import counts_of, handle, short_id
from pareto_profiler.report.page_data import colours_of, data_of, listed, role_of
from pareto_profiler.report.selection import Goal, Limit, Selection, knee_of, shown

if TYPE_CHECKING:
    from pareto_profiler.report.summary import Judged, Row, Summary
    from pareto_profiler.samplers.structured.model_report import ModelReport

_MAX_TERMS: Final = 14
_MIN_SHOWN: Final = 0.001
_SCRIPTS: Final = ("basics", "front", "growth", "details", "graph", "tables", "start")


def page_of(
    judged: Judged,
    beliefs: Mapping[str, ModelReport | None] | None = None,
    limits: Sequence[Limit] = (),
    shipped: Callable[[Row, str], Sequence[str]] | str = "RUN",
    *,
    live: str = "",
) -> str:
    """The page: opens from disk, asks no network, follows the reader's light or dark.

    Args:
        judged: What is shown: a run, or several together.
        beliefs: Of each run, by its name (empty for a run alone), what a model learned.
        limits: Drawn as lines, which the reader may move.
        shipped: What ``pareto-profiler deploy`` is told to ship a point: of its row and its name
            on this page. A text is the path of a run.
        live: Where the page asks how many trials there are, to come again when there are more;
            empty for a page that stays as it is.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    assets = files("pareto_profiler.report") / "assets"

    def asset(name: str) -> str:
        return (assets / name).read_text(encoding="utf-8")

    def script(text: str) -> Markup:
        # What is in a script ends at the first end tag, quoted or not.
        return Markup(text.replace("</", "<\\/"))  # noqa: S704 - ours, or JSON escaped below

    def command(row: Row, name: str) -> str:
        words = [shipped, name] if isinstance(shipped, str) else shipped(row, name)
        return shlex.join(["pareto-profiler", "deploy", *words])

    data = data_of(judged, limits)
    for point, row in zip(data["points"], listed(judged), strict=False):
        point["ship"] = command(row, point.get("handle", row.name))
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    template = Environment(autoescape=True).from_string(asset("page.html.jinja"))
    runs = judged.runs
    units = [_unit(judged, o) for o in judged.objectives]
    return template.render(
        facts=_facts(judged),
        live=live,
        checks=list(_checks(runs)),
        cards=_cards(judged, limits, command),
        objectives=[
            {"name": o.name, "unit": unit, "meaning": o.meaning}
            for o, (unit, _) in zip(judged.objectives, units, strict=True)
        ],
        rows=[_row(row, judged, units) for row in listed(judged)],
        more=max(0, len(listed(judged)) - len(judged.front)),
        learned=[
            {"run": name, **_learned(mine)}
            for name in runs
            if (mine := (beliefs or {}).get(name)) is not None
        ],
        failures=[
            {"run": name, "kind": kind, "count": count, "message": message}
            for name, run in runs.items()
            for kind, messages in run.failures_by_kind().items()
            for message, count in messages[:8]
        ],
        made=[{"run": name, "facts": _provenance(run)} for name, run in runs.items()],
        data=Markup(text.replace("<", "\\u003c")),  # noqa: S704 - JSON without a tag
        style=Markup(asset("page.css")),  # noqa: S704 - our own file
        script=script("(() => {\n" + "\n".join(asset(f"{n}.js") for n in _SCRIPTS) + "})();"),
        d3=script(asset("d3.min.js")),
        dagre=script(asset("dagre.min.js")),
        licences=asset("d3.LICENSE") + "\n" + asset("dagre.LICENSE"),
    )


def _cards(
    judged: Judged, limits: Sequence[Limit], command: Callable[[Row, str], str]
) -> list[dict[str, Any]]:
    """What to ship: the best within the limits, the fastest, the knee and the smallest.

    Where other work disturbed what would make a point one of these, it is none.
    """
    wanted: dict[str, tuple[list[str], Row]] = {}

    def want(title: str, row: Row, by: Iterable[Objective] = ()) -> None:
        if not any(o.name in row.untold for o in by):
            wanted.setdefault(row.name, ([], row))[0].append(title)

    if not judged.front:
        return []
    if limits:
        with contextlib.suppress(InputError):  # nothing keeps them
            goal = Goal.smallest(judged.objectives, tuple(limits))
            want("within the limits", Selection.of(judged, goal).row)
    first = judged.objectives[0]
    want(
        "fastest" if first.name == "exec_time" else f"least {first.name}", judged.front[0], [first]
    )
    if (knee := knee_of(judged)) is not None:
        want("knee", knee, judged.objectives)
    for o in [o for o in judged.objectives if o.is_memory][:1]:
        want("smallest", min(judged.front, key=lambda row: row.values[o.name]), [o])
    return [_card(titles, row, judged, command) for titles, row in wanted.values()]


def _card(
    titles: Sequence[str], row: Row, judged: Judged, command: Callable[[Row, str], str]
) -> dict[str, Any]:
    against = [("the baseline", judged.baseline)]
    best = judged.best_uniform
    if best and not (judged.baseline and best.name == judged.baseline.name):
        against.append(("the best uniform assignment", best))
    gains = [
        f"{changes} than {what} ({_backends_of(other)})"
        for what, other in against
        if other is not None
        and other.name != row.name
        and (changes := _changes(row, other, judged))
    ]
    if row.estimate.is_contended and row.untold:
        untold = ", ".join(row.untold)
        gains.append(f"no verdict on {untold}: other work disturbed every measurement")
    handles = {other.name: handle(i) for i, other in enumerate(judged.front)}
    name = handles.get(row.name, row.name)
    is_sure = row.place.verdict is Verdict.ON
    # Never rounded up to what would be a verdict.
    chance = math.floor(100 * row.place.probability)
    sure = "on the front" if is_sure else f"on the front: {chance} %"
    return {
        "title": " and ".join(titles),
        "name": name if row.name in handles else short_id(row.id),
        "id": row.name,
        "figures": [{"value": shown(o, v), "name": o.name} for o, v in _values(row, judged)],
        "mix": _mix(row),
        "gains": [_unbroken(text) for text in gains],
        "sure": _unbroken(sure) if judged.is_noise_known and not row.untold else "",
        "command": command(row, name),
    }


def _changes(row: Row, other: Row, judged: Judged) -> str:
    """By how much a point is better or worse; what cannot be told is left out."""
    untold = {*row.untold, *other.untold}
    pairs = zip(judged.objectives, row.estimate.values, other.estimate.values, strict=True)
    changes = [
        f"{_change(mine / theirs)} {o.name}"
        for o, mine, theirs in pairs
        if theirs > 0 and o.name not in untold
    ]
    return ", ".join(changes)


def _change(ratio: float) -> str:
    """A ratio as people say it."""
    return f"{100 * abs(1 - ratio):.0f} % {'less' if ratio < 1 else 'more'}"


def _mix(row: Row) -> str:
    counts = counts_of(row.header.space, row.estimate.assignment)
    return _unbroken(f"{row.runtime}: {counts}" if row.runtime else counts)


def headline(judged: Judged) -> str:
    """What was found, in two sentences."""
    if not judged.front:
        return "Nothing was measured: there is no front."
    first, last = judged.front[0], judged.front[-1]

    def figures(row: Row) -> str:
        return " · ".join(shown(o, v) for o, v in _values(row, judged))

    count = len(judged.front)
    text = f"{count} points on the front, from {figures(first)} to {figures(last)}."
    if count == 1:
        text = f"One point on the front: {figures(first)}."
    best, objective = judged.best_uniform, judged.objectives[0]
    if best is None:
        return text
    what = f"{_backends_of(best)}: {figures(best)}"
    if first.name == best.name:
        return f"{text} The first is a uniform assignment: {what}."
    if objective.name in {*first.untold, *best.untold}:
        return f"{text} No verdict on its {objective.name} against that of {what}."
    ratio = first.estimate.values[0] / max(best.estimate.values[0], 1e-300)
    change = f"{100 * abs(1 - ratio):.1f} % {'less' if ratio < 1 else 'more'} {objective.name}"
    return f"{text} The first takes {change} than the best uniform assignment ({what})."


def _backends_of(row: Row) -> str:
    """What a uniform assignment runs on, in words."""
    space = row.header.space
    pairs = zip(space.variables, row.estimate.assignment, strict=True)
    backends = Counter(c for v, c in pairs if not v.is_setting)
    name = " + ".join(b for b, _ in backends.most_common())
    settings = space.settings(row.estimate.assignment)
    name = ", ".join([name, *(f"{setting} {choice}" for setting, choice in settings.items())])
    return f"{row.runtime}: {name}" if row.runtime else name


def _unit(judged: Judged, objective: Objective) -> tuple[str, float]:
    """The unit of a column, and how many of the objective's own it is: MiB where all are large."""
    values = [row.values[objective.name] for row in listed(judged)]
    if objective.shown_unit == "KiB" and values and min(values) >= 1024:
        return "MiB", 1024.0
    return objective.shown_unit, 1.0


def _row(row: Row, judged: Judged, units: Sequence[tuple[str, float]]) -> dict[str, Any]:
    space = row.header.space
    chosen = Counter[str]()
    for v, c in zip(space.variables, row.estimate.assignment, strict=True):
        if not v.is_setting:
            chosen[c] += max(1, len(v.operations))
    whole = sum(chosen.values())
    colours = colours_of(judged)
    role = role_of(row, judged)
    marks = [role] if role else []
    marks += ["verified"] if row.placement and not row.placement.mismatches else []
    marks += ["disturbed"] if row.estimate.is_contended else []
    verdict = row.place.verdict
    words = {Verdict.ON: "yes", Verdict.OFF: "no"}
    handles = [handle(i) for i, other in enumerate(judged.front) if other.name == row.name]
    figures = zip(judged.objectives, row.estimate.values, units, strict=True)
    return {
        "id": row.name,
        "name": handles[0] if handles else "·",
        "runtime": row.runtime,
        "is_more": not handles and not role,
        "cells": [_cell(row, o.name, o.shown(v), unit, judged) for o, v, (_, unit) in figures],
        "probability": (verdict and words.get(verdict))
        or ("?" if row.untold else f"{math.floor(100 * row.place.probability)} %?"),
        "chance": f"{row.place.probability:.4f}",
        "mix": [
            {"percent": f"{100 * chosen[b] / whole:.2f}", "colour": colours[b]}
            for b in space.backends
            if chosen[b]
        ],
        "mix_words": ", ".join(f"{chosen[b]} {b}" for b in space.backends if chosen[b]),
        "marks": marks,
    }


def _values(row: Row, judged: Judged) -> Iterator[tuple[Objective, float]]:
    return zip(judged.objectives, row.estimate.values, strict=True)


def _cell(row: Row, name: str, value: float, unit: float, judged: Judged) -> dict[str, str]:
    spread = ""
    if name in row.intervals:
        ends = row.intervals[name]
        share = (ends[1] - ends[0]) / 2 / value if ends and value else 0.0
        spread = "±?" if ends is None else f"±{share:.1%}" if share >= _MIN_SHOWN else ""
    base = judged.baseline
    is_told = base is not None and name not in {*row.untold, *base.untold} and base.values[name]
    in_unit = value / unit
    return {
        "number": repr(value),
        "value": f"{in_unit:,.0f}" if abs(in_unit) >= 1000 else f"{in_unit:#.4g}",
        "spread": spread,
        "of_baseline": f"{value / base.values[name]:.1%}" if base and is_told else "–",
    }


def _checks(runs: Mapping[str, Summary]) -> Iterator[dict[str, Any]]:
    """Health checks, and warnings that are not among them: what is wrong first."""
    checks = []
    for name, run in runs.items():
        said = {check.words for check in run.checks}
        told = [(c.about, c.is_good, c.words) for c in run.checks]
        told += [("warning", False, words) for words in run.warnings if words not in said]
        start = f"{name}: " if name else ""
        checks += [(about, is_good, f"{start}{words}") for about, is_good, words in told]
    for about, is_good, words in sorted(checks, key=lambda item: item[1]):
        yield {"about": about, "is_good": is_good, "words": _unbroken(words)}


def _unbroken(text: str) -> str:
    """With no line break before a unit."""
    return re.sub(r"(?<=\d) (?=%|ms|KiB|MiB|GHz|s\b)", "\u00a0", text)


def _facts(judged: Judged) -> dict[str, Any]:
    from markupsafe import Markup, escape

    header, runs = judged.header, judged.runs
    alone = runs.get("")
    noise = ", ".join(f"{name} {size:.2%}" for name, size in (alone.noise if alone else {}).items())
    small = [f"{o.name}: {o.meaning}." for o in judged.objectives]
    if judged.is_noise_known:
        small.append(
            "±: half the width of the 95 % interval, left out below 0.1 %. On the front: yes where "
            f"that holds with {100 * header.confidence:g} %, else how probable it is; differences "
            f"below {100 * header.margin:g} % count as none."
        )
    if noise and judged.is_noise_known:
        small.append(f"Noise from process to process (standard deviation): {noise}.")
    where = dict.fromkeys(
        f"{run.header.runtime} on {run.header.target}" if run.header.target else run.header.runtime
        for run in runs.values()
    )
    interval = alone.hypervolume_interval if alone else None
    corner = zip(judged.objectives, judged.reference, strict=True)
    return {
        "model": header.model_name,
        "title": Markup("_<wbr>").join(escape(p) for p in header.model_name.split("_")),
        "version": header.tool_version,
        "eyebrow": " · ".join([*where, header.created_at[:10]]),
        "headline": _unbroken(headline(judged)),
        "has_baseline": judged.baseline is not None,
        "has_runs": len(runs) > 1,
        "is_noise_known": judged.is_noise_known,
        "corner": " × ".join(shown(o, r) for o, r in corner),
        "hypervolume_interval": interval and f"{interval[0]:.4f} to {interval[1]:.4f}",
        "small_print": _unbroken(" ".join(small)),
        "command": header.origin.get("command", ""),
    }


def _learned(beliefs: ModelReport) -> dict[str, Any]:
    skills = [
        f"{s.objective} to {100 * s.error:.1f} % (rank correlation {s.correlation:.2f}, "
        f"{100 * s.coverage:.0f} % inside its 90 % intervals)"
        for s in beliefs.skills
    ]
    measured = max((s.measured for s in beliefs.skills), default=0)
    terms = sorted(beliefs.terms, key=lambda t: -abs(t.value) / max(t.deviation, 1e-12))
    return {
        "words": f"Each of {measured} measured assignments predicted from all others: "
        f"{'; '.join(skills)}. Where these are poor, so is what follows.",
        "terms": [
            {
                "name": t.name,
                "objective": t.objective,
                "value": _number(t.value),
                "deviation": _number(t.deviation),
                "unit": t.unit,
            }
            for t in terms[:_MAX_TERMS]
        ],
        "culprits": [
            {"choices": " + ".join(c.choices), "probability": f"{c.probability:.0%}"}
            for c in beliefs.culprits
        ],
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _provenance(summary: Summary) -> list[tuple[str, str]]:
    header, space = summary.header, summary.header.space
    machine = header.machine
    size = (
        f"{len(space.variables)} variables by {space.granularity}, backends "
        f"{', '.join(space.backends)}, {readable(space.size)} feasible assignments"
    )
    counts = (
        f"{summary.trials}: {len(summary.measured)} assignments measured, "
        f"{len(summary.failures)} trials failed"
    )
    keys = ("cpu", "architecture", "cores", "kernel", "governor", "turbo")
    found = [
        ("model", header.model_name),
        ("SHA-256 of the model", header.model_digest),
        ("runtime", header.runtime),
        ("target", header.target),
        ("machine", ", ".join(f"{k} {machine[k]}" for k in keys if machine.get(k))),
        ("space", size),
        ("measuring", header.plan.in_words if header.plan else ""),
        ("trials", counts),
        ("sampler", f"{header.sampler}, seed {header.seed}" if header.sampler else ""),
        ("judged with", f"margin {header.margin:.3g}, confidence {header.confidence:g}"),
        ("begun", header.created_at),
        ("pareto-profiler", header.tool_version),
    ]
    found += [("note", note) for note in summary.notes]
    return [(name, text) for name, text in found if text]
