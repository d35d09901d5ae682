"""--effort stands for a budget, a granularity and a precision; what is said stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.command import pp, pp_error

from pareto_profiler.effort import EFFORTS, EffortName
from pareto_profiler.storage.journal import read


@pytest.mark.parametrize("effort", list(EffortName))
def test_an_effort_says_what_nothing_else_says(
    effort: EffortName, dense_file: Path, tmp_path: Path
):
    pp("search", dense_file, "--effort", effort, "--budget", 3, "--output", "run", cwd=tmp_path)
    header = read(tmp_path / "run").header
    usual = EFFORTS[effort]
    assert header.space.granularity == usual.granularity
    assert header.plan
    for name, value in usual.plan.items():
        assert getattr(header.plan, name) == value


def test_what_is_said_stands(dense_file: Path, tmp_path: Path):
    said = ("--granularity", "name", "--repeats", 3, "--budget", 3)
    pp(
        *("search", dense_file, "--effort", "thorough", *said, "--output", "run"),
        cwd=tmp_path,
    )
    header = read(tmp_path / "run").header
    assert header.space.granularity == "name"
    assert header.plan
    assert (header.plan.repeats, header.plan.precision) == (3, 0.005)


def test_its_budget_is_the_most(dense_file: Path, tmp_path: Path):
    budgets = {name: effort.budget for name, effort in EFFORTS.items()}
    assert budgets == {"quick": 30, "normal": 100, "thorough": 300}
    options = ("--effort", "quick", "--vary", "threads,memory_planner,executor", "--repeats", 1)
    pp("search", dense_file, *options, "--output", "run", cwd=tmp_path)
    assert len(read(tmp_path / "run").trials) == 30


def test_waiting_for_quiet_takes_a_time(dense_file: Path, tmp_path: Path):
    words = ("search", dense_file, "--budget", 3, "--output", "run", "--wait-until-quiet")
    assert "'soon'" in pp_error(*words, "soon", cwd=tmp_path)
    pp(*words, "1s", cwd=tmp_path)
    assert len(read(tmp_path / "run").trials) == 3
