"""Dominance, hypervolume and fronts against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from pareto_profiler.core.front import Front, hypervolume, nondominated, reference_point
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind

OBJECTIVES = objectives_of(["exec_time", "max_rss"])
points_2d = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)
points_3d = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=15
)


@given(st.one_of(points_2d, points_3d))
def test_nondominated_is_the_definition(points: list[tuple[int, ...]]):
    assert nondominated(points).tolist() == reference.nondominated(points)


@given(st.one_of(points_2d.map(lambda p: (p, (7, 7))), points_3d.map(lambda p: (p, (5, 5, 4)))))
def test_hypervolume_counts_the_dominated_cells(case):
    points, corner = case
    assert hypervolume(points, corner) == pytest.approx(reference.hypervolume(points, corner))


def test_equal_points_are_all_kept():
    assert nondominated([[1, 2], [1, 2], [1, 3]]).tolist() == [True, True, False]


def test_nothing_dominates_nothing():
    assert nondominated([]).tolist() == []
    assert hypervolume([], [1.0, 1.0]) == 0.0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_figures_are_refused(value: float):
    with pytest.raises(ValueError, match="row 1"):
        nondominated([[1.0, 1.0], [value, 0.0]])
    with pytest.raises(ValueError, match="finite"):
        hypervolume([[1.0, 1.0]], [value, 1.0])


def test_arguments_are_left_as_they_were():
    points = np.array([[2.0, 1.0], [1.0, 2.0], [3.0, 3.0]])
    points.flags.writeable = False
    nondominated(points)
    hypervolume(points, [4.0, 4.0])


def trial(number: int, seconds: float, size: float) -> Trial:
    return Trial(
        number,
        (str(number),),
        Measurement({"exec_time": (seconds,), "max_rss": (size,)}),
    )


@given(points_2d)
def test_a_front_has_each_assignment_once_however_often_it_was_measured(points):
    trials = [trial(i, 1.0 + x, 1e6 * (1.0 + y)) for i, (x, y) in enumerate(points)]
    once, thrice = Front.of(trials, OBJECTIVES), Front.of(trials * 3, OBJECTIVES)
    assert [t.assignment for t in once.trials] == [t.assignment for t in thrice.trials]
    assert once.values() == pytest.approx(thrice.values())


def test_failures_are_never_on_a_front():
    failure = Trial(0, ("x",), Failure(FailureKind.CRASHED, "SIGSEGV"))
    assert Front.of([failure], OBJECTIVES).trials == ()
    assert Front.of([failure, trial(1, 1, 1)], OBJECTIVES).trials == (trial(1, 1, 1),)
    assert Front(OBJECTIVES).trials == ()


def test_a_front_is_sorted_by_the_first_objective():
    front = Front.of([trial(0, 3, 1), trial(1, 1, 3), trial(2, 2, 2), trial(3, 3, 3)], OBJECTIVES)
    assert [t.number for t in front.trials] == [1, 2, 0]


def test_the_reference_is_twice_the_baseline_or_the_worst_uniform():
    baseline, uniform = (1.0, 10.0), (5.0, 2.0)
    assert reference_point(baseline, [uniform], [], 2) == pytest.approx((5.5, 20.0))
    assert reference_point(None, [], [baseline, uniform], 2) == pytest.approx((5.5, 11.0))
    assert reference_point(None, [], [], 2) == (1.0, 1.0)
    # A dominated uniform assignment does not stretch the box.
    assert reference_point(baseline, [(9.0, 99.0)], [], 2) == pytest.approx((2.0, 20.0))


def test_hypervolume_of_a_front_has_no_unit():
    front = Front.of([trial(0, 1.0, 1e6)], OBJECTIVES)
    assert front.hypervolume((2.0, 2e6)) == pytest.approx(0.25)
