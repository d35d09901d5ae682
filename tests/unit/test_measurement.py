"""Measurements: raw samples in, robust figures out, nonsense refused."""

from __future__ import annotations

import pytest

from pareto_profiler.core.measurement import OBJECTIVES, Measurement, objectives_of
from pareto_profiler.errors import InputError


def test_a_minority_of_disturbed_runs_does_not_move_the_figure():
    calm = Measurement({"exec_time": (0.010, 0.011, 0.012, 0.011, 0.010)})
    disturbed = Measurement({"exec_time": (0.010, 0.011, 0.360, 0.011, 0.300)})
    assert calm.value(OBJECTIVES["exec_time"]) == disturbed.value(OBJECTIVES["exec_time"])


def test_model_rss_is_what_the_model_added():
    measurement = Measurement({"max_rss": (5000.0,), "rss_before_load": (2000.0,)})
    assert measurement.value(OBJECTIVES["model_rss"]) == 3000.0
    assert measurement.has(OBJECTIVES["model_rss"])
    assert not Measurement({"max_rss": (1.0,)}).has(OBJECTIVES["model_rss"])


def test_samples_cannot_be_changed_afterwards():
    samples = {"exec_time": (1.0,)}
    measurement = Measurement(samples)
    samples["exec_time"] = (9.0,)
    assert measurement.samples["exec_time"] == (1.0,)
    with pytest.raises(TypeError):
        measurement.samples["exec_time"] = (2.0,)  # type: ignore[index]


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        ({"latency": (1.0,)}, "expected one of exec_time"),
        ({"exec_time": ()}, "no sample"),
        ({"exec_time": (float("nan"),)}, "expected 0 to less"),
        ({"exec_time": (float("inf"),)}, "expected 0 to less"),
        ({"exec_time": (-1.0,)}, "expected 0 to less"),
        ({"exec_time": (1e9,)}, "less than 1e[+]09"),
        ({"exec_time": (10**400,)}, "no number"),
        ({"max_rss": (1e16,)}, "less than 1e[+]16"),
    ],
)
def test_nonsense_is_refused(samples: dict, found: str):
    with pytest.raises(ValueError, match=found):
        Measurement(samples)


@pytest.mark.parametrize("names", [["exec_time"], ["exec_time", "exec_time"], ["speed", "max_rss"]])
def test_objectives_are_two_or_more_known_ones(names: list[str]):
    with pytest.raises(InputError):
        objectives_of(names)


def test_figures_are_shown_in_milliseconds_and_kib():
    assert OBJECTIVES["exec_time"].shown(0.5) == 500.0
    assert OBJECTIVES["max_rss"].shown(2048.0) == 2.0
