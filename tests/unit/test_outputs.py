"""Comparing outputs on this machine follows the probe's rule."""

from __future__ import annotations

import numpy as np
import pytest

from pareto_profiler.errors import FailureKind, RunError
from pareto_profiler.runners.outputs import compared, largest_error

REFERENCE = np.float32([0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("output", "error"),
    [
        (np.float32([0.0, 1.0, 2.0]), 0.0),
        (np.float32([0.0, 1.001, 2.0]), 0.0005),
        (np.float32([0.0, 1.0, 2.002]), 0.001),
    ],
)
def test_right_outputs_have_an_error_in_parts_of_the_range(output: np.ndarray, error: float):
    assert largest_error([compared(output, REFERENCE)], 1e-3) == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (np.float32([0.0, 1.01, 2.0]), "differs from the baseline's by up to 0.01"),
        (np.float32([0.0, np.nan, 2.0]), "1 NaN or infinite"),
        (np.float32([0.0, np.inf, 2.0]), "1 NaN or infinite"),
        (np.float32([0.0, 1.0]), "has 8 bytes, the baseline's has 12"),
        (np.float32([]), "has 0 bytes"),
    ],
)
def test_wrong_outputs_are_told_in_words(output: np.ndarray, words: str):
    with pytest.raises(RunError, match=words) as caught:
        largest_error([compared(output, REFERENCE)], 1e-3)
    assert caught.value.kind is FailureKind.WRONG_OUTPUT


def test_equal_nans_and_infinities_agree():
    odd = np.float32([np.nan, np.inf, 1.0])
    assert largest_error([compared(odd, odd)], 1e-3) == 0.0


def test_one_step_of_a_quantised_output_is_no_difference():
    reference = np.int8([0, 100, -100])
    assert largest_error([compared(reference + np.int8(1), reference)], 1e-3) == 0.005


@pytest.mark.parametrize(
    ("kind", "allowed", "output", "words"),
    [
        ("l2", 0.01, [0.0, 1.1, 2.0], "by 0.0447 of its length, 0.01"),
        ("cosine", 0.9999, [0.5, 1.0, 2.0], "has a cosine of 0.975"),
        ("top1", 1.0, [0.0, 2.1, 2.0], "has its largest number elsewhere"),
        ("kl", 0.01, [0.0, 0.5, 2.0], "diverges from the baseline's by 0.693 nats"),
    ],
)
def test_each_kind_of_tolerance_lets_pass_and_refuses(kind, allowed, output, words):
    near = np.float32([0.0, 1.001, 2.001])
    assert largest_error([compared(near, REFERENCE)], allowed, kind) < 1e-3
    with pytest.raises(RunError, match=words):
        largest_error([compared(np.float32(output), REFERENCE)], allowed, kind)
    # What is not a number there is wrong by whatever measure.
    with pytest.raises(RunError, match="NaN"):
        largest_error([compared(np.float32([np.nan, 1, 2]), REFERENCE)], allowed, kind)
