"""Several runtimes in one search: whose turn it is, and one front over their runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError
from pareto_profiler.jointly import Party, next_round
from pareto_profiler.report.compare import Change, Comparison
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.naming import point_of
from pareto_profiler.storage.journal import JOURNAL, Store


def test_each_has_a_first_round_then_who_moved_the_front_most():
    parties = {"a": Party(), "b": Party()}
    assert next_round(parties, 60) == ("a", 10)
    parties["a"] = Party(10, 0.01)
    assert next_round(parties, 60) == ("b", 10)
    parties["b"] = Party(10, 0.03)
    assert next_round(parties, 60) == ("b", 16)
    parties["b"] = Party(16, 0.0)
    assert next_round(parties, 60) == ("a", 16)
    parties["a"] = Party(12, 0.0, is_done=True)
    assert next_round(parties, 60) == ("b", 22)
    parties["b"] = Party(16, 0.0, is_done=True)
    assert next_round(parties, 60) is None


@given(
    st.integers(1, 200),
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), min_size=1, max_size=80),
    st.integers(1, 4),
)
def test_the_budget_is_never_passed_and_is_spent_while_somebody_asks(trials, rounds, count):
    parties = {f"r{i}": Party() for i in range(count)}
    for left_out, gain in rounds:
        turn = next_round(parties, trials)
        if turn is None:
            break
        name, target = turn
        spent = max(parties[name].spent, target - left_out)
        assert parties[name].spent < target
        parties[name] = Party(spent, gain, is_done=spent < target)
        assert sum(p.spent for p in parties.values()) <= trials
    else:
        return
    assert sum(p.spent for p in parties.values()) == trials or all(
        p.is_done for p in parties.values()
    )


def recording(runtime: str, points: list[tuple[float, float]], repeats: int = 1) -> Recording:
    space = DecisionSpace.by_names(("p", "q"), ["x", "y"])
    header = Header("m", "d" * 64, space, ("exec_time", "max_rss"), runtime=runtime)
    trials = [
        Trial(0, space.assignment_of(i), Measurement({"exec_time": (s,), "max_rss": (b,)}))
        for _ in range(repeats)
        for i, (s, b) in enumerate(points)
    ]
    return Recording(header, tuple(replace(t, number=n) for n, t in enumerate(trials)))


def test_everything_is_told_against_the_first_runtimes_baseline():
    runs = {
        "a": recording("a 1", [(1.0, 9e6), (4.0, 5e6)], repeats=4),
        "b": recording("b 1", [(2.0, 8e6), (6.0, 3e6)], repeats=4),
    }
    joint = Joint.of(runs)
    told = {row.name: row.against_baseline for row in joint.measured}
    assert told["b:0"] == {"exec_time": 2.0, "max_rss": pytest.approx(8 / 9)}
    assert told["b:1"]["max_rss"] == pytest.approx(1 / 3)
    assert joint.front[-1].against_best_uniform == {
        "exec_time": 6.0,
        "max_rss": pytest.approx(1 / 3),
    }


def test_what_other_work_disturbed_is_not_told_by_how_much_others_scatter():
    """One run repeated nothing, and its only time is of a busy machine."""
    busy = recording("b 1", [(5.0, 8e6)])
    samples = {"exec_time": (5.0,), "max_rss": (8e6,), "other_cpus": (2.0,)}
    trials = tuple(replace(t, outcome=Measurement(samples)) for t in busy.trials)
    runs = {
        "a": recording("a 1", [(1.0, 9e6), (4.0, 7e6)], repeats=4),
        "b": Recording(busy.header, trials),
    }
    (row,) = [row for row in Joint.of(runs).measured if row.runtime == "b"]
    assert row.untold == ("exec_time",)
    assert row.name not in {shown.name for shown in Joint.of(runs).front}


def test_the_box_covers_the_uniform_assignments_of_all_runtimes():
    runs = {
        "a": recording("a 1", [(1.0, 9e6), (4.0, 5e6)]),
        "b": recording("b 1", [(3.0, 8e6), (5.0, 7e6), (5.5, 6e6), (6.0, 3e6)]),
    }
    joint = Joint.of(runs)
    # Of b the fourth has everything on its second backend.
    assert joint.reference == pytest.approx((6.6, 18e6))


def test_the_joint_front_is_that_of_all_points_together():
    joint = Joint.of(
        {
            "a": recording("a 1", [(1.0, 9e6), (4.0, 5e6), (6.0, 4e6)]),
            "b": recording("b 1", [(2.0, 6e6), (5.0, 5e6), (9.0, 1e6)]),
        }
    )
    assert [p.name for p in joint.front] == ["a:0", "b:0", "a:1", "a:2", "b:2"]
    found = joint.to_json()
    assert [p["name"] for p in found["front"]] == ["a:0", "b:0", "a:1", "a:2", "b:2"]
    assert set(found["runs"]) == {"a", "b"}
    # The box is twice the first one's baseline, and more is dominated than by either alone.
    assert joint.reference == (2.0, 18e6)
    for name in ("a", "b"):
        alone = Joint.of(
            {name: recording(name, [(1.0, 9e6), (4.0, 5e6), (6.0, 4e6)])}, reference=joint.reference
        )
        assert alone.hypervolume <= joint.hypervolume


def test_a_runtime_that_repeated_nothing_scatters_like_the_noisiest_other():
    noisy = [(1.0 + 0.01 * (n % 3), 9e6) for n in range(6)]
    space = recording("a 1", []).header
    repeated = Recording(
        space,
        tuple(
            Trial(n, space.space.default, Measurement({"exec_time": (s,), "max_rss": (b,)}))
            for n, (s, b) in enumerate(noisy)
        ),
    )
    joint = Joint.of({"a": repeated, "b": recording("b 1", [(1.0, 9e6), (5.0, 1e6)])})
    assert joint.is_noise_known
    assert all(row.place.verdict is not None for row in joint.measured)
    near = next(row for row in joint.measured if row.name == "b:0")
    low, high = near.intervals["exec_time"]
    assert 980 < low < 1000 < high < 1020
    assert not Joint.of({"b": recording("b 1", [(1.0, 9e6)])}).is_noise_known


def test_points_of_a_joint_front_have_handles_and_words(tmp_path):
    paths = {}
    for name, points in (("onert", [(1.0, 9e6), (4.0, 5e6)]), ("litert", [(2.0, 6e6)])):
        made = recording(f"{name} 1", points)
        store = Store(tmp_path / name / JOURNAL, made.header)
        for trial in made.trials:
            store.append(trial)
        store.close()
        paths[name] = tmp_path / name
    assert point_of(tmp_path, "A") == (paths["onert"], "0")
    assert point_of(tmp_path, "B") == (paths["litert"], "0")
    assert point_of(tmp_path, "fastest") == (paths["onert"], "0")
    assert point_of(tmp_path, "smallest") == (paths["onert"], "1")
    assert point_of(tmp_path, "litert:3") == (paths["litert"], "3")
    with pytest.raises(InputError, match="name a point as onert:ID, litert:ID, A to C"):
        point_of(tmp_path, "D")
    assert point_of(paths["onert"], "7") == (paths["onert"], "7")


def test_runs_of_different_models_have_none():
    other = recording("b 1", [(1.0, 1e6)])
    other = replace(other, header=replace(other.header, model_digest="e" * 64))
    with pytest.raises(InputError, match="different models"):
        Joint.of({"a": recording("a 1", [(1.0, 1e6)]), "b": other})


def busy(points: list[tuple[float, float]]) -> Recording:
    """Of which other work disturbed everything, each measured twice."""
    quiet = recording("b 1", points, repeats=2)
    disturbed = [
        replace(t, outcome=replace(t.outcome, samples={**t.outcome.samples, "other_cpus": (2.0,)}))
        for t in quiet.trials
        if isinstance(t.outcome, Measurement)
    ]
    return Recording(quiet.header, tuple(disturbed))


def test_what_was_disturbed_puts_nothing_measured_off_the_joint_front():
    quiet = recording("a 1", [(1.0, 9e6), (4.0, 5e6)], repeats=3)
    joint = Joint.of({"a": quiet, "b": busy([(1.5, 8e6), (9.0, 6e6)])})
    assert joint.front[0].name == "a:0"
    assert joint.front[0].place.probability == 1.0


def test_compare_calls_nothing_better_for_what_it_may_have_been():
    before = recording("a 1", [(1.0, 9e6), (4.0, 5e6)], repeats=3)
    after = busy([(1.5, 8.9e6), (9.0, 5e6)])
    found = Comparison.of(before, replace(after, header=before.header))
    assert {p.change for p in found.points} <= {Change.UNKNOWN, Change.SAME}
    # What is better as it was measured, others at work, is better.
    faster = busy([(0.5, 8.0e6), (9.0, 5e6)])
    found = Comparison.of(before, replace(faster, header=before.header))
    assert found.points[0].change in {Change.BETTER, Change.UNKNOWN}
