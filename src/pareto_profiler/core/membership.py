"""Membership: which assignments are on the front, how probably, and which is not decided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.estimate import Estimate, Estimates, Figure
from pareto_profiler.core.front import contenders, nondominated, plausible_values, unbeaten
from pareto_profiler.core.rules import CONFIDENCE, MARGIN, Limits, wanted_of

Vector = NDArray[np.float64]

LIKELY: Final = 0.5
"""Probability from which on an assignment is shown as one of the front."""

_MAX_PAIRS: Final = 20_000_000
_MIN_DRAWS: Final = 100


class Verdict(StrEnum):
    """What is known of an assignment's place."""

    ON = "on the front"
    OFF = "off the front"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Membership:
    """What is known of one assignment's place.

    Attributes:
        probability: That it is on the front.
        verdict: None where nothing is known of the noise.
        rival: Position of the assignment against which it is least decided; None where none is.
        ties: Positions of assignments that cannot be told from it: within the margin or the noise
            in every objective.
    """

    probability: float
    verdict: Verdict | None
    rival: int | None = None
    ties: tuple[int, ...] = ()


def memberships(
    estimates: Estimates,
    *,
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[Membership, ...]:
    """The place of every measured assignment.

    An assignment is off the front when another one is noticeably better in some objective and not
    noticeably worse in any: better by more than the margin, and worse by less than half of it. With
    a margin of 0 that is dominance.

    Figures are drawn from their distributions (Student's t on logarithms, objectives independent)
    again and again; the probability is the share of the draws in which nothing beats the
    assignment, and a verdict is given where it or its complement reaches the confidence. What was
    only measured while other work disturbed it may be anything faster, so it is never on, and
    seldom surely off; others it beats as it was measured only.

    Where nothing is known of the noise figures count as exact and the margin as 0.
    O(draws · k²) for the k assignments that may be on the front; of many fewer draws are made.

    Args:
        estimates: Of all measured assignments.
        margin: As a fraction, 0.01 for 1 %.
        confidence: Of each verdict.
        draws: How many, at most.
        seed: Of the draws.

    Returns:
        In the order of ``estimates.items``.
    """
    values = estimates.values()
    if not len(values):
        return ()
    if not estimates.is_noise_known:
        return tuple(Membership(float(on), None) for on in nondominated(values))
    open_ones = _not_hopeless(estimates, margin)
    rivals = contenders(estimates)
    relevant = _relevant(estimates, open_ones, rivals, margin)
    pairs = sum(map(len, relevant)) + len(values)
    draws = min(draws, max(_MIN_DRAWS, _MAX_PAIRS // pairs))
    free, beaten = _drawn(estimates, open_ones, relevant, margin, draws, seed)
    found = [Membership(0.0, Verdict.OFF)] * len(values)
    for k, i in enumerate(open_ones):
        probability = float(free[k])
        verdict = Verdict.INCONCLUSIVE
        if probability <= 1 - confidence:
            verdict = Verdict.OFF
        elif probability >= confidence and _may_be_on(estimates.items[i]):
            verdict = Verdict.ON
        doubts = beaten[k] * (1 - beaten[k])
        is_open = verdict is Verdict.INCONCLUSIVE and len(doubts) > 0 and doubts.max() > 0
        rival = relevant[k][int(np.argmax(doubts))] if is_open else None
        found[i] = Membership(probability, verdict, rival)
    candidates = [i for i in open_ones if found[i].verdict is not Verdict.OFF]
    ties = _ties(estimates, candidates, margin)
    for i, alike in ties.items():
        found[i] = replace(found[i], ties=alike)
    return tuple(found)


def _may_be_on(item: Estimate) -> bool:
    return item.is_told and not item.is_contended


def _not_hopeless(estimates: Estimates, margin: float) -> list[int]:
    """Positions of those that are not surely beaten by one with the best figures."""
    lows, highs = _bounds(estimates)
    best = highs[nondominated(highs)]
    better, worse = _limits(estimates, margin)
    return [
        i
        for i, low in enumerate(lows)
        if not ((best <= low + worse).all(axis=1) & (best < low - better).any(axis=1)).any()
    ]


def _bounds(estimates: Estimates) -> tuple[Vector, Vector]:
    """Logarithms that no draw passes but once in a million."""
    levels = np.log(np.maximum(estimates.values(), 1e-300))
    reach = np.array([[_reach(figure) for figure in item.figures] for item in estimates.items])
    return levels - reach, levels + np.where(np.isfinite(reach), reach, 0.0)


def _reach(figure: Figure) -> float:
    # Of Student's t: heavier tails with few degrees of freedom.
    return figure.deviation * (5 + 20 / max(figure.freedom, 1.0)) if figure.deviation else 0.0


def _limits(estimates: Estimates, margin: float) -> tuple[float, float]:
    """How much better is noticeable, and how much worse is not, of logarithms.

    Half: so that no three assignments can beat each other in a circle.
    """
    better = math.log1p(margin)
    return better, better / max(2, len(estimates.objectives) - 1)


def _relevant(
    estimates: Estimates, rows: Sequence[int], rivals: Sequence[int], margin: float
) -> list[list[int]]:
    """For each row those rivals that some draw may have beat it."""
    better, worse = _limits(estimates, margin)
    levels = np.log(np.maximum(estimates.values(), 1e-300))
    reach = np.array([[_reach(figure) for figure in item.figures] for item in estimates.items])
    positions = np.asarray(rivals)
    found = []
    for i in rows:
        distance = levels[positions] - levels[i]
        both = np.hypot(reach[positions], reach[i])
        may = np.all(distance - worse <= both, axis=1) & np.any(distance + better < both, axis=1)
        found.append([j for j in positions[may].tolist() if j != i])
    return found


def _drawn(
    estimates: Estimates,
    rows: Sequence[int],
    relevant: Sequence[Sequence[int]],
    margin: float,
    draws: int,
    seed: int,
) -> tuple[Vector, list[Vector]]:
    """Share of draws in which nothing beats a row, and in which each of its rivals does."""
    both = sorted(set(rows).union(*relevant))
    at = {i: k for k, i in enumerate(both)}
    random = np.random.default_rng(seed)
    values = plausible_values(estimates, both, draws=draws, random=random, is_open=True)
    levels = np.log(np.maximum(values, 1e-300))
    # That it may be faster than measured keeps it in the race, and puts nobody else out of it.
    as_measured = np.log(np.maximum(estimates.values()[both], 1e-300))
    spreads = np.array([[f.deviation for f in estimates.items[i].figures] for i in both])
    beating = np.where(np.isfinite(spreads), levels, as_measured)
    better, worse = _limits(estimates, margin)
    free = np.ones(len(rows))
    beaten: list[Vector] = []
    for k, (i, others) in enumerate(zip(rows, relevant, strict=True)):
        distance = beating[:, [at[j] for j in others]] - levels[:, [at[i]]]
        beats = np.all(distance <= worse, axis=2) & np.any(distance < -better, axis=2)
        free[k] = 1 - beats.any(axis=1).mean()
        beaten.append(beats.mean(axis=0))
    return free, beaten


def _ties(
    estimates: Estimates, candidates: Sequence[int], margin: float
) -> dict[int, tuple[int, ...]]:
    """For each candidate the others that cannot be told from it, in any objective."""
    levels = np.log(np.maximum(estimates.values(), 1e-300))
    variances = np.array([[f.deviation**2 for f in item.figures] for item in estimates.items])
    found = {}
    for i in candidates:
        others = [j for j in candidates if j != i]
        distance = np.abs(levels[others] - levels[i])
        both = variances[others] + variances[i]
        for k, matrix in enumerate(estimates.correlations):
            known = np.isfinite(both[:, k])
            theirs = variances[others, k][known]
            spreads = np.sqrt(theirs * variances[i, k]) if len(theirs) else theirs
            both[known, k] -= 2 * matrix[i, others][known] * spreads
        noise = 2 * np.sqrt(np.maximum(both, 0.0))
        alike = (distance <= np.maximum(math.log1p(margin), noise)).all(axis=1)
        found[i] = tuple(j for j, is_alike in zip(others, alike, strict=True) if is_alike)
    return found


def undecided_within(
    estimates: Estimates,
    limits: Limits,
    *,
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
    draws: int = 500,
    seed: int = 0,
) -> list[int]:
    """What has to be measured again to say which assignment is the best within limits.

    That one, where it may be beyond them or another may be better by more than the margin; and
    those others. Where none is within, what is closest. O(draws · assignments).

    Args:
        estimates: Of all measured assignments.
        limits: What objectives may be at most.
        margin: A difference that nobody would notice, as a fraction.
        confidence: Of the choice.
        draws: How many.
        seed: Of the draws.

    Returns:
        Positions in ``estimates.items``; empty where everything is decided.
    """
    names = [o.name for o in estimates.objectives]
    wanted = wanted_of(names, limits)
    most = np.array([limits.get(name, np.inf) for name in names])
    values = estimates.values()
    beyond = (values / most).max(axis=1)
    if (beyond > 1).all():
        chosen = int(beyond.argmin())
    else:
        chosen = int(np.where(beyond <= 1, values[:, wanted], np.inf).argmin())
    if not estimates.is_noise_known:
        return [chosen]
    random = np.random.default_rng(seed)
    everyone = range(len(values))
    drawn = plausible_values(estimates, everyone, draws=draws, random=random, is_open=True)
    fits: NDArray[np.bool_] = np.all(drawn <= most, axis=2)
    level = np.log(np.maximum(drawn[..., wanted], 1e-300))
    is_better: NDArray[np.bool_] = np.logical_and(
        fits, level < level[:, [chosen]] - math.log1p(margin)
    )
    doubt = 1 - confidence
    kept = float(fits[:, chosen].mean())
    is_kept_open = doubt < kept < confidence
    is_beaten_open = float(is_better.any(axis=1).mean()) > doubt
    if not is_kept_open and not is_beaten_open:
        return []
    share = is_better.mean(axis=0)
    rivals = np.flatnonzero((share > doubt / 2) & is_beaten_open).tolist()
    return [chosen, *rivals]


def shown_front(
    estimates: Estimates, places: Sequence[Membership], margin: float = MARGIN
) -> list[int]:
    """Positions of the assignments that are shown as the front, by increasing first objective.

    Those that are more likely on it than not, but for what is not decided and another one of them
    beats by its figures; and where these leave a part of the front open, since
    many are close there and each of them is unlikely, the likeliest of those that none shown is as
    good as, but for the margin. Of those whose figures are not told, only what no other one shown
    is as good as: the rest may be on the front, but is no guess of it. Where nothing that is shown
    is told, what is best of what is told stands beside it.
    """
    if not places:
        return []
    items, values = estimates.items, estimates.values()
    levels = np.log(np.maximum(values, 1e-300)) if len(values) else values
    told = np.array([item.is_told for item in items])
    shown = [i for i, place in enumerate(places) if place.probability >= LIKELY]
    worse = math.exp(_limits(estimates, margin)[1])

    def kept(found: list[int]) -> list[int]:
        best, free = nondominated(values[found]), unbeaten(values[found], margin, worse)
        return [
            i
            for i, is_best, is_free in zip(found, best, free, strict=True)
            if is_best or (told[i] and (is_free or places[i].verdict is Verdict.ON))
        ]

    shown = kept(shown)
    order = sorted(range(len(places)), key=lambda i: -places[i].probability)
    possible = [i for i in order if places[i].verdict is not Verdict.OFF and i not in shown]

    def filled(found: list[int], more: Sequence[int]) -> list[int]:
        both = list(found)
        for i in more:
            if not np.all(levels[both] <= levels[i] + math.log1p(margin), axis=1).any():
                both.append(i)
        return kept(both)

    if estimates.is_noise_known:
        shown = filled(shown, possible)
        if not told[shown].any():
            shown += filled([], [i for i in possible if told[i] and i not in shown])
    shown = shown or np.flatnonzero(nondominated(values)).tolist()
    return sorted(shown, key=lambda i: (*items[i].values, items[i].trials[0].number))
