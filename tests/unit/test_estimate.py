"""What all trials of an assignment together say."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from pareto_profiler.core.estimate import Estimate, Estimates, Figure, Predictions
from pareto_profiler.core.front import resampled_hypervolumes
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.membership import Verdict, memberships
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind

OBJECTIVES = objectives_of(["exec_time", "max_rss"])


def trial(
    number: int,
    name: str,
    seconds: float,
    size: float = 1e7,
    *,
    others: float = 0.0,
    at_s: float | None = None,
    source: str = "random",
) -> Trial:
    samples = {"exec_time": (seconds,) * 5, "max_rss": (size,), "other_cpus": (others,) * 5}
    moment = "" if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat()
    return Trial(number, (name,), Measurement(samples), source, moment)


def of(*trials: Trial, anchor: str | None = None) -> dict[str, Figure]:
    found = Estimates.of(trials, OBJECTIVES, None if anchor is None else (anchor,))
    return {item.assignment[0]: item.figures[0] for item in found.items}


def test_figures_measured_once_count_as_exact():
    estimates = Estimates.of([trial(0, "a", 0.123), trial(1, "b", 0.2)], OBJECTIVES)
    assert not estimates.is_noise_known
    assert estimates.items[0].values == (0.123, 1e7)
    assert estimates.items[0].figures[0].interval() == (0.123, 0.123)


def test_failures_are_left_out_and_repeats_are_one():
    failed = Trial(1, ("a",), Failure(FailureKind.CRASHED, "SIGSEGV"))
    estimates = Estimates.of([trial(0, "a", 0.1), failed, trial(2, "a", 0.2)], OBJECTIVES)
    (item,) = estimates.items
    assert [t.number for t in item.trials] == [0, 2]
    assert item.values[0] == pytest.approx(math.sqrt(0.1 * 0.2))


def test_memory_that_was_lucky_at_fixed_addresses_is_what_it_is_at_others():
    """As on a 32-bit board: 15 036 KiB at first, and some 15 950 whenever it was repeated."""
    anchors = [15360.0, 15268.0, 15336.0, 15268.0, 15332.0, 15316.0]

    def measured(number: int, name: str, seconds: float, kib: float, *, first: int) -> Trial:
        source = "confirm" if number > first else "random"
        return trial(number, name, seconds, kib * 1024, source=source)

    trials = [measured(i, "anchor", 0.096, kib, first=0) for i, kib in enumerate(anchors)]
    lucky = [15036.0, 15984.0, 15928.0, 15950.0]
    again = [measured(6 + i, "lucky", 0.09, kib, first=6) for i, kib in enumerate(lucky)]
    for repeats in (1, 2, 3):
        found = Estimates.of([*trials, *again[: 1 + repeats]], OBJECTIVES, ("anchor",))
        figure = found.items[1].figures[1]
        low, high = figure.interval()
        assert figure.value / 1024 == pytest.approx(15950, rel=0.003)
        assert low / 1024 < 15950 < high / 1024
    # What the first one was off by is noise: of what was measured once less is known.
    steady = [measured(6 + i, "steady", 0.09, 15950, first=6) for i in range(3)]
    assert (
        Estimates.of([*trials, *again[:3]], OBJECTIVES, ("anchor",)).noise[1]
        > 2 * Estimates.of([*trials, *steady], OBJECTIVES, ("anchor",)).noise[1]
    )
    # In tables of any origin nobody knows which was the first, and the order of rows means nothing.
    unknown = [trial(i, "a", 0.1, size, source="") for i, size in enumerate((1e6, 4e6, 2e6))]
    for rows in (unknown, unknown[::-1], [unknown[1], unknown[0], unknown[2]]):
        assert Estimates.of(rows, OBJECTIVES).items[0].figures[1].value == pytest.approx(2e6)
    # Time is no matter of addresses: all count.
    times = of(trial(0, "a", 0.1), trial(1, "a", 0.2))
    assert times["a"].value == pytest.approx(math.sqrt(0.1 * 0.2))


def test_how_processes_differ_is_borrowed_from_those_that_were_repeated():
    repeated = [trial(i, "a", 0.1 * math.exp(0.02 * (-1) ** i)) for i in range(10)]
    figures = of(*repeated, trial(10, "b", 0.3))
    assert figures["b"].deviation == pytest.approx(0.02, rel=0.1)
    # Ten times as many: about √10 times as sure.
    assert figures["a"].deviation == pytest.approx(figures["b"].deviation / math.sqrt(10), rel=0.1)
    low, high = figures["b"].interval()
    assert low < 0.3 < high


def test_disturbed_trials_are_left_out_where_others_remain():
    quiet = [trial(i, "a", 0.1) for i in range(3)]
    figures = of(*quiet, trial(3, "b", 0.9, others=1.0), trial(4, "b", 0.2))
    assert figures["b"].value == pytest.approx(0.2)
    estimates = Estimates.of([*quiet, trial(3, "b", 0.9, others=1.0)], OBJECTIVES)
    busy = estimates.items[1]
    assert busy.is_contended
    assert busy.figures[0].interval() is None
    assert not busy.is_told
    # Memory is not what other work disturbs.
    assert busy.figures[1].interval() == (1e7, 1e7)


def test_where_nearly_all_was_disturbed_that_is_the_noise():
    busy = [trial(i, "a", 0.1 * math.exp(0.1 * (-1) ** i), others=1.0) for i in range(8)]
    estimates = Estimates.of([*busy, trial(8, "a", 0.1)], OBJECTIVES)
    assert estimates.is_noise_known
    assert estimates.noise[0] == pytest.approx(0.1, rel=0.2)
    assert not estimates.items[0].is_contended


def test_what_runs_long_after_is_compared_as_if_it_had_run_at_once():
    random = np.random.default_rng(0)
    trials = []
    for i in range(40):
        level = 0.2 * i / 40 + random.normal(0, 0.003)
        name = "a" if i % 2 == 0 else f"x{i}"
        trials.append(trial(i, name, 0.1 * math.exp(level), at_s=1e9 + 10.0 * i))
    figures = of(*trials, anchor="a")
    # Without the drift all are 0.1; their level is the mean one.
    for name, figure in figures.items():
        assert figure.value == pytest.approx(0.1 * math.exp(0.1), rel=0.02), name
    estimates = Estimates.of(trials, OBJECTIVES, ("a",))
    assert estimates.drifts[0] == pytest.approx(0.2, rel=0.15)
    assert estimates.drifts[1] == 0.0


def test_output_errors_are_the_worst_ones_and_rounding_is_none():
    objectives = objectives_of(["exec_time", "output_error"])
    trials = [
        Trial(i, (name,), Measurement({"exec_time": (1.0,)}, output_error=error))
        for i, (name, error) in enumerate([("a", 0.0), ("b", 1e-4), ("b", 2e-4), ("c", 1e-9)])
    ]
    values = [item.values[1] for item in Estimates.of(trials, objectives).items]
    assert values == pytest.approx([1e-6, 2e-4, 1e-6])


def test_intervals_are_as_wide_as_the_confidence():
    figure = Figure(10.0, deviation=0.05, freedom=30)
    widths = [high - low for low, high in map(figure.interval, (0.5, 0.9, 0.99))]
    assert widths == sorted(widths)
    assert Figure(10.0).interval() == (10.0, 10.0)


def test_nothing_at_all_in_some_processes_is_a_figure_like_others():
    objectives = objectives_of(["exec_time", "model_rss"])
    trials = [
        Trial(
            i,
            (name,),
            Measurement(
                {"exec_time": (1.0,), "max_rss": (peak,), "rss_before_load": (5e6,)},
            ),
        )
        for i, (name, peak) in enumerate([("a", 5e6), ("a", 6e6), ("a", 5e6), ("b", 9e6)])
    ]
    estimates = Estimates.of(trials, objectives)
    assert all(p.probability >= 0 for p in memberships(estimates))
    assert np.isfinite(resampled_hypervolumes(estimates, (2.0, 1e7))).all()


def once(*values: float, deviation: float = 0.01, is_noise_known: bool = True) -> Estimates:
    """Assignments a, b, c … with these times, all in one unit of memory."""
    items = [
        Estimate((name,), (trial(i, name, value),), (Figure(value, deviation, 9), Figure(1.0)))
        for i, (name, value) in enumerate(zip("abcdefghij", values, strict=False))
    ]
    return Estimates(OBJECTIVES, tuple(items), is_noise_known, (deviation, 0.0), (0.0, 0.0))


def said(*figures: Figure, noise: float = 0.01) -> Predictions:
    """Of the times of a, b, c …; nothing of memory."""
    unknown = Figure(1.0, math.inf)
    rows = {(name,): (f, unknown) for name, f in zip("abcdefghij", figures, strict=False)}
    return Predictions(rows, (noise, noise))


def test_measured_and_predicted_are_weighed_by_their_precision():
    found = once(1.0, 2.0).combined_with(said(Figure(1.01, 0.01), Figure(2.0, 0.02)))
    (alike, memory), (surer, _) = (item.figures for item in found.items)
    assert alike.value == pytest.approx(math.sqrt(1.01))
    assert alike.deviation == pytest.approx(0.01 / math.sqrt(2))
    assert alike.freedom == 9
    assert surer.deviation == pytest.approx(0.01 / math.sqrt(1.25))
    assert memory == Figure(1.0)


def test_what_nothing_is_predicted_of_stays_as_it_was_measured():
    before = once(1.0, 2.0)
    assert before.combined_with(Predictions({}, (0.01, 0.01))) == before
    assert before.combined_with(said(Figure(1.5, math.inf), Figure(-1.0, 0.1))) == before
    assert before.combined_with(Predictions({}, ())) == before
    assert Estimates(OBJECTIVES).combined_with(said(Figure(1.0, 0.1))) == Estimates(OBJECTIVES)


def test_output_errors_are_exact_whatever_is_predicted():
    errors = objectives_of(["exec_time", "output_error"])
    before = replace(once(1.0, 2.0, is_noise_known=False), objectives=errors)
    predicted = {(n,): (Figure(3.0, 0.1), Figure(9.0, 0.1)) for n in "ab"}
    after = before.combined_with(Predictions(predicted, (0.01, 0.01)))
    assert [i.figures[1] for i in after.items] == [i.figures[1] for i in before.items]
    assert after.items[0].figures[0] != before.items[0].figures[0]


def test_what_took_no_time_at_all_stays_nothing():
    before = once(0.0, 2.0)
    found = before.combined_with(said(Figure(1.0, 0.01), Figure(2.0, 0.01)))
    assert found.items[0] == before.items[0]


def test_predictions_that_were_far_off_count_for_less():
    rows = [1.0, 1.0, 1.0, 1.0]
    near = once(*rows).combined_with(said(*[Figure(1.01, 0.01)] * 4))
    far = once(*rows).combined_with(said(*[Figure(1.01, 0.01)] * 3, Figure(1.2, 0.01)))
    assert near.items[0].values[0] > far.items[0].values[0] > 1.0
    assert near.items[0].figures[0].deviation < far.items[0].figures[0].deviation < 0.01


def test_without_repeats_the_models_noise_stands_in_and_figures_still_count_as_exact():
    known = once(1.0, deviation=0.0, is_noise_known=False)
    found = known.combined_with(said(Figure(1.1, 0.02), noise=0.02)).items[0].figures[0]
    assert 1.0 < found.value < 1.1
    assert found.deviation == 0.0


def test_what_others_disturbed_is_what_is_predicted():
    before = once(1.0, 9.0, 3.0)
    busy = replace(before.items[1], figures=(Figure(9.0, math.inf, 1), Figure(1.0)))
    before = replace(before, items=(before.items[0], busy, before.items[2]))
    after = before.combined_with(said(Figure(1.0, 0.01), Figure(2.0, 0.01), Figure(3.0, 0.01)))
    assert after.items[1].figures[0].value == pytest.approx(2.0)


@pytest.mark.parametrize("disturbed", [[900.0], [900.0, 0.001], [5000.0]])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_minority_of_disturbed_processes_does_not_move_the_figure(
    disturbed: list[float], count: int
):
    """One of three, two of five and so on: the middle one counts, and the interval says it."""
    if count <= len(disturbed):
        return
    rows = [*[20.0] * count, *disturbed]
    other = [*[10.0] * count, *disturbed]
    trials = [trial(i, "a", v) for i, v in enumerate(rows)]
    trials += [trial(len(rows) + i, "b", v) for i, v in enumerate(other)]
    figures = of(*trials)
    assert figures["a"].value == pytest.approx(20.0)
    assert figures["b"].value == pytest.approx(10.0)
    ends = figures["b"].interval()
    assert ends is None or (ends[0] < 10.0 < ends[1] and ends[1] / ends[0] > 1.5)


def test_what_may_be_a_hundred_times_more_or_less_tells_nothing():
    assert Figure(1.0, deviation=1.0, freedom=1e6).interval() is not None
    assert Figure(1.0, deviation=3.0, freedom=1e6).interval() is None
    assert Figure(1.0, deviation=0.5, freedom=1.0).interval() is None
    assert Figure(1.0, deviation=1e300, freedom=1.0).interval() is None


def ticks(number: int, name: str, seconds: float, resolution: float) -> Trial:
    made = trial(number, name, seconds)
    assert isinstance(made.outcome, Measurement)
    samples = {**made.outcome.samples, "exec_time": (seconds,), "clock_resolution": (resolution,)}
    return Trial(number, (name,), Measurement(samples), made.source)


@pytest.mark.parametrize("microseconds", [(3, 4), (4, 3), (1, 2), (10, 11)])
def test_a_tick_of_a_coarse_clock_apart_is_never_decided(microseconds: tuple[int, int]):
    """However often both were measured, always with the same result."""
    for resolution, is_decided in ((1e-6, False), (1e-9, True)):
        trials = [
            ticks(2 * i + k, "ab"[k], microseconds[k] * 1e-6, resolution)
            for i in range(20)
            for k in (0, 1)
        ]
        estimates = Estimates.of(trials, OBJECTIVES)
        verdicts = {m.verdict for m in memberships(estimates, margin=0.0)}
        assert (verdicts == {Verdict.ON, Verdict.OFF}) == is_decided


def fleet_trials(seed: int, *, are_named: bool) -> tuple[list[Trial], float]:
    """Sixty assignments of equal cost, twice each on boards that differ, and the boards' mean."""
    random = np.random.default_rng(seed)
    offsets = random.normal(0.0, 0.03, 4)
    names = [f"a{i}" for i in range(60)] * 2
    trials = []
    for k, name in enumerate(names):
        board = k % 4 if k < 60 else (k + 1) % 4
        for which in ["base"] * (k // 4 % 8 == 0) + [name]:
            level = offsets[board] + random.normal(0.0, 0.01)
            made = trial(len(trials), which, math.exp(level), at_s=1e9 + len(trials))
            trials.append(replace(made, board=f"board{board}" if are_named else ""))
    return trials, math.exp(float(offsets.mean()))


def covered(*, are_named: bool) -> tuple[float, float]:
    hits, widths = [], []
    for seed in range(20):
        trials, truth = fleet_trials(seed, are_named=are_named)
        figures = of(*trials, anchor="base")
        for name, figure in figures.items():
            low, high = figure.interval() or (0.0, math.inf)
            hits.append(low <= truth <= high or name == "base")
            widths.append(math.log(high / low))
    return float(np.mean(hits)), float(np.median(widths))


def test_boards_that_differ_are_compared_through_their_anchors():
    share, width = covered(are_named=True)
    assert 0.93 <= share <= 0.995
    # As if all were one board, what differs between boards counts as noise of processes.
    assert width < 0.75 * covered(are_named=False)[1]


def test_a_board_of_which_less_is_known_leaves_more_open():
    trials, _ = fleet_trials(0, are_named=True)
    few = [t for t in trials if t.assignment != ("base",) or t.board != "board0" or t.number < 2]
    assert sum(t.board == "board0" and t.assignment == ("base",) for t in few) == 1
    pairs = zip(*(of(*some, anchor="base").items() for some in (trials, few)), strict=True)
    on_it = {t.assignment[0] for t in trials if t.board == "board0"} - {"base"}
    wider = [less.deviation > more.deviation for (name, more), (_, less) in pairs if name in on_it]
    assert all(wider)
    assert len(wider) == 30
