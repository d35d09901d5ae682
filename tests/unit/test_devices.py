"""Simulated devices are what their recipes say, and the same in every process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pareto_profiler.core.measurement import OBJECTIVES
from pareto_profiler.core.plan import Plan
from pareto_profiler.errors import FailureKind, InputError, RunError, SpaceError
from pareto_profiler.simulation.families import FAMILIES, Device, Recipe
from pareto_profiler.simulation.runner import Noise

PLAN = Plan(repeats=3, warmups=0)
families = pytest.mark.parametrize("family", sorted(FAMILIES))


def works(device: Device, assignment: tuple[str, ...]) -> bool:
    try:
        device.truth(assignment)
    except RunError:
        return False
    return True


@families
def test_every_family_makes_a_device_whose_baseline_runs(family: str):
    device = Device.of(f"simulated:{family}:3")
    recipe = FAMILIES[family]
    decided = [v for v in device.space.variables if not v.is_setting]
    assert len(decided) == recipe.operations
    assert len(device.space.backends) == recipe.backends
    assert bool(len(device.space.variables) - len(decided)) is recipe.has_settings
    true = device.truth(device.space.default)
    assert true["exec_time"] > 0
    assert true["max_rss"] > 2**20
    runner = device.runner(PLAN)
    assert runner.can_profile is recipe.can_profile
    assert runner.run(device.space.default).value(OBJECTIVES["max_rss"]) > 2**20


@families
def test_the_profile_of_the_baseline_adds_up_where_times_do(family: str):
    device = Device.of(f"simulated:{family}:1")
    if not device.recipe.can_profile or device.recipe.is_parallel:
        return
    profile = device.runner(PLAN).profile(device.space.default)
    assert {o.index for o in profile.operations} >= set(range(device.recipe.operations))
    whole = sum(o.seconds for o in profile.operations)
    assert whole == pytest.approx(device.truth(device.space.default)["exec_time"], rel=0.1)


def test_another_seed_is_another_device_and_the_same_one_the_same():
    one, same, other = (Device.of(f"simulated:chain-20x3:{n}") for n in (1, 1, 2))
    for assignment in one.space.draw(np.random.default_rng(0), 5):
        assert one.truth(assignment) == same.truth(assignment)
    assert one.truth(one.space.default) != other.truth(other.space.default)


def test_other_processes_have_the_same_device():
    code = (
        "from pareto_profiler.simulation.families import Device\n"
        "d = Device.of('simulated:crashes-40x3:5')\n"
        "print(d.truth(d.space.default), d.space.fingerprint)"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_crashes_need_all_of_their_choices():
    recipe = Recipe("", 20, 2, crashes=2, wrong=0.5, holes=0.0)
    device = Device("a device", recipe, 4)
    uniform = ["npu"] * 20
    kinds = set()
    for kind, pairs in device._crashes:
        kinds.add(kind)
        assignment = ["cpu"] * 20
        for operation, _ in pairs:
            assignment[operation] = "npu"
        with pytest.raises(RunError) as raised:
            device.truth(tuple(assignment))
        assert raised.value.kind is kind
        assignment[pairs[0][0]] = "cpu"
        assert works(device, tuple(assignment))
    assert kinds <= {FailureKind.CRASHED, FailureKind.WRONG_OUTPUT}
    assert not works(device, tuple(uniform))


def test_what_a_backend_lacks_is_rejected():
    device = Device("a device", Recipe("", 20, 3, holes=0.9), 1)
    lacking = next(v for v in device.space.variables if len(v.feasible) < 3)
    missing = next(c for c in lacking.choices if c not in lacking.feasible)
    assignment = tuple(missing if v is lacking else "cpu" for v in device.space.variables)
    with pytest.raises(RunError, match="lacks it"):
        device.truth(assignment)


def test_working_side_by_side_is_faster_than_the_sum():
    shape = {"operations": 30, "backends": 3, "branches": 3, "hand_over": 0.0, "holes": 0.0}
    apart, together = (
        Device("a device", Recipe("", **shape, is_parallel=p), 2) for p in (False, True)
    )
    mix = apart.space.draw(np.random.default_rng(1), 1)[0]
    assert together.truth(mix)["exec_time"] < 0.9 * apart.truth(mix)["exec_time"]


def test_copies_and_backends_in_use_cost_what_they_should():
    device = Device("a device", Recipe("", 20, 3, hand_over=4.0, holes=0.0, free_pairs=0.0), 0)
    apart = tuple(("cpu", "npu")[i % 2] for i in range(20))
    halves = tuple("cpu" if i < 10 else "npu" for i in range(20))
    free = Device("a device", Recipe("", 20, 3, hand_over=0.0, holes=0.0), 0)
    paid = [device.truth(a)["exec_time"] - free.truth(a)["exec_time"] for a in (halves, apart)]
    assert 0 < paid[0] < paid[1]
    assert device.truth(halves)["max_rss"] > device.truth(device.space.default)["max_rss"]


@pytest.mark.parametrize("name", ["simulated:", "simulated:nothing", "simulated:tiny-8x2:x"])
def test_unknown_devices_are_named_with_those_there_are(name: str):
    with pytest.raises(InputError, match=r"expected simulated:FAMILY:SEED .* chain-20x3"):
        Device.of(name)


def test_a_device_answers_for_its_own_space_only_and_may_not_trace():
    device = Device("a device", Recipe("", 5, 2, can_profile=False, noise=Noise()), 0)
    with pytest.raises(SpaceError):
        device.truth(("cpu",))
    with pytest.raises(RunError, match="does not trace"):
        device.runner(PLAN).profile(device.space.default)
