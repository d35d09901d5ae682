"""Page: a run as one self-contained HTML file."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from pareto_profiler.core.membership import Verdict
from pareto_profiler.core.space import Assignment, readable
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import InputError
from pareto_profiler.report.naming import handle, short_id
from pareto_profiler.report.selection import Goal, Limit, Selection, shown
from pareto_profiler.report.terminal import counts_of

if TYPE_CHECKING:
    from pareto_profiler.report.summary import Row, Summary
    from pareto_profiler.samplers.structured.model_report import ModelReport

COLOURS: Final = (
    *("#4c78c9", "#e0902f", "#3f9e6b", "#b65fc4", "#c94f4f"),
    *("#2aa3b5", "#8a6d3b", "#d6699f", "#7d8794"),
)
"""Of backends, by their digits: told apart on light and on dark paper."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_FURTHER_DIGITS: Final = 0x100
_MAX_POINTS: Final = 4000
_MAX_FAILURES: Final = 150
_MAX_DIGITS: Final = 1_500_000
_MAX_CONFIGURATIONS: Final = 1_500_000
_MAX_TERMS: Final = 14
_MAX_UNDECIDED: Final = 40
_MIN_SHOWN: Final = 0.001


def page_of(
    summary: Summary,
    beliefs: ModelReport | None = None,
    limits: Sequence[Limit] = (),
    run: str = "RUN",
) -> str:
    """The page: opens from disk, asks no network, follows the reader's light or dark.

    Of more than 4000 measured points the ones far from the front are left out of the picture; texts
    of assignments are kept for as many as fit 6 MB, the front's first.

    Args:
        summary: What is shown.
        beliefs: What a model learned; left out without it.
        limits: Drawn as lines.
        run: Where the run is, for the commands that ship its points.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    assets = files("pareto_profiler.report") / "assets"

    def asset(name: str) -> str:
        return (assets / name).read_text(encoding="utf-8")

    def script(text: str) -> Markup:
        # What is in a script ends at the first end tag, quoted or not.
        return Markup(text.replace("</", "<\\/"))  # noqa: S704 - ours, or JSON escaped below

    data = json.dumps(data_of(summary, limits), separators=(",", ":"), allow_nan=False)
    template = Environment(autoescape=True).from_string(asset("page.html.jinja"))
    return template.render(
        facts=_facts(summary),
        checks=_checks(summary),
        cards=_cards(summary, limits, run),
        objectives=[{"name": o.name, "unit": o.shown_unit} for o in summary.objectives],
        rows=[_row(row, summary) for row in listed(summary)],
        learned=_learned(beliefs) if beliefs else None,
        failures=[
            {"kind": kind, "count": count, "message": message}
            for kind, messages in summary.failures_by_kind().items()
            for message, count in messages[:8]
        ],
        provenance=_provenance(summary),
        data=Markup(data.replace("<", "\\u003c")),  # noqa: S704 - JSON without a tag
        style=Markup(asset("page.css")),  # noqa: S704 - our own file
        script=script(asset("page.js")),
        d3=script(asset("d3.min.js")),
        dagre=script(asset("dagre.min.js")),
        licences=asset("d3.LICENSE") + "\n" + asset("dagre.LICENSE"),
    )


def _cards(summary: Summary, limits: Sequence[Limit], run: str) -> list[dict[str, Any]]:
    """What to ship: the best within the limits, the fastest, the knee and the smallest."""
    wanted: dict[int, tuple[list[str], Row]] = {}

    def want(title: str, row: Row) -> None:
        wanted.setdefault(row.id, ([], row))[0].append(title)

    if not summary.front:
        return []
    if limits:
        with contextlib.suppress(InputError):  # nothing keeps them
            goal = Goal.smallest(summary.objectives, tuple(limits))
            want("within the limits", Selection.of(summary, goal).row)
    first = summary.objectives[0]
    want("fastest" if first.name == "exec_time" else f"least {first.name}", summary.front[0])
    want("knee", Selection.of(summary, Goal()).row)
    for o in [o for o in summary.objectives if o.is_memory][:1]:
        want("smallest", min(summary.front, key=lambda row: row.values[o.name]))
    return [_card(titles, row, summary, run) for titles, row in wanted.values()]


def _card(titles: Sequence[str], row: Row, summary: Summary, run: str) -> dict[str, Any]:
    against = [("baseline", row.against_baseline, summary.baseline)]
    best = summary.best_uniform
    if best and not (summary.baseline and best.id == summary.baseline.id):
        against.append(("best uniform", row.against_best_uniform, best))
    gains = [
        ", ".join(f"{_change(ratio)} {name}" for name, ratio in ratios.items())
        + f" than the {what}"
        for what, ratios, other in against
        if other is not None and other.id != row.id and ratios
    ]
    handles = {other.id: handle(i) for i, other in enumerate(summary.front)}
    name = handles.get(row.id, str(row.id))
    is_sure = row.place.verdict is Verdict.ON
    # Never rounded up to what would be a verdict.
    chance = math.floor(100 * row.place.probability)
    sure = "on the front" if is_sure else f"on the front: {chance} %"
    return {
        "title": " and ".join(titles),
        "name": name if row.id in handles else short_id(row.id),
        "id": str(row.id),
        "figures": [{"value": shown(o, v), "name": o.name} for o, v in _values(row, summary)],
        "mix": _mix(row, summary),
        "gains": [_unbroken(text) for text in gains],
        "sure": _unbroken(sure) if summary.is_noise_known and not row.untold else "",
        "command": f"pareto-profiler deploy {shlex.quote(run)} {name}",
    }


def _change(ratio: float) -> str:
    """A ratio as people say it."""
    return f"{100 * abs(1 - ratio):.0f} % {'less' if ratio < 1 else 'more'}"


def _mix(row: Row, summary: Summary) -> str:
    counts = counts_of(summary.header.space, row.estimate.assignment)
    return _unbroken(counts)


def listed(summary: Summary) -> list[Row]:
    """What a reader may want to pick: the front, what may belong there, baseline, best uniform."""
    rows = [*summary.front, *summary.undecided[:_MAX_UNDECIDED]]
    there = {row.id for row in rows}
    for row in (summary.baseline, summary.best_uniform):
        if row is not None and row.id not in there:
            rows.append(row)
            there.add(row.id)
    return rows


def headline(summary: Summary) -> str:
    """The run in two sentences."""
    if not summary.front:
        return "Nothing was measured: there is no front."
    first, last = summary.front[0], summary.front[-1]

    def figures(row: Row) -> str:
        pairs = zip(summary.objectives, row.estimate.values, strict=True)
        return " · ".join(shown(o, v) for o, v in pairs)

    count = len(summary.front)
    text = f"{count} points on the front, from {figures(first)} to {figures(last)}."
    if count == 1:
        text = f"One point on the front: {figures(first)}."
    best, objective = summary.best_uniform, summary.objectives[0]
    if best is None:
        return text
    what = _uniform_of(best, summary)
    ratio = first.against_best_uniform.get(objective.name)
    if first.id == best.id:
        return f"{text} The first is a uniform assignment: {what}."
    if ratio is None:
        return f"{text} No verdict on its {objective.name} against that of {what}."
    change = f"{100 * abs(1 - ratio):.1f} % {'less' if ratio < 1 else 'more'} {objective.name}"
    return f"{text} The first takes {change} than the best uniform assignment ({what})."


def data_of(summary: Summary, limits: Sequence[Limit] = ()) -> dict[str, Any]:
    """What the page's script draws, as plain data; ids as text."""
    space, graph = summary.header.space, summary.header.graph
    owner = {o: i for i, v in enumerate(space.variables) for o in v.operations}
    if graph is not None and owner and max(owner) >= len(graph.operations):
        graph = None  # a table whose operations are numbered otherwise
    points = _thinned(summary)
    front = {row.id for row in summary.front}
    perhaps = {row.id for row in summary.undecided[:_MAX_UNDECIDED]}
    digits = _digits(summary)
    kept_digits = _MAX_DIGITS // max(1, len(space.variables))
    room = _MAX_CONFIGURATIONS
    found = []
    for n, row in enumerate(points):
        point = _point(row, summary)
        point |= {"handle": handle(n)} if row.id in front else {}
        point |= {"front": row.id in front, "perhaps": row.id in perhaps}
        if n < kept_digits:
            point["digits"] = digits(row.estimate.assignment)
        if n < len(front) + len(perhaps) + 2 and len(text := row.configuration) <= room:
            room -= len(text)
            point["configuration"] = text
        found.append(point)
    failures = list(_failures(summary, digits if kept_digits > len(points) else None))
    first = Selection.of(summary, Goal()).row if summary.front else None
    return {
        "objectives": [{"name": o.name, "unit": o.shown_unit} for o in summary.objectives],
        "backends": list(space.backends),
        "colours": [COLOURS[i % len(COLOURS)] for i in range(len(space.backends))],
        "variables": [
            {
                "name": v.name,
                "choices": list(v.choices),
                "isSetting": v.is_setting,
                "count": len(v.operations),
            }
            for v in space.variables
        ],
        "operations": [
            {
                "name": o.name or o.builtin,
                "builtin": o.builtin,
                "origin": graph.origins[o.index] if graph and graph.origins else None,
                "bytes": o.data_bytes,
                "weights": o.weight_bytes,
                "variable": owner.get(o.index, -1),
            }
            for o in (graph.operations if graph else ())
        ],
        "edges": [[e.producer, e.consumer, e.size_bytes] for e in (graph.edges if graph else ())],
        "profiles": {
            backend: {str(i): 1e3 * seconds for i, seconds in times.items()}
            for backend, times in summary.profiles.items()
            if backend in space.backends and graph is not None
        },
        "points": found,
        "measured": len(summary.measured),
        "leftOut": len(summary.measured) - len(points),
        "failures": failures,
        "failureCount": len(summary.failures),
        "isNoiseKnown": summary.is_noise_known,
        "baseline": str(summary.baseline.id) if summary.baseline else None,
        "first": str(first.id) if first else None,
        "limits": [
            {
                "objective": summary.objectives.index(x.objective),
                "most": x.objective.shown(x.most),
                "words": f"≤ {shown(x.objective, x.most)}",
            }
            for x in limits
        ],
        "steps": [
            {"trials": s.trials, "seconds": s.seconds, "hypervolume": s.hypervolume}
            for s in _sparse(summary)
        ],
        "trials": summary.trials,
        "seconds": summary.seconds,
    }


def _sparse(summary: Summary) -> Iterator[Any]:
    """Steps that change something."""
    before = None
    for step in summary.steps:
        if before is None or step.hypervolume != before:
            yield step
        before = step.hypervolume


def _thinned(summary: Summary) -> list[Row]:
    """All rows, what is listed first, of many those nearest to the front's figures."""
    first = listed(summary)
    there = {row.id for row in first}
    rest = [row for row in summary.measured if row.id not in there]
    if len(first) + len(rest) > _MAX_POINTS:
        least = [min(r.estimate.values[i] for r in first) for i in range(len(summary.objectives))]

        def distance(row: Row) -> float:
            pairs = zip(row.estimate.values, least, strict=True)
            return max(math.log(max(v, 1e-300) / max(low, 1e-300)) for v, low in pairs)

        rest = sorted(rest, key=distance)[: max(0, _MAX_POINTS - len(first))]
    return first + rest


def _digits(summary: Summary) -> Any:
    places = [
        {c: _digit(i) for i, c in enumerate(v.choices)} for v in summary.header.space.variables
    ]

    def text(assignment: Assignment) -> str:
        return "".join(p[c] for p, c in zip(places, assignment, strict=True))

    return text


def _digit(number: int) -> str:
    """A character for a choice's number: of 36 or more one that no shorter alphabet has."""
    few = len(_DIGITS)
    return _DIGITS[number] if number < few else chr(_FURTHER_DIGITS + number - few)


def _point(row: Row, summary: Summary) -> dict[str, Any]:
    names = [o.name for o in summary.objectives]
    point: dict[str, Any] = {
        "id": str(row.id),
        "values": [row.values[n] for n in names],
        "role": _role(row, summary),
        "probability": row.place.probability,
        "verdict": _VERDICTS.get(row.place.verdict) if row.place.verdict else None,
        "ties": [str(t) for t in row.ties[:3]],
    }
    if row.intervals:
        ends = [row.intervals[n] for n in names]
        point["low"] = [pair and pair[0] for pair in ends]
        point["high"] = [pair and pair[1] for pair in ends]
    return point


_VERDICTS: Final = {Verdict.ON: "on", Verdict.OFF: "off", Verdict.INCONCLUSIVE: "open"}


def _failures(summary: Summary, digits: Any) -> Iterator[dict[str, Any]]:
    failures = [(t, t.outcome) for t in summary.failures if isinstance(t.outcome, Failure)]
    for trial, failure in failures[:_MAX_FAILURES]:
        entry = {
            "id": str(summary.header.space.id_of(trial.assignment)),
            "kind": str(failure.kind),
            "message": failure.message[:300],
        }
        yield entry | ({"digits": digits(trial.assignment)} if digits else {})


def _role(row: Row, summary: Summary) -> str:
    if summary.baseline and row.id == summary.baseline.id:
        return "baseline"
    if summary.best_uniform and row.id == summary.best_uniform.id:
        return "best uniform"
    return ""


def _uniform_of(row: Row, summary: Summary) -> str:
    """What a uniform assignment is, in words."""
    pairs = zip(summary.header.space.variables, row.estimate.assignment, strict=True)
    backends = Counter(c for v, c in pairs if not v.is_setting)
    name = " + ".join(b for b, _ in backends.most_common())
    settings = summary.header.space.settings(row.estimate.assignment)
    name = ", ".join([name, *(f"{setting} {choice}" for setting, choice in settings.items())])
    figures = zip(summary.objectives, row.estimate.values, strict=True)
    return f"{name}: {' · '.join(shown(o, v) for o, v in figures)}"


def _row(row: Row, summary: Summary) -> dict[str, Any]:
    pairs = zip(summary.header.space.variables, row.estimate.assignment, strict=True)
    chosen = Counter[str]()
    for v, c in pairs:
        if not v.is_setting:
            chosen[c] += max(1, len(v.operations))
    whole = sum(chosen.values())
    backends = summary.header.space.backends
    roles = [r for r in (_role(row, summary),) if r]
    roles += ["verified"] if row.placement and not row.placement.mismatches else []
    roles += ["disturbed"] if row.estimate.is_contended else []
    verdict = row.place.verdict
    words = {Verdict.ON: "yes", Verdict.OFF: "no"}
    return {
        "id": str(row.id),
        "name": next((handle(i) for i, r in enumerate(summary.front) if r.id == row.id), "·"),
        "short_id": short_id(row.id),
        "cells": [_cell(row, o.name, o.shown(v)) for o, v in _values(row, summary)],
        "probability": (verdict and words.get(verdict))
        or ("?" if row.untold else f"{math.floor(100 * row.place.probability)} %?"),
        "mix": [
            {
                "percent": f"{100 * chosen[b] / whole:.2f}",
                "colour": COLOURS[i % len(COLOURS)],
            }
            for i, b in enumerate(backends)
            if chosen[b]
        ],
        "mix_words": ", ".join(f"{chosen[b]} {b}" for b in backends if chosen[b]),
        "roles": roles,
    }


def _values(row: Row, summary: Summary) -> Iterator[tuple[Any, float]]:
    return zip(summary.objectives, row.estimate.values, strict=True)


def _cell(row: Row, name: str, value: float) -> dict[str, str]:
    spread = ""
    if name in row.intervals:
        ends = row.intervals[name]
        share = (ends[1] - ends[0]) / 2 / value if ends and value else 0.0
        spread = "±?" if ends is None else f"±{share:.1%}" if share >= _MIN_SHOWN else ""
    ratio = row.against_baseline.get(name)
    return {
        "value": f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}",
        "spread": spread,
        "of_baseline": "–" if ratio is None else f"{ratio:.1%}",
    }


def _checks(summary: Summary) -> list[dict[str, Any]]:
    """Health checks, and warnings that are not among them: what is wrong first."""
    said = {check.words for check in summary.checks}
    found = [(c.about, c.is_good, c.words) for c in summary.checks]
    found += [("warning", False, words) for words in summary.warnings if words not in said]
    return [
        {"about": about, "is_good": is_good, "words": _unbroken(words)}
        for about, is_good, words in sorted(found, key=lambda item: item[1])
    ]


def _unbroken(text: str) -> str:
    """With no line break before a unit."""
    return re.sub(r"(?<=\d) (?=%|ms|KiB|MiB|GHz|s\b)", "\u00a0", text)


def _facts(summary: Summary) -> dict[str, Any]:
    from markupsafe import Markup, escape

    header = summary.header
    corner = zip(summary.objectives, summary.reference, strict=True)
    interval = summary.hypervolume_interval
    noise = ", ".join(f"{name} {size:.2%}" for name, size in summary.noise.items())
    meanings = "; ".join(f"{o.name}: {o.meaning}" for o in summary.objectives)
    small = [f"{meanings}."]
    if summary.is_noise_known:
        small.append(
            "±: half the width of the 95 % interval, left out below 0.1 %. On the front: yes where "
            f"that holds with {100 * header.confidence:g} %, else how probable it is; differences "
            f"below {100 * header.margin:g} % count as none."
        )
    where = [header.runtime, f"on {header.target}" if header.target else "", header.created_at[:10]]
    return {
        "model": header.model_name,
        "title": Markup("_<wbr>").join(escape(p) for p in header.model_name.split("_")),
        "version": header.tool_version,
        "eyebrow": " · ".join(filter(None, where)),
        "headline": _unbroken(headline(summary)),
        "has_baseline": summary.baseline is not None,
        "is_noise_known": summary.is_noise_known,
        "corner": " × ".join(shown(o, r) for o, r in corner),
        "hypervolume": f"{summary.hypervolume:.4f}",
        "hypervolume_interval": interval and f"{interval[0]:.4f} to {interval[1]:.4f}",
        "noise": f"Noise from process to process (standard deviation): {noise}."
        if summary.is_noise_known
        else "",
        "small_print": " ".join(small),
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
