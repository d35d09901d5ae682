"""The design matrix against SciPy's sparse matrices, which compute the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from pareto_profiler.samplers.structured import features as module
from pareto_profiler.samplers.structured.features import Features

_WIDTH = 12


def made(rows: int, entries: int, random: np.random.Generator) -> tuple[Features, csr_array]:
    """The same twice; some entries are zero."""
    places = [random.permutation(_WIDTH)[:entries] for _ in range(rows)]
    columns = np.array(places, dtype=np.intp).reshape(rows, entries)
    values = random.normal(size=(rows, entries)) * (random.random((rows, entries)) < 0.8)
    starts = np.arange(rows + 1) * entries
    whole = csr_array((values.ravel(), columns.ravel(), starts), shape=(rows, _WIDTH))
    return Features(columns, values, _WIDTH), whole


@pytest.fixture(params=[4_000_000, 7], ids=["at once", "in parts"])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DENSE", request.param)
    monkeypatch.setattr(module, "CACHED", request.param)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_it_computes_what_a_sparse_matrix_does(rows: int) -> None:
    random = np.random.default_rng(rows)
    mine, theirs = made(rows, 4, random)
    others, their_others = made(6, 9, random)
    weights, several = random.normal(size=_WIDTH), random.normal(size=(3, _WIDTH))
    amounts = random.normal(size=(2, rows))
    assert mine.dense() == pytest.approx(theirs.toarray())
    assert mine.times(weights) == pytest.approx(theirs @ weights)
    assert mine.times(several) == pytest.approx((theirs @ several.T).T)
    assert mine.back(amounts[0]) == pytest.approx(theirs.T @ amounts[0])
    assert mine.back(amounts) == pytest.approx((theirs.T @ amounts.T).T)
    assert mine.scaled(weights).dense() == pytest.approx((theirs * weights).toarray())
    across = (theirs * weights) @ their_others.T
    assert mine.across(others, weights) == pytest.approx(across.toarray())
    assert mine.squares(weights) == pytest.approx((theirs**2) @ weights)
    assert mine.column(3) == pytest.approx(theirs.toarray()[:, 3])
    is_part = np.array([True, False, False, True, True, False] * 2)
    own = theirs.toarray() * is_part
    assert mine.gram(is_part[mine.columns]) == pytest.approx(own @ own.T)


@given(st.integers(0, 10_000), st.integers(0, 4), st.integers(1, _WIDTH), st.integers(1, _WIDTH))
def test_squares_of_differences_are_those_of_the_dense_rows(
    seed: int, rows: int, entries: int, others: int
) -> None:
    random = np.random.default_rng(seed)
    mine, _ = made(rows, entries, random)
    one, _ = made(1, others, random)
    weights = random.random(_WIDTH)
    expected = ((mine.dense() - one.dense()) ** 2) @ weights
    assert mine.squares_apart(one, weights) == pytest.approx(expected, abs=1e-12)


def test_rows_follow_each_other() -> None:
    random = np.random.default_rng(1)
    (one, _), (other, _) = made(2, 5, random), made(3, 5, random)
    both = one.above(other)
    assert len(both) == 5
    assert both[slice(2, None)].dense().tolist() == other.dense().tolist()
    rows = one.dense()
    assert Features.of_rows(rows).dense().tolist() == rows.tolist()
