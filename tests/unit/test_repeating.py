"""What is measured again: whatever shrinks contested differences most."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from pareto_profiler.core.estimate import Estimate, Estimates, Figure
from pareto_profiler.core.front import plausible_values
from pareto_profiler.core.measurement import OBJECTIVES
from pareto_profiler.core.repeating import chance_of_verdict, worth_repeating

TIME = (OBJECTIVES["exec_time"],)


def known(*deviations: float, noise: float = 0.01, correlation: np.ndarray | None = None):
    """Assignments a, b, c … whose times are that uncertain."""
    items = tuple(
        Estimate((name,), (), (Figure(1.0, deviation, 100),))
        for name, deviation in zip("abcdefgh", deviations, strict=False)
    )
    there = () if correlation is None else (correlation,)
    return Estimates(TIME, items, True, (noise,), (0.0,), there)


def test_of_two_independent_ones_the_less_certain_is_measured_again():
    assert worth_repeating(known(0.01, 0.03), [(0, 1)], {0, 1}, 1, fine=0) == [1]
    assert worth_repeating(known(0.03, 0.01), [(0, 1)], {0, 1}, 1, fine=0) == [0]
    assert worth_repeating(known(0.03, 0.01), [(1, None)], {0, 1}, 1, fine=0) == [1]


def test_what_two_share_needs_no_repeats():
    """Both a and b are wrong alike, so that nothing of their difference is open; c differs."""
    alike = np.array([[1.0, 0.999, 0.0], [0.999, 1.0, 0.0], [0.0, 0.0, 1.0]])
    estimates = known(0.03, 0.03, 0.02, correlation=alike)
    assert worth_repeating(estimates, [(0, 1), (0, 2)], {0, 1, 2}, 1, fine=0.0005)[0] != 2
    both = worth_repeating(estimates, [(0, 2), (1, 2)], {0, 1, 2}, 2, fine=0.0005)
    assert 2 in both, "one repeat of a says of b what one of a says of a"
    assert len(set(both) & {0, 1}) == 1


def test_only_candidates_and_no_more_than_asked_for():
    estimates = known(0.01, 0.02, 0.03)
    assert worth_repeating(estimates, [(0, 1), (1, 2)], {0}, 5, fine=0) == [0]
    assert worth_repeating(estimates, [], {0, 1, 2}, 5, fine=0) == []
    assert len(worth_repeating(estimates, [(0, 1), (1, 2)], {0, 1, 2}, 2, fine=0)) == 2


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_the_first_is_the_one_that_shrinks_the_difference_most(seed: int, count: int):
    """By the posterior's own formula: repeat each, and look."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(count, count))
    covariance = root @ root.T * 1e-4
    spreads = np.sqrt(np.diag(covariance))
    estimates = known(*spreads, correlation=covariance / np.outer(spreads, spreads))
    first = worth_repeating(estimates, [(0, 1)], set(range(count)), 1, fine=0)[0]
    contrast = np.zeros(count)
    contrast[:2] = 1, -1
    after = []
    for i in range(count):
        seen = covariance[:, [i]]
        left = covariance - seen @ seen.T / (covariance[i, i] + 1e-4)
        after.append(contrast @ left @ contrast)
    assert after[first] == pytest.approx(min(after))


def test_errors_that_go_together_cancel_in_differences():
    alike = np.array([[1.0, 0.99], [0.99, 1.0]])
    draws = {}
    for name, correlation in (("alike", alike), ("apart", None)):
        estimates = known(0.05, 0.05, correlation=correlation)
        values = plausible_values(
            estimates, [1, 0], draws=4000, random=np.random.default_rng(0), is_open=True
        )
        levels = np.log(values[..., 0])
        assert levels.std(axis=0) == pytest.approx([0.05, 0.05], rel=0.1)
        draws[name] = (levels[:, 0] - levels[:, 1]).std()
    assert draws["apart"] == pytest.approx(0.05 * np.sqrt(2), rel=0.1)
    assert draws["alike"] == pytest.approx(0.05 * np.sqrt(0.02), rel=0.1)


@pytest.mark.parametrize(("probability", "growth"), [(0.5, 1.2), (0.9, 1.5), (0.2, 3.0)])
def test_the_chance_of_a_verdict_is_how_often_one_comes(probability: float, growth: float):
    random = np.random.default_rng(0)
    now, enough = ndtri(probability), ndtri(0.99)
    # What further measurements add to a difference over its old spread, and the new spread.
    later = now + random.normal(0, np.sqrt(1 - growth**-2), 100_000)
    share = (np.abs(later) * growth > enough).mean()
    assert chance_of_verdict(probability, growth, 0.99) == pytest.approx(share, abs=0.005)


def test_without_further_repeats_there_is_no_chance():
    assert chance_of_verdict(0.98, 1.0, 0.99) == 0.0
