"""``replay`` and the journal that it leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pareto_profiler.cli.main import app
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.space import Assignment
from pareto_profiler.simulation.runner import SimulatedRunner
from pareto_profiler.storage.journal import read

DEVICE = "simulated:mobile-53x3:0"


def replayed(folder: Path, budget: int) -> Result:
    words = ["--sampler", "random", "--budget", str(budget), "--output", str(folder)]
    return CliRunner().invoke(app, ["replay", DEVICE, *words])


def test_what_is_computed_is_synchronised_once_however_much_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    synchronised: list[int] = []
    monkeypatch.setattr(os, "fsync", synchronised.append)
    counts = []
    for budget in (10, 40):
        assert replayed(tmp_path / str(budget), budget).exit_code == 0
        assert len(read(tmp_path / str(budget)).trials) == budget
        counts.append(len(synchronised))
        synchronised.clear()
    assert counts[0] == counts[1]


def test_an_interrupted_replay_leaves_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answered, run = [], SimulatedRunner.run

    def until_the_tenth(
        runner: SimulatedRunner, assignment: Assignment, *, is_repeat: bool = False
    ) -> Measurement:
        if len(answered) == 9:
            raise KeyboardInterrupt
        answered.append(assignment)
        return run(runner, assignment, is_repeat=is_repeat)

    monkeypatch.setattr(SimulatedRunner, "run", until_the_tenth)
    assert replayed(tmp_path / "run", 40).exit_code == 130
    assert [t.assignment for t in read(tmp_path / "run").trials] == answered
