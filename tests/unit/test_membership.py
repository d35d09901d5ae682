"""Who is on the front, how surely, and who cannot be told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_profiler.core.estimate import Estimate, Estimates, Figure
from pareto_profiler.core.front import nondominated
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.membership import Verdict, memberships, shown_front, undecided_within
from pareto_profiler.core.trial import Trial

OBJECTIVES = objectives_of(["exec_time", "max_rss"])


def estimates(
    points: list[tuple[float, float]],
    deviation: float | list[float] = 0.0,
    *,
    contended: tuple[int, ...] = (),
    is_noise_known: bool = True,
) -> Estimates:
    spread = deviation if isinstance(deviation, list) else [deviation] * len(points)
    items = []
    for i, (seconds, size) in enumerate(points):
        deviation_i = math.inf if i in contended else spread[i]
        figures = (Figure(seconds, deviation_i, 20), Figure(size))
        one = Trial(i, (str(i),), Measurement({"exec_time": (seconds,), "max_rss": (size,)}))
        items.append(Estimate((str(i),), (one,), figures, is_contended=i in contended))
    return Estimates(OBJECTIVES, tuple(items), is_noise_known, (0.0, 0.0), (0.0, 0.0))


points = st.lists(
    st.tuples(st.integers(1, 20).map(float), st.integers(1, 20).map(float)), min_size=1, max_size=12
)


@given(points)
@settings(deadline=None)
def test_of_exact_figures_without_a_margin_it_is_dominance(rows: list[tuple[float, float]]):
    expected = nondominated(rows).tolist()
    for known in (False, True):
        places = memberships(estimates(rows, is_noise_known=known), margin=0.0)
        assert [p.probability for p in places] == [float(on) for on in expected]
    assert {p.verdict for p in places} <= {Verdict.ON, Verdict.OFF}


@given(points)
@settings(deadline=None)
def test_some_assignment_is_always_on_the_front(rows: list[tuple[float, float]]):
    found = estimates(rows, 0.1)
    places = memberships(found, draws=200)
    shown = shown_front(found, places)
    assert shown
    assert sum(p.probability for p in places) >= 1 - 1e-9
    assert [found.items[i].values for i in shown] == sorted(found.items[i].values for i in shown)


def test_what_nothing_is_known_of_is_not_all_that_is_shown():
    """Ten that are close, each unlikely alone, beside one whose time other work hid."""
    rows = [(10.0 + 0.02 * i, 20.0 - 0.01 * i) for i in range(10)] + [(90.0, 5.0)]
    found = estimates(rows, 0.2, contended=(10,))
    places = memberships(found)
    assert all(place.probability < 0.5 for place in places[:10])
    shown = shown_front(found, places)
    assert set(range(10)) & set(shown)
    assert 10 in shown


@given(points, st.floats(0.001, 0.5))
@settings(deadline=None)
def test_no_part_of_the_front_is_left_out(rows: list[tuple[float, float]], deviation: float):
    """Of whatever may be on the front something shown is as good, but for the margin."""
    found = estimates(rows, deviation)
    places = memberships(found, draws=100)
    shown = shown_front(found, places)
    for i, place in enumerate(places):
        if place.verdict is not Verdict.OFF:
            assert any(
                all(a <= 1.01 * b for a, b in zip(rows[j], rows[i], strict=True)) for j in shown
            )
    for i in shown:
        beaten = any(
            all(a <= b for a, b in zip(rows[j], rows[i], strict=True))
            for j in shown
            if rows[j] != rows[i]
        )
        assert places[i].probability >= 0.5 or not beaten


def test_many_close_ones_do_not_lose_the_fast_end():
    """The slowest is surely on the front, and of twenty fast ones each is unlikely alone."""
    random = np.random.default_rng(0)
    fast = [(0.41 + 0.2 * x, 9000.0 - 10 * i) for i, x in enumerate(random.random(20))]
    found = estimates([(0.4, 9100.0), *fast, (1.39, 6000.0)], [0.2] * 21 + [0.02])
    places = memberships(found)
    assert max(p.probability for p in places[:-1]) < 0.5 < places[-1].probability
    shown = shown_front(found, places)
    assert {shown[0], shown[-1]} == {0, 21}


def test_what_is_off_the_front_is_not_shown_for_being_told():
    """The other's time is not told, but even as it was measured, others at work, it is better."""
    found = estimates([(1.21, 6464.0), (4.95, 7472.0)], 0.04, contended=(0,))
    assert shown_front(found, memberships(found)) == [0]


def test_the_probability_is_how_often_noise_leaves_it_there():
    # Two of the same size: each is on the front when it is not slower by more than the margin.
    places = memberships(estimates([(1.0, 5.0), (1.03, 5.0)], 0.02), draws=20_000)
    random = np.random.default_rng(1)
    noise = random.standard_t(20, size=(2, 200_000)) * 0.02
    distance = math.log(1.03) + noise[1] - noise[0]
    assert places[1].probability == pytest.approx((distance <= math.log(1.01)).mean(), abs=0.01)
    assert places[0].probability == pytest.approx((distance >= -math.log(1.01)).mean(), abs=0.01)
    assert places[1].verdict is Verdict.INCONCLUSIVE
    assert places[1].rival == 0


def test_more_noise_is_less_decided_and_less_confidence_decides_more():
    rows = [(1.0, 9.0), (1.05, 9.0), (2.0, 5.0)]
    sure = memberships(estimates(rows, 0.002))
    assert [p.verdict for p in sure] == [Verdict.ON, Verdict.OFF, Verdict.ON]
    noisy = estimates(rows, 0.02)
    assert memberships(noisy)[1].verdict is Verdict.INCONCLUSIVE
    assert memberships(noisy, confidence=0.6)[1].verdict is Verdict.OFF


def test_differences_below_the_margin_are_none():
    # A little faster for a fifth more memory: nobody would notice the first.
    rows = [(1.0, 5.0), (0.997, 6.0)]
    assert [p.verdict for p in memberships(estimates(rows))] == [Verdict.ON, Verdict.OFF]
    strict = memberships(estimates(rows), margin=0.0)
    assert [p.verdict for p in strict] == [Verdict.ON, Verdict.ON]


def test_ties_are_named_both_ways():
    places = memberships(estimates([(1.0, 5.0), (1.004, 5.01), (0.5, 9.0)], 0.001))
    assert [p.ties for p in places] == [(1,), (0,), ()]


def test_what_was_measured_while_something_else_ran_is_never_on_the_front():
    rows = [(1.0, 5.0), (30.0, 4.0), (0.9, 5.0)]
    places = memberships(estimates(rows, 0.001, contended=(1, 2)))
    # The only one of so little memory; and one that may be much faster than it seemed.
    assert [p.verdict for p in places[1:]] == [Verdict.INCONCLUSIVE] * 2
    # More memory and slower than something: it may be anything faster.
    larger = memberships(estimates([(1.0, 5.0), (30.0, 6.0)], 0.001, contended=(1,)))
    assert larger[1].verdict is Verdict.INCONCLUSIVE


@pytest.mark.thorough
def test_a_large_table_is_judged_in_moderate_time_and_memory():
    random = np.random.default_rng(0)
    rows = [(float(a), float(b)) for a, b in random.lognormal(0, 0.5, size=(5000, 2))]
    places = memberships(estimates(rows, 0.02))
    assert sum(p.verdict is Verdict.OFF for p in places) > 4000
    # All of them on a front, each like its neighbours.
    row = [(1.0 + i / 1500, 2.0 - i / 1500) for i in range(1500)]
    dense = memberships(estimates(row, 0.02))
    assert sum(p.verdict is not Verdict.OFF for p in dense) > 100


@pytest.mark.parametrize(
    ("points", "deviation", "most", "expected"),
    [
        # The faster one is beyond the limit, and the next is ten per cent slower.
        ([(1.0, 30.0), (2.0, 20.0), (2.2, 20.0)], 0.001, 25.0, []),
        # What is within the noise of the best is measured with it, nothing else.
        ([(1.0, 30.0), (2.0, 20.0), (2.05, 20.0), (9.0, 20.0)], 0.02, 25.0, [1, 2]),
        # A difference that nobody would notice needs no deciding.
        ([(2.0, 20.0), (1.998, 20.0)], 0.0001, 25.0, []),
        # Nothing is within it, and that is sure.
        ([(1.0, 30.0), (2.0, 20.0)], 0.02, 10.0, []),
    ],
)
def test_within_a_limit_only_what_may_be_the_best_is_undecided(points, deviation, most, expected):
    assert undecided_within(estimates(points, deviation), {"max_rss": most}) == expected


def test_whether_the_best_is_within_its_limit_may_be_undecided():
    found = estimates([(1.0, 30.0), (2.0, 20.0)], 0.02)
    assert undecided_within(found, {"exec_time": 1.01}) == [0]
    assert undecided_within(found, {"exec_time": 0.995}) == [0]
    assert undecided_within(found, {"exec_time": 1.2}) == []


def test_of_unknown_noise_the_best_within_a_limit_is_repeated():
    found = estimates([(1.0, 30.0), (2.0, 20.0)], is_noise_known=False)
    assert undecided_within(found, {"max_rss": 25.0}) == [1]


def test_what_may_be_faster_puts_nothing_measured_off_the_front():
    """One known to be fast, and one with less memory that others disturbed each time."""
    told, open_one = memberships(estimates([(1.0, 5.0), (3.0, 4.0)], 0.001, contended=(1,)))
    assert (told.verdict, told.probability) == (Verdict.ON, 1.0)
    assert open_one.verdict is Verdict.INCONCLUSIVE
    # What is better even as it was measured, others at work, is better.
    slow, better = memberships(estimates([(3.0, 5.0), (1.0, 4.0)], 0.001, contended=(1,)))
    assert slow.verdict is Verdict.OFF
    assert better.verdict is Verdict.INCONCLUSIVE


@given(points)
@settings(deadline=None)
def test_a_guess_of_a_busy_front_holds_nothing_that_another_guess_beats(
    rows: list[tuple[float, float]],
):
    """Where other work disturbed all of them, each may be on it: those that look best are shown."""
    found = estimates(rows, 0.1, contended=tuple(range(len(rows))))
    shown = [rows[i] for i in shown_front(found, memberships(found, draws=100))]
    assert shown
    assert nondominated(shown).all()
