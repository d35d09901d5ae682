"""The linear-Gaussian model against its definition, and what many measurements cost it."""

from __future__ import annotations

import tracemalloc
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from pareto_profiler.samplers.structured.features import Features
from pareto_profiler.samplers.structured.regression import Regression, likeness

Vector = NDArray[np.float64]

MANY: Final = 600
GROUPS: Final = 12
_VARIABLES: Final = 30
_CHOICES: Final = 3


def digits_of(count: int, seed: int) -> NDArray[np.intp]:
    return np.random.default_rng(seed).integers(0, _CHOICES, (count, _VARIABLES))


def features_of(digits: NDArray[np.intp]) -> Features:
    """One weight for each choice of each variable."""
    columns = np.arange(_VARIABLES) * _CHOICES + digits
    return Features(columns, np.ones(columns.shape), _VARIABLES * _CHOICES)


def fitted(count: int) -> Regression:
    random = np.random.default_rng(7)
    digits, weights = digits_of(count, 1), _VARIABLES * _CHOICES
    values = features_of(digits).times(random.normal(0.03, 0.02, weights))
    return Regression(
        features_of(digits),
        digits,
        values * random.normal(1, 0.01, count),
        np.ones(count),
        np.full(weights, 0.03),
        np.full(weights, 0.02),
        # The last group has no weights.
        np.arange(weights, dtype=np.intp) % (GROUPS - 1),
        parts=features_of(digits_of(0, 0)),
        part_values=np.zeros(0),
        group_count=GROUPS,
        noise=0.01,
        residual=0.005,
    )


def test_likeness_counts_variables_that_differ() -> None:
    one, other = digits_of(5, 3), digits_of(4, 4)
    differing = np.array([[(a != b).sum() for b in other] for a in one])
    expected = np.exp(-differing / (0.15 * _VARIABLES + 1))
    assert likeness(one, other).tolist() == expected.tolist()
    assert likeness(one[:0], other).shape == (0, 4)


@pytest.mark.parametrize("count", [40, MANY])
def test_predictions_stand_on_all_measurements_and_all_groups(count: int) -> None:
    model = fitted(count)
    digits, asked = digits_of(count, 1), digits_of(3, 2)
    scales = model.scales
    known, new = features_of(digits).dense(), features_of(asked).dense()
    weights = known.shape[1]
    spreads = 0.02 * np.array(scales.groups)[np.arange(weights) % (GROUPS - 1)]
    covariance = (known * spreads**2) @ known.T + scales.residual**2 * likeness(digits, digits)
    covariance += np.diag(scales.noise**2 * model.values**2)
    across = (new * spreads**2) @ known.T + scales.residual**2 * likeness(asked, digits)
    means = new @ np.full(weights, 0.03)
    expected = means + across @ np.linalg.solve(covariance, model.values - known.sum(axis=1) * 0.03)
    found, _ = model.predict(features_of(asked), asked)
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_group_without_weights_stays_at_its_scale() -> None:
    assert fitted(40).scales.groups[-1] == 1.0


def test_many_measurements_do_not_take_a_matrix_for_each_group() -> None:
    tracemalloc.start()
    model = fitted(MANY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(model.values) == MANY
    # Those of the groups are of the latest measurements only.
    assert peak < GROUPS * 8 * MANY**2
