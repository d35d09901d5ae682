"""One suite for every runner: real onert, and the table that replays it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import pytest
from build_model import build, dense
from rooms import ONERT, onert_space
from stand_ins.onert_run import ERAS, install

from pareto_profiler import drivers
from pareto_profiler.core.measurement import METRIC_UNITS, OBJECTIVES, Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Runner
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import Support
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.drivers.engine import Driver
from pareto_profiler.errors import FailureKind, RunError, SpaceError, TargetError
from pareto_profiler.loop import run_trial
from pareto_profiler.runners.inputs import random_inputs
from pareto_profiler.runners.table import TableRunner
from pareto_profiler.runtimes.onert.engine import OnertEngine, wheel_library
from pareto_profiler.runtimes.onert.tool import OnertRunTarget, ToolEngine
from pareto_profiler.shells.local import LocalShell

PLAN = Plan(repeats=4, warmups=2, time_limit_s=30)
# Nor can be told of microseconds what else was running.
MAY_BE_HIDDEN = {
    "clock_frequency",
    "clock_resolution",
    "temperature",
    "energy",
    "other_cpus",
    "vram",
}


def make_space(file: Path) -> DecisionSpace:
    """Two kinds of operations; ruy has only one of them, and is allowed for both."""
    return onert_space(
        ONERT.read(file).graph,
        ("cpu", "ruy"),
        Granularity.NAME,
        support=Support.of(["ruy:*"], table=ONERT),
    )


def make_onert(file: Path, work: Path, plan: Plan = PLAN) -> OnertEngine:
    model = ONERT.read(file)
    program = PurePosixPath(drivers.binary("onert"))
    driver = Driver(LocalShell(), program, PurePosixPath(wheel_library()))
    inputs = random_inputs(model.graph, 0)
    return OnertEngine(
        driver, PurePosixPath(work), make_space(file), plan, model=model, inputs=inputs
    )


def make_table(file: Path, work: Path, plan: Plan = PLAN) -> TableRunner:
    onert, space = make_onert(file, work, plan), make_space(file)
    trials = [run_trial(onert, a, i, "exhaustive") for i, a in enumerate(space)]
    placements = [
        placement
        for t in trials
        if isinstance(t.outcome, Measurement)
        and (placement := onert.placement(t.assignment)) is not None
    ]
    onert.close()
    return TableRunner(space, trials, placements)


def make_onert_run(
    file: Path, work: Path, plan: Plan = PLAN, era: str = "head", **more: object
) -> ToolEngine:
    model = ONERT.read(file)
    tool = install(work / "tool", era, drivers.binary("onert"), wheel_library(), **more)
    target = OnertRunTarget(LocalShell(), PurePosixPath(tool))
    inputs = random_inputs(model.graph, 0)
    folder = PurePosixPath(work / "files")
    return ToolEngine(target, folder, make_space(file), plan, model=model, inputs=inputs)


RUNNERS = {
    "onert": make_onert,
    "table": make_table,
    **{f"onert_run-{era}": partial(make_onert_run, era=era) for era in ERAS},
    "onert_run-1.26-deaf": partial(make_onert_run, era="1.26", deaf=True),
    "onert_run-1.26-mute": partial(make_onert_run, era="1.26", mute=True),
}
# What the device's own tool tells: means, and no CPU time.
TOLD = {"exec_time", "clock_resolution", "load_time", "prepare_time", "max_rss", "rss_before_load"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dense.tflite"
    path.write_bytes(build(dense()))
    return path


@pytest.fixture(params=sorted(RUNNERS))
def runner(request: pytest.FixtureRequest, file: Path, tmp_path: Path) -> Iterator[Runner]:
    made = RUNNERS[request.param](file, tmp_path / "work")
    yield made
    made.close()


CPU, RUY_DENSE, RUY = ("cpu", "cpu"), ("ruy", "cpu"), ("ruy", "ruy")


@pytest.mark.parametrize("assignment", [CPU, RUY_DENSE])
def test_every_metric_is_there_with_its_samples(runner: Runner, assignment: tuple[str, ...]):
    measurement = runner.run(assignment)
    if isinstance(runner, ToolEngine):
        assert set(measurement.samples) in (TOLD, TOLD - {"rss_before_load"})
        assert all(len(values) == 1 for values in measurement.samples.values())
        return
    # Not every machine shows its clock, its temperature or what it consumes.
    assert set(METRIC_UNITS) - set(measurement.samples) <= MAY_BE_HIDDEN
    for name in ("exec_time", "cpu_time"):
        assert len(measurement.samples[name]) == PLAN.repeats
        assert len(measurement.warmups[name]) == PLAN.warmups
    before, prepared, after = (
        measurement.samples[name][0] for name in ("rss_before_load", "rss_after_prepare", "max_rss")
    )
    assert 1e6 < before <= prepared <= after < 1e9
    shown = [o for o in OBJECTIVES.values() if o.name not in {"energy", "vram"}]
    assert all(measurement.has(o) and measurement.value(o) >= 0 for o in shown)


def test_a_repeat_is_a_measurement_too(runner: Runner):
    first = runner.run(CPU)
    again = runner.run(CPU, is_repeat=True)
    assert again.samples.keys() == first.samples.keys()
    # The same thing: elsewhere in memory it takes a little more or less.
    assert again.value(OBJECTIVES["max_rss"]) == pytest.approx(
        first.value(OBJECTIVES["max_rss"]), rel=0.1
    )


def test_outputs_are_compared_with_the_baselines(runner: Runner):
    assert runner.run(CPU).output_error == 0.0
    error = runner.run(RUY_DENSE).output_error
    assert error is not None
    assert 0 <= error < PLAN.tolerance


def test_what_the_runtime_refuses_is_a_failure_in_its_own_words(runner: Runner):
    with pytest.raises(RunError, match="NYI for operation 'ElementwiseActivation'") as caught:
        runner.run(RUY)
    assert caught.value.kind is FailureKind.REJECTED


def test_a_failure_does_not_spoil_the_next_measurement(runner: Runner):
    with pytest.raises(RunError):
        runner.run(RUY)
    assert isinstance(runner.run(CPU), Measurement)


@pytest.mark.parametrize("assignment", [("cpu",), ("cpu", "acl_cl"), ()])
def test_foreign_assignments_are_refused(runner: Runner, assignment: tuple[str, ...]):
    with pytest.raises(SpaceError):
        runner.run(assignment)
    with pytest.raises(SpaceError):
        runner.placement(assignment)


def test_the_placement_is_what_was_asked_for(runner: Runner):
    placement = runner.placement(RUY_DENSE)
    assert placement is not None
    assert placement.mismatches == ()
    assert dict(placement.backend_by_operation) == {
        0: "ruy",
        2: "ruy",
        4: "ruy",
        1: "cpu",
        3: "cpu",
        5: "cpu",
    }


def test_closing_twice_is_no_error(runner: Runner):
    runner.close()
    runner.close()


def test_a_table_says_what_it_does_not_hold(file: Path):
    table = TableRunner(make_space(file), [])
    with pytest.raises(RunError) as caught:
        table.run(CPU)
    assert caught.value.kind is FailureKind.NOT_RECORDED
    assert table.placement(CPU) is None


def test_a_table_repeats_recorded_failures(file: Path):
    trial = Trial(0, CPU, Failure(FailureKind.TIMED_OUT, "too slow"))
    with pytest.raises(RunError, match="too slow") as caught:
        TableRunner(make_space(file), [trial]).run(CPU)
    assert caught.value.kind is FailureKind.TIMED_OUT


def test_the_time_limit_is_kept(file: Path, tmp_path: Path):
    runner = make_onert(file, tmp_path / "w", replace(PLAN, time_limit_s=0.2, repeats=10**6))
    with pytest.raises(RunError, match="time limit") as caught:
        runner.run(CPU)
    assert caught.value.kind is FailureKind.TIMED_OUT


def test_the_memory_limit_is_kept(mobilenet_file: Path, tmp_path: Path):
    runner = make_onert(mobilenet_file, tmp_path / "w", replace(PLAN, memory_limit_kib=5000))
    with pytest.raises(RunError) as caught:
        runner.run(make_space(mobilenet_file).default)
    assert caught.value.kind is FailureKind.OUT_OF_MEMORY


def test_nothing_of_the_run_is_left_behind(file: Path, tmp_path: Path):
    runner = make_onert(file, tmp_path / "w")
    runner.run(CPU)
    assert (tmp_path / "w" / "reference.0").is_file()
    runner.close()
    assert not (tmp_path / "w").exists()


def test_after_a_resume_outputs_are_still_compared(file: Path, tmp_path: Path):
    # A fresh runner that is not asked for the baseline has to make the reference itself.
    assert make_onert(file, tmp_path / "w").run(RUY_DENSE).output_error is not None


@pytest.mark.parametrize("name", sorted(set(RUNNERS) - {"table"}))
@pytest.mark.parametrize("lost", [".", "package", "complete"])
def test_files_that_something_cleaned_up_are_put_back(
    name: str, lost: str, file: Path, tmp_path: Path
):
    work = tmp_path / "work"
    made = RUNNERS[name](file, work)
    made.run(CPU)
    files = work / "files" if name.startswith("onert_run") else work
    shutil.rmtree(files / lost) if (files / lost).is_dir() else (files / lost).unlink()
    assert isinstance(made.run(RUY_DENSE), Measurement)
    assert made.run(RUY_DENSE).output_error is not None
    made.close()


def test_a_tool_that_tells_no_version_and_ignores_everything_is_refused(file: Path, tmp_path: Path):
    with pytest.raises(TargetError, match=r"onert_run \(of unknown version\) ignores"):
        make_onert_run(file, tmp_path, era="1.29", deaf=True, version="")
