"""Robust locations, their errors, and drift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_profiler.core.statistics import drift, robust_level, standard_error_of_median

values = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=40)


@given(values, st.floats(-100, 100))
def test_a_location_moves_and_turns_with_its_values(row: list[float], shift: float):
    there = robust_level(row)
    assert min(row) <= there <= max(row)
    assert robust_level([v + shift for v in row]) == pytest.approx(there + shift, abs=1e-6)
    assert robust_level([-v for v in row]) == pytest.approx(-there, abs=1e-9)


def test_a_quarter_of_nonsense_does_not_move_a_location():
    random = np.random.default_rng(0)
    row = random.normal(10, 0.1, size=60)
    row[:15] = 1e6
    assert robust_level(row) == pytest.approx(10, abs=0.15)


def test_the_standard_error_of_a_median_is_what_medians_scatter_by():
    random = np.random.default_rng(1)
    for draw in (random.normal, random.laplace):
        rows = draw(size=(2000, 41))
        said = np.mean([standard_error_of_median(row.tolist()) for row in rows])
        assert said == pytest.approx(np.median(rows, axis=1).std(), rel=0.15)


def test_drift_is_found_where_there_is_some_and_nowhere_else():
    random = np.random.default_rng(2)
    seconds = np.arange(30) * 20.0
    found = 0
    for _ in range(200):
        found += drift(seconds, random.normal(0, 0.01, 30), seconds).size > 0
    # A false alarm in one of twenty, as stated; each corrects little.
    assert found < 25
    walk = 0.1 * (1 - np.exp(-seconds / 150))
    seen = drift(seconds, walk + random.normal(0, 0.01, 30), seconds)
    assert np.abs(seen.offsets - (walk - walk.mean())).max() < 0.025
    assert 0 < np.sqrt(seen.variances).max() < 0.02


def test_one_anchor_far_off_is_no_drift():
    seconds = list(range(20))
    levels = [0.001 * (-1) ** s for s in seconds]
    levels[7] = math.log(30)
    assert drift(seconds, levels, seconds).size < 0.01


@pytest.mark.parametrize("anchors", [0, 1, 3])
def test_few_anchors_say_nothing_of_drift(anchors: int):
    found = drift(range(anchors), [0.5 * a for a in range(anchors)], [0.0, 9.0])
    assert found.offsets.tolist() == [0.0, 0.0]


def test_drift_of_tens_of_thousands_of_anchors_is_as_of_some():
    random = np.random.default_rng(3)
    seconds = np.arange(20_000) * 1.0
    walk = 0.1 * seconds / seconds[-1]
    found = drift(seconds, walk + random.normal(0, 0.01, len(seconds)), seconds[::500])
    assert found.size == pytest.approx(0.1, rel=0.1)
    assert np.abs(found.offsets - (walk[::500] - walk.mean())).max() < 0.01
    assert drift(seconds, random.normal(0, 0.01, len(seconds)), seconds[::500]).size == 0.0
