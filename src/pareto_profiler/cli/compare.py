"""``pareto-profiler compare``: did the front move between two runs?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from pareto_profiler.cli.exits import TARGET_UNUSABLE
from pareto_profiler.cli.options import InsteadOption, JsonOption, JudgingOptions, command
from pareto_profiler.cli.output import print_json, say, show
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.quantities import split
from pareto_profiler.report.compare import Change, Comparison
from pareto_profiler.report.naming import handle, short_id
from pareto_profiler.report.selection import shown
from pareto_profiler.storage.opening import open_recording

WORSE: Final = 1


@command
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Folder of the run before.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Folder of the run after.")],
    judging: JudgingOptions,
    objectives: InsteadOption = "",
    relative: Annotated[
        bool,
        typer.Option(
            "--relative",
            help="Divide by each run's own baseline: what moved everything alike is not seen.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs of one space: exit status 1 if the front of B is worse beyond noise.

    3 if that cannot be told, since other work disturbed what is on a front; else 0.

    A point of A's front is worse when nothing in B is as good in every objective, margin and noise
    allowed for. For continuous integration: search once and keep the folder, search again with the
    same options after each change, compare.
    """
    found = Comparison.of(
        open_recording(a),
        open_recording(b),
        objectives=objectives_of(split(objectives)) if objectives else (),
        **judging.given,
        is_relative=relative,
    )
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if found.change is Change.WORSE:
        raise typer.Exit(WORSE)
    if found.change is Change.UNKNOWN:
        raise typer.Exit(TARGET_UNUSABLE)


def _print(found: Comparison) -> None:
    say(*(f"warning: {text}" for text in found.warnings))
    say(*(f"note: {text}" for text in found.differences))
    moved = ", ".join(f"{name} {_percent(values)}" for name, values in found.baseline.items())
    say(f"baseline, B against A: {moved or 'not in both'}", "")
    table = Table("front\nof A", box=None, padding=(0, 1, 0, 0))
    for objective in found.objectives:
        table.add_column(f"{objective.name}\nB against A", justify="right", no_wrap=True)
    table.add_column("best of B\nfalls short by", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for place, point in enumerate(found.points):
        cells = [
            _percent(point.ratios[o.name]) if o.name in point.ratios else "not measured"
            for o in found.objectives
        ]
        table.add_row(
            handle(place),
            *cells,
            _percent((point.covered, *point.interval)) if point.interval else "–",
            str(point.change),
        )
    show(table)
    if found.gained:
        say(f"new in B, better than all of A: id {', '.join(map(short_id, found.gained))}")
    say(
        "±: half the width of the 95 % interval; falls short: by how much the worst objective of "
        "the best of B is larger than the point's"
    )
    corner = " × ".join(
        f"{r:.4g} times the baseline" if found.is_relative else shown(o, r)
        for o, r in zip(found.objectives, found.reference, strict=True)
    )
    say(
        f"hypervolume: {found.hypervolumes[0]:.4f} → {found.hypervolumes[1]:.4f}"
        f"{_moved(found.hypervolume_change)} of the box up to {corner}"
    )
    words = {
        "same": "the front did not move beyond noise",
        "worse": "the front of B is worse",
        "better": "the front of B is better",
        "no verdict": "no verdict on the front: other work disturbed what is on it",
    }
    for name, alone in found.alone.items():
        said = "the smallest did not move beyond noise" if alone == "same" else f"B is {alone}"
        say(f"{name} alone: {said}")
    say(
        f"{words[str(found.change)]} (confidence {100 * found.confidence:g} % for all statements "
        f"together, differences below {100 * found.margin:g} % ignored)"
    )


def _moved(change: tuple[float, float, float] | None) -> str:
    if change is None:
        return ""
    value, low, high = change
    return f" ({value:+.4f}, 95 % interval {low:+.4f} to {high:+.4f})"


def _percent(ratio: tuple[float, float, float] | None) -> str:
    """A ratio as a change with its interval."""
    if ratio is None:
        return "no verdict"
    value, low, high = (100 * (x - 1) for x in ratio)
    if value == low == high:
        return f"{value:+.2f} %"
    return f"{value:+.2f} % ±{(high - low) / 2:.2f}"
