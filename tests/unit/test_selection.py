"""One assignment of a run, by limits and goals."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pareto_profiler.core.estimate import Figure
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind, InputError
from pareto_profiler.report.selection import Goal, Limit, Selection, knee_of, offered
from pareto_profiler.report.summary import Summary
from pareto_profiler.report.terminal import summary_text

SPACE = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b", "c"])
NAMES = ("exec_time", "max_rss")
TIME, MEMORY = objectives_of(NAMES)
# id → ms, MiB: the front is 2, 1, 0, 3; all on ruy (7) is the best uniform one by time.
FIGURES = {0: (10.0, 100.0), 7: (8.0, 300.0), 1: (9.0, 150.0), 2: (6.0, 160.0), 3: (11.0, 90.0)}


def summary_of(noise: float = 0.0, once: dict[int, tuple[float, float]] | None = None) -> Summary:
    """Of each assignment once; with noise, four times, and of further ones once."""
    trials = []
    for repeat in range(4 if noise else 1):
        factor = 1 + noise * (-1) ** repeat
        for number, (ms, mib) in FIGURES.items():
            samples = {"exec_time": (ms / 1e3 * factor,), "max_rss": (mib * 2**20,)}
            assignment = SPACE.assignment_of(number)
            trials.append(Trial(len(trials), assignment, Measurement(samples)))
    for number, (ms, mib) in (once or {}).items():
        samples = {"exec_time": (ms / 1e3,), "max_rss": (mib * 2**20,)}
        trials.append(Trial(len(trials), SPACE.assignment_of(number), Measurement(samples)))
    return Summary.of(Recording(Header("net", "", SPACE, NAMES), trials))


def selected(*limits: str, goal: Goal | None = None, noise: float = 0.0) -> Selection:
    summary = summary_of(noise)
    pairs = [text.split("=") for text in limits]
    found = tuple(Limit.of(t, {o.name: o for o in (TIME, MEMORY)}[n], summary) for n, t in pairs)
    return Selection.of(summary, goal or Goal.smallest(summary.objectives, found))


def test_without_limits_the_smallest_of_the_first_objective_and_its_neighbours():
    found = selected()
    assert found.row.id == 2
    assert [trade.row.id for trade in found.trades] == [1]
    small = selected(goal=Goal((), {"max_rss": 1.0}))
    assert (small.row.id, [trade.row.id for trade in small.trades]) == (3, [0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_rss=120MiB", 0),
        ("max_rss=104857600B", 0),
        ("max_rss=99 mib", 3),
        ("max_rss=1.6x baseline", 2),
        ("max_rss=160% baseline", 2),
        ("max_rss=0.5x uniform", 1),
        ("max_rss=163840KiB", 2),
        ("exec_time=10ms", 0),
        ("exec_time=10500 us", 0),
        ("exec_time=0.0115s", 3),
        ("exec_time=7ms", 2),
    ],
)
def test_a_limit_is_kept_and_what_is_left_is_smallest(text: str, expected: int):
    assert selected(text).row.id == expected


def test_a_limit_is_named_as_it_was_asked_for():
    for text, words in (
        ("120MiB", "120MiB (120.0 MiB)"),
        ("17MB", "17MB (16.2 MiB)"),
        ("1.6x baseline", "1.6x baseline (160.0 MiB)"),
    ):
        assert Limit.of(text, MEMORY, summary_of()).words == f"max_rss of at most {words}"
    assert Limit.of("12ms", TIME, summary_of()).words == "exec_time of at most 12 ms"


def test_both_limits_are_kept():
    assert selected("exec_time=10.5ms", "max_rss=120MiB").row.id == 0
    with pytest.raises(InputError, match="nothing on the front has exec_time of at most 7 ms and"):
        selected("exec_time=7ms", "max_rss=120MiB")


def test_what_a_looser_limit_would_buy():
    (trade,) = selected("max_rss=120MiB").trades
    assert (trade.row.id, trade.limit and trade.limit.objective) == (1, MEMORY)
    assert selected("max_rss=200MiB").trades == ()


def test_goals_other_than_the_smallest():
    assert selected(goal=Goal((), {"exec_time": 0.0, "max_rss": 1.0})).row.id == 3
    assert selected(goal=Goal((), {"exec_time": 5.0, "max_rss": 1.0})).row.id == 2
    assert selected(goal=Goal(())).row.id == 2
    both = Goal((), {"max_rss": 2, "exec_time": 1})
    assert both.words((TIME, MEMORY)) == "the smallest exec_time^1 · max_rss^2"
    assert Goal().words((TIME, MEMORY)) == "the knee"


def test_the_front_comes_before_a_lucky_figure():
    noisy = summary_of(0.15, {5: (5.80, 190.0), 6: (5.82, 170.0), 4: (5.83, 180.0)})
    assert noisy.front[0].id == 6
    assert [row.id for row in noisy.undecided] == [4, 5]
    fastest = Selection.of(noisy, Goal.smallest(noisy.objectives, ()))
    assert fastest.row.id == 6
    assert "5" in fastest.rivals
    # Where the limits leave nothing of the front, what may belong there is better than nothing.
    limit = Limit.of("5.81ms", TIME, noisy)
    assert Selection.of(noisy, Goal.smallest(noisy.objectives, [limit])).row.id == 5


def test_how_surely_depends_on_the_noise():
    quiet = selected("exec_time=10.2ms", noise=0.001)
    noisy = selected("exec_time=10.2ms", noise=0.1)
    assert quiet.within == 1.0
    assert 0.3 < noisy.within < 0.95
    assert selected("max_rss=155MiB", noise=0.001).best == 1.0
    unsure = selected(noise=0.5)
    assert unsure.best < 1.0
    assert unsure.rivals
    assert unsure.to_json()["probability_best"] == unsure.best


@pytest.mark.parametrize("text", ["max_rss=lots", "max_rss=3", "max_rss=12ms", "exec_time=-1ms"])
def test_what_is_no_limit_or_too_low_is_told(text: str):
    with pytest.raises(InputError, match=text.split("=", maxsplit=1)[0]):
        selected(text)


def test_nothing_can_be_relative_to_what_was_not_measured():
    trial = Trial(0, SPACE.assignment_of(3), Measurement({"exec_time": (1.0,), "max_rss": (1.0,)}))
    summary = Summary.of(Recording(Header("net", "", SPACE, NAMES), [trial]))
    with pytest.raises(InputError, match="the baseline was not measured"):
        Limit.of("2x baseline", TIME, summary)
    failed = Trial(0, SPACE.default, Failure(FailureKind.CRASHED, ""))
    with pytest.raises(InputError, match="nothing was measured"):
        Selection.of(Summary.of(Recording(Header("net", "", SPACE, NAMES), [failed])), Goal())


def test_limits_before_anything_is_measured_are_absolute_and_have_units():
    objectives = objectives_of(["exec_time", "max_rss"])
    (limit,) = Limit.beforehand(["max_rss=20MB"], objectives)
    assert (limit.objective.name, limit.most) == ("max_rss", 20e6)
    both = Limit.beforehand(["exec_time=12ms", "max_rss=1MiB"], objectives)
    assert [x.most for x in both] == [pytest.approx(0.012), 2**20]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["max_rss=20"], "max_rss of '20': 20 what? Expected one of b, kb, mb"),
        (["max_rss"], "max_rss of ''"),
        (["max_rss=fast"], "expected something like 100MB"),
        (["max_rss=1.2x baseline"], "the baseline is not measured yet"),
        (["energy=2mJ"], "objective 'energy': the run's are exec_time, max_rss"),
        (["max_rss=1MB", "max_rss=2MB"], "two limits of max_rss"),
    ],
)
def test_what_is_no_limit_before_a_search_is_said(texts, words):
    with pytest.raises(InputError, match=re.escape(words)):
        Limit.beforehand(texts, objectives_of(["exec_time", "max_rss"]))


def front_of_two_ends(*between: tuple[float, float], undecided: int = 0) -> Summary:
    """Of 10 ms and 100 MiB, of 20 ms and 50 MiB, and what lies between."""
    rows = [(10.0, 100.0), *between, (20.0, 50.0)]
    trials = [
        Trial(
            n,
            SPACE.assignment_of(n),
            Measurement({"exec_time": (ms / 1e3,), "max_rss": (mib * 2**20,)}),
        )
        for n, (ms, mib) in enumerate(rows)
    ]
    summary = Summary.of(Recording(Header("net", "", SPACE, NAMES), trials))
    slow = replace(summary.front[-1].estimate, figures=(Figure(1.0), Figure(60.0 * 2**20)))
    more = tuple(replace(summary.front[-1], estimate=slow) for _ in range(undecided))
    return replace(summary, undecided=more)


def test_the_knee_lies_below_the_line_between_the_ends_or_there_is_none():
    bent = knee_of(front_of_two_ends((12.0, 70.0), (17.0, 60.0)))
    assert bent is not None
    assert bent.id == 1
    # What may be on the front, and is slow, does not stretch it.
    assert knee_of(front_of_two_ends((12.0, 70.0), (17.0, 60.0), undecided=2)).id == 1
    for straight in (front_of_two_ends(), front_of_two_ends((19.0, 95.0))):
        assert knee_of(straight) is None
        # The fastest stands for it.
        assert Selection.of(straight, Goal()).row.id == 0
        assert "knee: none" in summary_text(straight)


def test_a_time_that_other_work_disturbed_is_not_told_though_nothing_was_repeated():
    trials = [
        Trial(
            n,
            SPACE.assignment_of(n),
            Measurement(
                {
                    "exec_time": (ms / 1e3,),
                    "max_rss": (mib * 2**20,),
                    "other_cpus": (2.0 * (n == 1),),
                }
            ),
        )
        for n, (ms, mib) in enumerate([(10.0, 100.0), (20.0, 50.0), (30.0, 40.0)])
    ]
    summary = Summary.of(Recording(Header("net", "", SPACE, NAMES), trials))
    assert not summary.is_noise_known
    assert [row.untold for row in summary.front] == [(), ("exec_time",), ()]
    assert summary.front[1].against_baseline == {"max_rss": 0.5}
    fastest = Selection.of(summary, Goal.smallest(summary.objectives, ()))
    assert fastest.best is None
    assert Selection.of(summary, Goal((), {"max_rss": 1.0})).best == 1.0
    # What is offered first is what can be told.
    assert offered(summary).id == 2
    text = summary_text(summary, Path("run"))
    assert "ship one:    pareto-profiler deploy run C" in text
    words = "no time can be told: C is the smallest, and may be slow; confirm first"
    assert words not in text
    busy = {"other_cpus": (2.0,)}
    every = [
        replace(t, outcome=Measurement({**t.outcome.samples, **busy}))
        for t in trials
        if isinstance(t.outcome, Measurement)
    ]
    disturbed = Summary.of(Recording(Header("net", "", SPACE, NAMES), every))
    assert words in summary_text(disturbed, Path("run"))


def test_of_how_many_nothing_is_better_is_told():
    summary = summary_of(0.01)
    limit = Limit.of("120MiB", MEMORY, summary)
    found = Selection.of(summary, Goal.smallest(summary.objectives, (limit,)))
    assert found.among == 2
    assert Selection.of(summary, Goal.smallest(summary.objectives, ())).among == len(FIGURES)
