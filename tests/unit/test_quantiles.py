"""Quantiles against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import chdtri, stdtrit

from pareto_profiler.core.quantiles import chi_square_over_freedom, student_t

Freedom = st.one_of(st.just(1.0), st.floats(1.05, 60.0), st.floats(60.0, 1e9))
Probability = st.floats(0.001, 0.999)


@given(Freedom, Probability)
def test_of_students_t(freedom: float, probability: float) -> None:
    expected = float(stdtrit(freedom, probability))
    assert student_t(freedom, probability) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@given(Freedom, Freedom, Probability)
def test_of_chi_square(one: float, other: float, probability: float) -> None:
    freedom = np.array([one, other, one])
    expected = chdtri(freedom, 1 - probability) / freedom
    found = chi_square_over_freedom(freedom, np.array([[probability], [0.5]]))
    assert found[0] == pytest.approx(expected, rel=1e-3)
    assert found.shape == (2, 3)


def test_what_is_known_exactly_is_normal() -> None:
    assert student_t(float("inf"), 0.975) == pytest.approx(1.959964, abs=1e-6)
    assert student_t(7.0, 0.3) == -student_t(7.0, 0.7)
