"""What is said of a recording is computed from its trials alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from rooms import ONERT, onert_problem

from pareto_profiler.core.configuration import Configuration
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import Assignment, DecisionSpace, Variable
from pareto_profiler.core.trial import Failure, Placement, Trial
from pareto_profiler.errors import FailureKind, InputError
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.report.health import Check
from pareto_profiler.report.naming import handle
from pareto_profiler.report.selection import Limit
from pareto_profiler.report.summary import Summary
from pareto_profiler.report.terminal import scatter, summary_text
from pareto_profiler.runtimes.base import Runtime
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.simulation.families import Device
from pareto_profiler.storage.opening import open_recording

RUNS = sorted(p for p in (ROOT / "examples").glob("[rt]*s/*") if p.suffix != ".md")
SPACE = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b", "c"])
HEADER = Header("net", "", SPACE, ("exec_time", "max_rss"))
FIGURES = {0: (10.0, 100.0), 7: (8.0, 300.0), 1: (9.0, 150.0), 2: (6.0, 160.0), 3: (11.0, 90.0)}


def trial(number: int, assignment: Assignment, outcome: Measurement | Failure) -> Trial:
    return Trial(number, assignment, outcome)


def recording(placements: tuple[Placement, ...] = (), failures: int = 2) -> Recording:
    trials = [
        trial(
            i,
            SPACE.assignment_of(number),
            Measurement({"exec_time": (s / 1e3,), "max_rss": (kib * 1024,)}),
        )
        for i, (number, (s, kib)) in enumerate(FIGURES.items())
    ]
    for i in range(failures):
        failed = Failure(FailureKind.REJECTED, "NYI")
        trials.append(trial(len(trials), SPACE.assignment_of(4 + i), failed))
    return Recording(HEADER, trials, placements)


def test_the_front_against_the_baseline_and_the_best_uniform():
    summary = Summary.of(recording())
    assert [row.id for row in summary.front] == [2, 1, 0, 3]
    assert summary.baseline is not None
    assert summary.best_uniform is not None
    assert (summary.baseline.id, summary.best_uniform.id) == (0, 7)
    assert summary.front[0].values == pytest.approx({"exec_time": 6.0, "max_rss": 160.0})
    assert summary.front[0].against_baseline == pytest.approx({"exec_time": 0.6, "max_rss": 1.6})
    assert summary.front[0].against_best_uniform["exec_time"] == pytest.approx(0.75)
    # Twice the baseline's 10 ms, and 1.1 times the uniform's 300 KiB.
    assert summary.reference == pytest.approx((0.02, 330 * 1024))
    # By hand: the steps of the front2d from the fastest on, over 20 ms × 330 KiB.
    area = (9 - 6) * (330 - 160) + (10 - 9) * (330 - 150) + (11 - 10) * (330 - 100)
    area += (20 - 11) * (330 - 90)
    assert summary.hypervolume == pytest.approx(area / (20 * 330))


def test_configurations_are_made_only_of_what_is_shown(monkeypatch: pytest.MonkeyPatch):
    found = Summary.of(recording())
    asked: list[Assignment] = []
    made = type(ONERT).configuration

    def counted(
        room: Runtime, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> Configuration:
        asked.append(assignment)
        return made(room, space, assignment, plan)

    monkeypatch.setattr(type(ONERT), "configuration", counted)
    assert Summary.of(recording()) == found
    assert not asked
    row = found.front[0]
    assert row.configuration == row.to_json()["configuration"] != ""
    assert asked == [row.estimate.assignment] * 2


def test_the_best_uniform_has_any_settings():
    threads = Variable("threads", ("1", "2"), ("1", "2"), is_setting=True)
    by_names = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b"])
    space = replace(by_names, variables=(*by_names.variables, threads))
    times = {
        ("cpu", "cpu", "1"): 10.0,
        ("cpu", "cpu", "2"): 7.0,
        ("ruy", "ruy", "1"): 9.0,
        ("ruy", "cpu", "2"): 5.0,
    }
    trials = [
        trial(i, chosen, Measurement({"exec_time": (ms / 1e3,), "max_rss": (1024.0,)}))
        for i, (chosen, ms) in enumerate(times.items())
    ]
    summary = Summary.of(Recording(replace(HEADER, space=space), trials))
    assert summary.best_uniform is not None
    assert summary.best_uniform.estimate.assignment == ("cpu", "cpu", "2")
    text = shown(summary)
    assert "best uniform by exec_time: " in text
    assert "cpu, threads 2" in text
    # What has the baseline's backends, but for settings, is no rival worth a column.
    assert "uniform\n" not in text.split("baseline:")[0]


def test_what_ran_elsewhere_is_not_on_the_front():
    wrong = Placement(SPACE.assignment_of(2), ((0, "cpu"),), ("operation 0: …",))
    summary = Summary.of(recording((wrong,)))
    assert [row.id for row in summary.front] == [7, 1, 0, 3]
    assert summary.misplaced == (wrong,)
    assert summary.to_json()["trials"] == 7


def test_failures_are_counted_by_kind_and_message():
    assert Summary.of(recording()).failures_by_kind() == {"rejected": [("NYI", 2)]}


def test_other_objectives_need_their_metrics():
    with pytest.raises(InputError, match="cpu_time: trial 0 recorded only exec_time, max_rss"):
        Summary.of(recording(), objectives_of(["cpu_time", "max_rss"]))


def test_an_empty_recording_can_be_shown():
    empty = Summary.of(Recording(HEADER, ()))
    assert (empty.front, empty.baseline, empty.hypervolume) == ((), None, 0.0)
    assert "not measured" in shown(empty)


def shown(summary: Summary) -> str:
    return summary_text(summary, Path("runs/one"))


def test_what_comes_next_keeps_to_limits_that_were_given():
    summary = Summary.of(open_recording(ROOT / "examples" / "runs" / "emulated_board"))
    smallest = min(row.values["max_rss"] for row in summary.front)
    limits = Limit.beforehand([f"max_rss={smallest + 1:.0f}KiB"], summary.objectives)
    text = summary_text(summary, Path("runs/one"), limits)
    (ship,) = (line for line in text.splitlines() if line.startswith("ship one:"))
    within = [handle(i) for i, r in enumerate(summary.front) if r.values["max_rss"] <= smallest + 1]
    assert ship.split()[-1] in within
    assert "choose:" not in text
    assert "choose:" in shown(summary)


def test_the_text_has_every_point_of_the_front_and_its_configuration():
    text = shown(Summary.of(recording()))
    for part in ("baseline", "best uniform", "knee", "2 × NYI", "1 ruy", "●"):
        assert part in text


def test_the_text_has_what_the_health_checks_say():
    summary = Summary.of(recording())
    assert {c.is_good for c in summary.checks} == {True, False}
    text = " ".join(shown(summary).split())
    for check in summary.checks:
        assert check.words in text
        assert check.is_good or f"! {check.words}" in text


def test_the_text_says_what_to_do_next():
    text = shown(Summary.of(recording()))
    assert re.search("^ship one:    pareto-profiler deploy runs/one [A-Z]$", text, re.MULTILINE)
    assert "ship one" not in summary_text(Summary.of(recording()))


@pytest.mark.parametrize("path", RUNS, ids=lambda p: p.stem)
def test_the_text_fits_a_terminal(path: Path):
    text = summary_text(Summary.of(open_recording(path)), Path("a/run"))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 46
    assert all(line == line.rstrip() for line in lines)


def test_a_sampler_that_asks_for_no_more_is_done():
    device = Device.of("tiny-8x2:3")
    sampler = StructuredSampler(onert_problem(device.space, graph=device.graph))
    journal, runner = MemoryJournal(), device.runner()
    for _ in search(
        *(device.space, sampler, runner, journal, Budget(100)), source="structured", clock=runner
    ):
        pass
    header = replace(HEADER, space=device.space, graph=device.graph)

    def said(count: int) -> Check:
        summary = Summary.of(Recording(header, journal.trials[:count]))
        return next(c for c in summary.checks if c.about == "convergence")

    early, late = said(4), said(len(journal.trials))
    assert not early.is_good
    assert "too few to tell" in early.words
    assert late.is_good
    assert "the sampler asks for no more" in late.words


def test_far_worse_points_do_not_squeeze_the_scatter():
    far = trial(9, SPACE.assignment_of(6), Measurement({"exec_time": (9.0,), "max_rss": (1e9,)}))
    base = recording()
    text = scatter(Summary.of(Recording(HEADER, (*base.trials, far))))
    assert "(1 far worse point outside)" in text
    assert "outside" not in scatter(Summary.of(base))


def with_clock(ghz: float) -> Measurement:
    return Measurement(
        {
            "exec_time": (0.01,),
            "max_rss": (1e7,),
            "clock_frequency": (ghz * 1e9,),
            "temperature": (85.0,),
        }
    )


def test_a_clock_that_falls_is_told():
    trials = [
        trial(i, SPACE.assignment_of(i), with_clock(g)) for i, g in enumerate([2.0, 1.2, 2.0])
    ]
    (warning, *_) = [w for w in Summary.of(Recording(HEADER, trials)).warnings if "clock" in w]
    for words in ("1 of 3 measurements", "below 2.00 GHz", "down to 1.20", "85 °C"):
        assert words in warning
    steady = [trial(i, SPACE.assignment_of(i), with_clock(2.0)) for i in range(3)]
    assert not [w for w in Summary.of(Recording(HEADER, steady)).warnings if "clock" in w]


def test_governor_turbo_and_too_many_threads_are_told():
    machine = {"governor": "schedutil", "turbo": "on", "cores": 2}
    header = replace(HEADER, machine=machine, plan=Plan(threads=4))
    trials = [trial(0, SPACE.default, with_clock(2.0))]
    said = " ".join(Summary.of(Recording(header, trials)).warnings)
    for words in ("governor is schedutil", "turbo is on", "4 threads on 2 processors"):
        assert words in said
    pinned = replace(header, plan=Plan(threads=1, cpus="1"))
    assert "threads on" not in " ".join(Summary.of(Recording(pinned, trials)).warnings)


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (
            10.45,
            "the one point on the front is decided with 99 %; undecided, on it or just off it: 1",
        ),
        (
            10.25,
            "the one point on the front is not decided with 99 %; undecided, on it or just off "
            "it: 2",
        ),
    ],
)
def test_one_point_is_not_called_all_points(milliseconds: float, said: str):
    best, other, baseline = (SPACE.assignment_of(i) for i in (3, 5, 0))

    def of(assignment: Assignment, exec_ms: float, kib: float) -> tuple[Assignment, Measurement]:
        samples = {"exec_time": (exec_ms / 1e3,), "max_rss": (kib * 1024,)}
        return assignment, Measurement(samples)

    runs = [of(baseline, 20.0, 900.0), of(baseline, 20.4, 900.0)]
    runs += [of(best, ms, 300.0) for ms in (9.8, 10.2, 9.9, 10.1, 10.0, 9.8, 10.2, 10.0)]
    runs += [of(other, milliseconds, 299.0)]
    trials = [trial(n, a, m) for n, (a, m) in enumerate(runs)]
    checks = Summary.of(Recording(HEADER, trials)).checks
    assert said in next(c.words for c in checks if c.about == "trust")


def scattered(deviation: float, seed: int = 0) -> Recording:
    """A front of twelve assignments, each measured three times with that much noise."""
    random = np.random.default_rng(seed)
    space = DecisionSpace.by_names(("p", "q"), ["a", "b", "c", "d"])
    trials = []
    for n in range(36):
        truth_s, truth_b = 1.0 + n % 12, 13.0 - n % 12
        noise = float(np.exp(random.normal(0, deviation)))
        samples = {"exec_time": (truth_s * noise,), "max_rss": (truth_b * 2**20,)}
        trials.append(Trial(n, space.assignment_of(n % 12), Measurement(samples)))
    return Recording(Header("net", "", space, ("exec_time", "max_rss")), trials)


def test_noise_that_hides_everything_is_a_warning():
    words = "repeats of the same assignment differ by"
    assert not any(words in text for text in Summary.of(scattered(0.01)).warnings)
    (told,) = [text for text in Summary.of(scattered(0.3)).warnings if words in text]
    assert "% in exec_time" in told
    assert "doctor" in told


def test_what_is_hardly_decided_may_still_move():
    def told(summary: Summary) -> Check:
        return next(c for c in summary.checks if c.about == "convergence")

    assert told(Summary.of(scattered(0.01))).is_good
    noisy = told(Summary.of(scattered(0.6)))
    assert not noisy.is_good
    assert "few points on it are decided" in noisy.words


def test_the_hypervolumes_interval_has_the_figure_and_the_truth():
    """The best of what noise shows looks better than it is."""
    held = 0
    for seed in range(40):
        summary = Summary.of(scattered(0.2, seed), reference=(26.0, 26 * 2.0**20))
        truth = Summary.of(scattered(0.0), reference=summary.reference).hypervolume
        low, high = summary.hypervolume_interval
        assert low <= summary.hypervolume <= high
        held += low <= truth <= high
    assert held >= 34
