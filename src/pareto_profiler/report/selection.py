"""Selection: one assignment of a run by a goal, how surely, and what another limit would buy."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import nondominated, plausible_values
from pareto_profiler.core.measurement import ALIASES, Objective
from pareto_profiler.errors import InputError
from pareto_profiler.report.summary import Judged, Row

Vector = NDArray[np.float64]

_DRAWS: Final = 2000
_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "s": {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0},
    "B": {
        "b": 1.0,
        "kb": 1e3,
        "mb": 1e6,
        "gb": 1e9,
        "kib": 2.0**10,
        "mib": 2.0**20,
        "gib": 2.0**30,
    },
    "J": {"uj": 1e-6, "µj": 1e-6, "mj": 1e-3, "j": 1.0},
    "1": {"ppm": 1e-6},
}
_QUANTITY: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zµ%]*)(?:\s+(baseline|uniform))?\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """What an objective may be at most.

    Attributes:
        objective: Which.
        most: In its own unit: seconds, bytes.
        asked: As it was asked for.
    """

    objective: Objective
    most: float
    asked: str = ""

    @classmethod
    def of(cls, text: str, objective: Objective, summary: Judged | None) -> Limit:
        """Read a limit such as ``12ms``, ``100 MB``, ``1.2x baseline`` or ``90% uniform``.

        ``uniform`` is the best uniform assignment. Before anything was measured there is no
        summary.

        Raises:
            InputError: It is none, has no unit where there are several, or is relative to what was
                not measured.
        """
        found = _QUANTITY.fullmatch(text.lower())
        expected = f"{objective.name} of {text!r}: expected something like {_example(objective)}"
        if found is None:
            raise InputError(expected)
        number, unit, other = float(found[1]), found[2], found[3]
        if not math.isfinite(number):
            raise InputError(expected)
        if other and summary is None:
            raise InputError(f"{text!r}: the {other} is not measured yet, say it in units")
        if other and summary is not None:
            row = summary.baseline if other == "baseline" else summary.best_uniform
            if unit not in {"x", "%"}:
                raise InputError(expected)
            if row is None:
                raise InputError(f"{text!r}: the {other} was not measured")
            base = row.estimate.values[summary.objectives.index(objective)]
            return cls(objective, number * base / (100 if unit == "%" else 1), text)
        if not unit:
            units = [u for u in _UNITS.get(objective.unit, {}) if u.isascii()]
            if len(units) > 1:
                raise InputError(
                    f"{objective.name} of {text!r}: {text.strip()} what? Expected one of "
                    + ", ".join(units)
                    + (", or x baseline" if summary is not None else "")
                )
            return cls(objective, number / objective.shown_per_unit, text)
        if unit not in _UNITS.get(objective.unit, {}):
            raise InputError(expected)
        return cls(objective, number * _UNITS[objective.unit][unit], text)

    @classmethod
    def several(cls, asked: Sequence[tuple[str, str]], summary: Judged) -> tuple[Limit, ...]:
        """The limits of a run that pairs of an objective's name and a value ask for.

        Raises:
            InputError: An objective is not the run's or comes twice, or a value is none.
        """
        objectives = {o.name: o for o in summary.objectives}
        asked = [(ALIASES.get(name, name), text) for name, text in asked]
        names = [name for name, _ in asked]
        for name in names:
            check_objective(name, objectives)
            if names.count(name) > 1:
                raise InputError(f"two limits of {name}")
        return tuple(cls.of(text, objectives[name], summary) for name, text in asked)

    @classmethod
    def beforehand(cls, asked: Sequence[str], objectives: Sequence[Objective]) -> tuple[Limit, ...]:
        """The limits that texts such as ``max_rss=20MB`` ask for before anything is measured.

        Raises:
            InputError: An objective is not among those given or comes twice, a value is none, or
                has no unit.
        """
        known = {o.name: o for o in objectives}
        found: dict[str, Limit] = {}
        for text in asked:
            word, _, value = text.partition("=")
            name = ALIASES.get(word, word)
            check_objective(name, known, "--within {}=VALUE")
            if name in found:
                raise InputError(f"two limits of {name}")
            found[name] = cls.of(value, known[name], None)
        return tuple(found.values())

    @property
    def words(self) -> str:
        """For people."""
        value = shown(self.objective, self.most)
        same = {value.replace(" ", ""), ""}
        words = value if self.asked.replace(" ", "") in same else f"{self.asked} ({value})"
        return f"{self.objective.name} of at most {words}"


@dataclass(frozen=True, slots=True)
class Goal:
    """By what one is selected.

    Attributes:
        limits: All of them hold.
        weights: Objective → how much it counts: smallest is the product of all figures, each to the
            power of its weight, so that units do not matter. Empty for the knee.
    """

    limits: tuple[Limit, ...] = ()
    weights: Mapping[str, float] | None = None

    @classmethod
    def smallest(cls, objectives: Sequence[Objective], limits: Sequence[Limit]) -> Goal:
        """The first objective that has no limit; the first one where all have."""
        limited = {limit.objective for limit in limits}
        wanted = next((o for o in objectives if o not in limited), objectives[0])
        return cls(tuple(limits), {wanted.name: 1.0})

    def words(self, objectives: Sequence[Objective]) -> str:
        """For people."""
        if self.weights is None:
            return "the knee"
        counted = [o.name for o in objectives if self.weights.get(o.name)]
        if len(counted) == 1:
            return f"the smallest {counted[0]}"
        product = " · ".join(f"{name}^{self.weights[name]:g}" for name in counted)
        return f"the smallest {product}"


@dataclass(frozen=True, slots=True)
class Trade:
    """What another assignment would change.

    Attributes:
        row: That one.
        limit: The limit that it breaks; None where it breaks none.
    """

    row: Row
    limit: Limit | None


@dataclass(frozen=True, slots=True)
class Selection:
    """What was selected.

    Attributes:
        summary: Of the run, or of several together.
        goal: By what.
        row: The selected assignment.
        within: Probability that it keeps all limits; 1 where there are none, or the noise is
            unknown; None where that cannot be told, since an objective that has a limit tells
            nothing.
        best: Probability that no other candidate that keeps the limits is better by more than the
            margin; 1 where the noise is unknown, None where that cannot be told.
        among: How many of those that were measured keep the limits by their figures.
        rivals: Names of candidates that are better in at least a twentieth of the draws, the
            likeliest first.
        trades: For each limit what a looser one would buy first, where it buys anything; where
            there are no limits the neighbours on the front.
    """

    summary: Judged
    goal: Goal
    row: Row
    within: float | None
    best: float | None
    rivals: tuple[str, ...]
    trades: tuple[Trade, ...]
    among: int = 1

    @classmethod
    def of(cls, summary: Judged, goal: Goal) -> Selection:
        """Select from the front, or from what may belong there if no point of it is within limits.

        The best figure of many undecided ones is likely luck, so the front's points come first.
        Figures are drawn from their distributions 2000 times, as for places on the front.
        O(draws · candidates).

        Raises:
            InputError: Nothing was measured, or nothing is within the limits.
        """
        rows = [*summary.front, *summary.undecided]
        objectives = summary.objectives
        if not rows:
            raise InputError(f"{summary.header.model_name}: nothing was measured")
        values = np.array([row.estimate.values for row in rows])
        allowed = _allowed(values, objectives, goal.limits)
        if not allowed.any():
            raise InputError(_none_within(summary, goal.limits))
        costs = _costs(values, objectives, goal, span := _span(summary))
        likely = allowed & (np.arange(len(rows)) < len(summary.front))
        eligible = likely if likely.any() else allowed
        # Of equals the first: where no point bends the front, that is the fastest.
        chosen = int(np.argmin(np.where(eligible, np.round(costs, 9), np.inf)))
        within: float | None = 1.0
        best: float | None = 1.0
        rivals: tuple[str, ...] = ()
        if summary.is_noise_known:
            estimates = Estimates(objectives, tuple(row.estimate for row in rows))
            drawn = plausible_values(
                estimates, range(len(rows)), draws=_DRAWS, random=np.random.default_rng(0)
            )
            within = float(_allowed(drawn[:, chosen], objectives, goal.limits).mean())
            found = np.array([_costs(one, objectives, goal, span) for one in drawn])
            better = found < found[:, [chosen]] - math.log1p(summary.header.margin)
            better &= allowed
            best = 1 - float(better.any(axis=1).mean())
            shares = better.mean(axis=0)
            order = np.argsort(-shares, kind="stable").tolist()
            rivals = tuple(rows[i].name for i in order if shares[i] >= 0.05)
        limited = {limit.objective.name for limit in goal.limits}
        if set(rows[chosen].untold) & limited:
            within = None
        # What tells nothing may be anything: of the chosen one, and of any that may be better.
        telling = _counted(objectives, goal) | limited
        if any(telling & set(row.untold) for row in rows):
            best, rivals = None, ()
        trades = tuple(
            trade
            for trade in _trades(rows, values, objectives, goal, costs, chosen)
            if _saves(trade.row, rows[chosen], summary)
        )
        every = np.array([row.estimate.values for row in summary.measured])
        among = int(_allowed(every, objectives, goal.limits).sum())
        return cls(summary, goal, rows[chosen], within, best, rivals, trades, among)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        objectives = self.summary.objectives
        return {
            "goal": self.goal.words(objectives),
            "limits": {x.objective.name: x.objective.shown(x.most) for x in self.goal.limits},
            "selected": self.row.to_json(),
            "probability_within_limits": self.within,
            "probability_best": self.best,
            "measured_within_limits": self.among,
            "rivals": list(self.rivals),
            "trades": [
                {
                    "id": trade.row.name,
                    "breaks": trade.limit and trade.limit.objective.name,
                    "changes": {
                        o.name: trade.row.values[o.name] - self.row.values[o.name]
                        for o in objectives
                    },
                }
                for trade in self.trades
            ],
        }


def shown(objective: Objective, value: float) -> str:
    """A value with its unit, as people read it: memory in MiB."""
    if objective.is_memory and abs(value) >= 2**20:
        return f"{value / 2**20:.1f} MiB"
    return f"{objective.shown(value):.4g} {objective.shown_unit}"


def _allowed(
    values: Vector, objectives: Sequence[Objective], limits: Sequence[Limit]
) -> NDArray[np.bool_]:
    """Which rows keep all limits; ``values`` of shape ``(…, m)``."""
    found = np.ones(values.shape[:-1], dtype=bool)
    for limit in limits:
        found &= values[..., objectives.index(limit.objective)] <= limit.most
    return found


def offered(summary: Judged, limits: Sequence[Limit] = ()) -> Row:
    """What a reader is offered first: the best within the limits, or the knee, or the fastest.

    Where other work disturbed what would make a point one of these, the smallest.
    """
    if limits:
        with contextlib.suppress(InputError):  # nothing keeps them
            return Selection.of(summary, Goal.smallest(summary.objectives, limits)).row
    row = knee_of(summary) or summary.front[0]
    memory = next((o.name for o in summary.objectives if o.is_memory), None)
    if row.estimate.is_contended and row.untold and memory:
        return min(summary.front, key=lambda one: one.values[memory])
    return row


def knee_of(summary: Judged) -> Row | None:
    """The knee; None where no point of the front lies below the line between its ends."""
    if not summary.front:
        return None
    row = Selection.of(summary, Goal()).row
    least = (min(r.values[o.name] for r in summary.front) for o in summary.objectives)
    is_end = any(row.values[o.name] <= x for o, x in zip(summary.objectives, least, strict=True))
    return None if is_end else row


def _span(summary: Judged) -> tuple[Vector, Vector]:
    """From where to where the front goes, as logarithms."""
    rows = summary.front or summary.undecided
    levels = np.log(np.maximum([row.estimate.values for row in rows], 1e-300))
    return levels.min(axis=0), levels.max(axis=0)


def _costs(
    values: Vector, objectives: Sequence[Objective], goal: Goal, span: tuple[Vector, Vector]
) -> Vector:
    """What is smallest of what is selected; a percent is 0.01 of it. Shape ``(n,)``."""
    levels = np.log(np.maximum(values, 1e-300))
    if goal.weights is not None:
        weights = np.array([goal.weights.get(o.name, 0.0) for o in objectives])
        # Over their sum, so that a percent of all figures is a percent of the cost.
        return np.asarray(levels @ (weights / weights.max() / (weights / weights.max()).sum()))
    # The knee: where the front, from best to worst in every objective, bends towards the origin.
    low, high = span
    return np.asarray(((levels - low) / np.maximum(high - low, 1e-12)).sum(axis=1))


def _counted(objectives: Sequence[Objective], goal: Goal) -> set[str]:
    """Objectives by which is selected."""
    weights = goal.weights
    return {o.name for o in objectives if weights is None or weights.get(o.name)}


def _saves(row: Row, than: Row, summary: Judged) -> bool:
    """Whether some objective of a row is smaller by more than the margin, as far as can be told."""
    least = 1 + summary.header.margin
    return any(
        row.values[o.name] * least < than.values[o.name]
        for o in summary.objectives
        if o.name not in {*row.untold, *than.untold}
    )


def _trades(
    rows: Sequence[Row],
    values: Vector,
    objectives: Sequence[Objective],
    goal: Goal,
    costs: Vector,
    chosen: int,
) -> list[Trade]:
    if not goal.limits:
        front = nondominated(values)
        front[chosen] = True
        order = [i for i in np.argsort(values[:, 0], kind="stable").tolist() if front[i]]
        at = order.index(chosen)
        around = [order[i] for i in (at - 1, at + 1) if 0 <= i < len(order)]
        return [Trade(rows[i], None) for i in around]
    found = []
    for limit in goal.limits:
        others = [other for other in goal.limits if other != limit]
        column = values[:, objectives.index(limit.objective)]
        beyond = (column > limit.most) & (costs < costs[chosen])
        beyond &= _allowed(values, objectives, others)
        if beyond.any():
            first = int(np.argmin(np.where(beyond, column, np.inf)))
            found.append(Trade(rows[first], limit))
    return found


def _none_within(summary: Judged, limits: Sequence[Limit]) -> str:
    rows = [*summary.front, *summary.undecided]
    least = []
    for limit in limits:
        at = summary.objectives.index(limit.objective)
        row = min(rows, key=lambda r: r.estimate.values[at])
        least.append(
            f"the least {limit.objective.name} is "
            f"{shown(limit.objective, row.estimate.values[at])} (id {row.name})"
        )
    asked = " and ".join(limit.words for limit in limits)
    return f"nothing on the front has {asked}; {', '.join(least)}"


def _example(objective: Objective) -> str:
    return {"s": "12ms", "B": "100MB", "J": "3mJ"}.get(objective.unit, "3ppm") + (
        " or 1.2x baseline"
    )


def check_objective(name: str, known: Collection[str], how: str = "--max {}=VALUE") -> None:
    """See that an objective is one of a run's; an error says how to name another.

    Raises:
        InputError: It is none.
    """
    if name not in known:
        others = " or ".join(map(how.format, known))
        raise InputError(f"objective {name!r}: the run's are {', '.join(known)} ({others})")
