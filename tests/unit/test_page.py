"""The report's page, as text: what it holds, and what it never may."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from rooms import onert_problem, onert_space

from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import Granularity
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.models import Model
from pareto_profiler.report.page import data_of, headline, page_of
from pareto_profiler.report.picture import picture_of
from pareto_profiler.report.selection import Limit
from pareto_profiler.report.summary import Summary
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.simulation.families import Device, Recipe

OBJECTIVES = ("exec_time", "max_rss")


def recording_of(
    device: Device, budget: int, sampler: str = "random", repeats: int = 3
) -> Recording:
    journal, runner = MemoryJournal(), device.runner(Plan(repeats=repeats, warmups=0))
    proposer = SAMPLERS[sampler](onert_problem(device.space, graph=device.graph))
    for _ in search(
        device.space, proposer, runner, journal, Budget(budget), source=sampler, clock=runner
    ):
        pass
    return Recording(
        Header("a device", "", device.space, OBJECTIVES, graph=device.graph), journal.trials
    )


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recording_of(Device("a device", Recipe("", 20, 3, crashes=2), 1), 18, "structured")


def data_in(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found.group(1))


def test_what_other_work_disturbed_is_no_card(recording):
    """Nobody can say which is fastest, or the knee, where every time was disturbed."""

    def disturb(trial: Trial) -> Trial:
        if not isinstance(trial.outcome, Measurement):
            return trial
        samples = {**trial.outcome.samples, "other_cpus": (2.0,) * 3}
        return replace(trial, outcome=replace(trial.outcome, samples=samples))

    count = len(recording.trials)
    again = [replace(t, number=count + t.number) for t in recording.trials]
    quiet, disturbed = (
        Summary.of(Recording(recording.header, trials))
        for trials in ([*recording.trials, *again], list(map(disturb, [*recording.trials, *again])))
    )
    cards = '<article class="card ship"'
    assert page_of(quiet).count(cards) >= 2
    page = page_of(disturbed)
    assert page.count(cards) == 1
    (card,) = re.findall(cards + r".*?</article>", page, re.DOTALL)
    assert "smallest" in card
    assert "knee" not in card
    assert f'data-point="{data_in(page)["first"]}"' in card


def test_the_page_asks_no_network_and_holds_the_whole_run(recording):
    summary = Summary.of(recording)
    page = page_of(summary)
    body = page[page.index("<body>") : page.index("<script>")]
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "http" not in body
    data = data_in(page)
    assert len(data["points"]) == len(summary.measured)
    assert [p["id"] for p in data["points"] if p["front"]] == [str(r.id) for r in summary.front]
    (run,) = data["runs"]
    assert len(run["operations"]) == 20
    assert len(data["failures"]) == len(summary.failures) > 0
    for row in summary.front:
        assert f'data-point="{row.id}"' in body
    point = data["points"][0]
    chosen = summary.front[0].estimate.assignment
    digits = [
        v["choices"][int(d, 36)] for v, d in zip(run["variables"], point["digits"], strict=True)
    ]
    assert tuple(digits) == chosen
    assert point["configuration"] == summary.front[0].configuration
    assert all(check.words.split(":")[0] in body.replace("\u00a0", " ") for check in summary.checks)


def test_names_from_a_model_are_text_and_nothing_else(recording):
    evil = "</script><script>alert(1)</script>"
    header = replace(recording.header, model_name=evil, origin={"command": f"search {evil}"})
    failed = Trial(
        len(recording.trials), recording.trials[0].assignment, Failure(FailureKind.REJECTED, evil)
    )
    page = page_of(Summary.of(Recording(header, [*recording.trials, failed])))
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert data_in(page)["failures"][-1]["message"] == evil


def test_limits_are_drawn(recording):
    summary = Summary.of(recording)
    time, memory = summary.objectives
    limits = (Limit(time, 0.012), Limit(memory, 2.0**20))
    drawn = data_of(summary, limits)["limits"]
    assert drawn == [
        {"objective": 0, "most": pytest.approx(12.0)},
        {"objective": 1, "most": pytest.approx(1024.0)},
    ]


@pytest.mark.thorough
def test_a_large_run_stays_below_six_megabytes():
    recording = recording_of(
        Device("large", Recipe("", 300, 3, can_profile=False), 0), 4200, repeats=1
    )
    summary = Summary.of(recording)
    page = page_of(summary)
    assert len(page.encode()) < 6e6
    data = data_in(page)
    assert data["leftOut"] == len(summary.measured) - len(data["points"]) > 0
    assert {p["id"] for p in data["points"]} >= {str(r.id) for r in summary.front}
    assert all("digits" in p for p in data["points"] if p["front"])


def test_points_know_when_and_how_they_came_about(recording):
    data = data_of(Summary.of(recording))
    by_number = {t.number + 1: t for t in recording.trials}
    for point in data["points"]:
        trial = by_number[point["order"]]
        assert str(recording.header.space.id_of(trial.assignment)) == point["id"]
        assert trial.source == point["origin"]
    assert data["trials"] == len(recording.trials)


def test_a_run_without_figures_says_so(recording):
    failed = [t for t in recording.trials if isinstance(t.outcome, Failure)]
    trials = [replace(t, number=i) for i, t in enumerate(failed)]
    summary = Summary.of(Recording(recording.header, trials))
    assert "Nothing was measured" in headline(summary)
    assert "nothing was measured" in page_of(summary)


def test_one_objective_more_has_its_place(mobilenet: Model):
    space = onert_space(mobilenet.graph, ("cpu", "ruy"), Granularity.NAME)
    names = (*OBJECTIVES, "cpu_time")
    trials = [
        Trial(i, a, Measurement({"exec_time": (x,), "max_rss": (y,), "cpu_time": (z,)}))
        for i, (a, x, y, z) in enumerate(
            zip(space, (3, 2, 1), (1e6, 2e6, 3e6), (1, 1, 1), strict=False)
        )
    ]
    summary = Summary.of(Recording(Header("net", "", space, names, graph=mobilenet.graph), trials))
    assert len(data_of(summary)["points"][0]["values"]) == 3
    assert "cpu_time" in page_of(summary)


def test_libraries_in_the_page_are_those_that_are_named():
    assets = Path(str(files("pareto_profiler.report") / "assets"))
    text = (assets / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+\.js)` .*`([0-9a-f]{64})` \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == ["d3.min.js", "dagre.min.js"]
    for name, digest in rows:
        assert hashlib.sha256((assets / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(("picture_format", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_pictures_for_slides(recording, picture_format, start):
    summary = Summary.of(recording)
    limits = (Limit(objectives_of(OBJECTIVES)[1], 2e6),)
    picture = picture_of(summary, picture_format, limits)
    assert picture.startswith(start)
    assert picture == picture_of(summary, picture_format, limits)
    if picture_format == "svg":
        assert b"exec_time (ms)" in picture
        assert "≤".encode() in picture
