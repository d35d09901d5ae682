"""One suite for every sampler."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import onert_problem

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.space import DecisionSpace, Granularity, Variable
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind
from pareto_profiler.samplers import SAMPLERS


def small_space() -> DecisionSpace:
    """24 feasible assignments out of 54."""
    backends = ("cpu", "ruy", "acl_cl")
    return DecisionSpace(
        backends,
        (
            Variable("a", backends, ("cpu", "ruy")),
            Variable("b", backends, ("cpu", "acl_cl")),
            Variable("c", backends, backends),
            Variable("threads", ("1", "2"), ("1", "2"), is_setting=True),
        ),
        Granularity.NAME,
    )


def large_space() -> DecisionSpace:
    """2^30 assignments."""
    return DecisionSpace.by_names(("cpu", "ruy"), [f"op{i}" for i in range(30)])


def middle_space() -> DecisionSpace:
    """3 072 assignments: too many to shuffle at the start, few enough to finish."""
    backends = ("cpu", "ruy", "acl_cl")
    choices = [backends, *[backends[:2]] * 10]
    variables = (Variable(f"op{i}", backends, feasible) for i, feasible in enumerate(choices))
    return DecisionSpace(backends, tuple(variables), Granularity.NAME)


SPACES = {"small": small_space, "large": large_space}

needs_botorch = pytest.mark.skipif(
    find_spec("botorch") is None, reason="botorch is an extra of two gigabytes"
)
SamplerName = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=needs_botorch if n == "qnehvi" else ()) for n in sorted(SAMPLERS)],
)
# Fits a model for each ask; may end when nothing promises anything.
THOROUGH = {"structured", "qnehvi", "tpe"}
MAY_END = {"structured"}
AnySpace = pytest.mark.parametrize("space", [f() for f in SPACES.values()], ids=list(SPACES))


def finished(number: int, assignment: tuple[str, ...]) -> Trial:
    """A trial with figures that depend on the assignment alone; every fifth fails."""
    seed = sum((i + 1) * len(c) for i, c in enumerate(assignment))
    if number % 5 == 4:
        return Trial(number, assignment, Failure(FailureKind.REJECTED, "no"))
    figures = {"exec_time": (1.0 + seed % 7,), "max_rss": (1.0 + seed % 11,)}
    return Trial(number, assignment, Measurement(figures))


def run(name: str, space: DecisionSpace, seed: int, trials: int) -> list[tuple[str, ...]]:
    sampler = SAMPLERS[name](onert_problem(space, seed=seed))
    sampler.tell(finished(0, space.default))
    told = [space.default]
    while len(told) < trials:
        asked = sampler.ask()
        if not asked:
            break
        sampler.tell(finished(len(told), asked[0]))
        told.append(asked[0])
    return told


@SamplerName
@AnySpace
def test_asks_are_feasible_and_never_repeat(name: str, space: DecisionSpace):
    told = run(name, space, 3, 16 if name in THOROUGH else 40)
    assert all(space.is_feasible(a) for a in told)
    assert max(Counter(told).values()) == 1


@SamplerName
@AnySpace
def test_asking_is_a_query(name: str, space: DecisionSpace):
    sampler = SAMPLERS[name](onert_problem(space, seed=1))
    assert sampler.ask(6) == sampler.ask(6)
    assert sampler.ask(2) == sampler.ask(6)[:2] == sampler.ask(3)[:2]
    assert 1 <= len(set(sampler.ask(6))) == len(sampler.ask(6)) <= 6
    assert sampler.ask(0) == []


# Some think for a tenth of a second about each ask.
@SamplerName
@settings(max_examples=6)
@given(asks=st.lists(st.integers(0, 6), max_size=6), space=st.sampled_from([*SPACES.values()]))
def test_asks_in_between_change_nothing(name: str, asks: list[int], space):
    curious, quiet = (SAMPLERS[name](onert_problem(space(), seed=11)) for _ in range(2))
    for number, count in enumerate(asks):
        curious.ask(count)
        wanted = quiet.ask()
        assert curious.ask() == wanted
        for sampler in (curious, quiet) if wanted else ():  # nothing, where it ended
            sampler.tell(finished(number, wanted[0]))


@SamplerName
@AnySpace
def test_the_same_seed_and_tells_give_the_same_asks(name: str, space: DecisionSpace):
    count = 11 if name in THOROUGH else 30
    assert run(name, space, 7, count) == run(name, space, 7, count)


@SamplerName
@AnySpace
def test_a_resumed_sampler_goes_on_as_if_it_had_not_stopped(name: str, space: DecisionSpace):
    whole = run(name, space, 5, 9 if name in THOROUGH else 24)
    for stop in (1, 7, len(whole) - 2):
        sampler = SAMPLERS[name](onert_problem(space, seed=5))
        for i, assignment in enumerate(whole[:stop]):
            sampler.tell(finished(i, assignment))
        rest = []
        while stop + len(rest) < len(whole):
            asked = sampler.ask()
            sampler.tell(finished(stop + len(rest), asked[0]))
            rest += asked
        assert whole[:stop] + rest == whole


@SamplerName
def test_other_processes_with_other_hash_seeds_ask_the_same(name: str):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from contract.test_samplers import large_space, run\n"
        f"print(run({name!r}, large_space(), 2, 8))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, *sys.path],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@SamplerName
def test_the_whole_space_is_asked_for_and_then_nothing(name: str):
    space = small_space()
    told = run(name, space, 0, 1000)
    assert name in MAY_END or sorted(told) == sorted(space)
    sampler = SAMPLERS[name](onert_problem(space))
    for i, assignment in enumerate(told):
        sampler.tell(finished(i, assignment))
    assert sampler.ask() == []
    assert sampler.ask(5) == []


@pytest.mark.parametrize("name", ["exhaustive", "hlps", "local", "random"])
@pytest.mark.thorough
def test_a_space_of_thousands_is_finished_too(name: str):
    space = middle_space()
    assert len(set(run(name, space, 0, 2 * space.size))) == space.size == 3072


@SamplerName
def test_infeasible_and_repeated_tells_are_survived(name: str):
    space = small_space()
    sampler = SAMPLERS[name](onert_problem(space, seed=0))
    infeasible = ("acl_cl", "ruy", "cpu", "1")
    for i in range(3):
        sampler.tell(finished(i, infeasible))
        sampler.tell(finished(i, space.default))
    asked = sampler.ask(1000)
    assert asked
    assert space.default not in asked


@SamplerName
def test_told_ahead_is_not_asked_again(name: str):
    space = small_space()
    sampler = SAMPLERS[name](onert_problem(space, seed=0))
    ahead = sampler.ask(8)
    assert ahead
    for i, assignment in enumerate(ahead):
        sampler.tell(finished(i, assignment))
    assert not set(sampler.ask(1000)) & set(ahead)


def test_random_is_uniform_without_replacement():
    space = DecisionSpace.by_names(("a", "b"), ["x", "y", "z"])
    firsts = Counter(
        SAMPLERS["random"](onert_problem(space, seed=seed)).ask()[0] for seed in range(4000)
    )
    assert len(firsts) == 8
    # Chi-squared with 7 degrees of freedom: 24.3 is its 99.9 % point.
    assert sum((n - 500) ** 2 / 500 for n in firsts.values()) < 24.3


def test_random_draws_low_digits_of_huge_spaces_too():
    space = DecisionSpace.by_names(("a", "b"), [f"op{i}" for i in range(2000)])
    ids = [space.id_of(a) for a in SAMPLERS["random"](onert_problem(space, seed=0)).ask(100)]
    assert 20 < sum(number & 1 for number in ids) < 80


def test_exhaustive_goes_by_id():
    space = small_space()
    ids = [space.id_of(a) for a in SAMPLERS["exhaustive"](onert_problem(space, seed=0)).ask(100)]
    assert ids == sorted(ids)
