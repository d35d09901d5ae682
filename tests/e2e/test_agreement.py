"""Runs of a busy machine: no two commands contradict each other, and none says nonsense."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA, ROOT
from e2e.command import _forked, command, pp, pp_json

BUSY = sorted((DATA / "busy").iterdir())
RUNS = [*BUSY, ROOT / "examples" / "tables" / "mobilenet_v2_035_96-x86_64"]
# What no output may hold: figures that are none.
NONSENSE = re.compile(
    r"\b(?:inf|infinity|nan|\d+(?:\.\d+)?e\+?(?:1[2-9]|[2-9]\d|\d{3,}))\b", re.IGNORECASE
)

Run = pytest.mark.parametrize(
    "recorded",
    [
        pytest.param(r, id=r.name, marks=[pytest.mark.thorough] if r.name == "one_core" else [])
        for r in RUNS
    ],
)


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    return folder


def said(*words: object, cwd: Path, status: int = 0) -> str:
    """What a command prints, which may not be nonsense."""
    text = pp(*words, cwd=cwd, status=status).stdout
    assert not NONSENSE.search(text), NONSENSE.search(text)
    return text


def page(run: Path) -> tuple[dict[str, Any], str]:
    pp("report", run, cwd=run)
    text = (run / "report.html").read_text(encoding="utf-8")
    data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert data
    return json.loads(data[1]), text


@Run
def test_the_front_is_the_same_everywhere(run: Path):
    shown = pp_json("show", run, cwd=run)
    ids = [row["id"] for row in shown["front"]]
    data, _ = page(run)
    assert [p["id"] for p in data["points"] if p["front"]] == ids
    rows = csv.DictReader(io.StringIO(said("export", run, "--format", "csv", cwd=run)))
    assert {row["id"] for row in rows if row["on_front"] == "True"} == set(ids)
    pp("deploy", run, "--format", "json", "--no-verify", "--output", "s.json", cwd=run)
    switching = json.loads((run / "s.json").read_text())["configurations"]
    assert [entry["id"] for entry in switching] == ids
    # 3 where it cannot be told, which is not what is asked here.
    done = _forked(command("pareto-profiler", "compare", run, run, "--json"), run, 60, {})
    compared = json.loads(done.stdout)
    assert [point["id"] for point in compared["points"]] == ids
    assert compared["hypervolumes"] == [pytest.approx(shown["hypervolume"])] * 2
    exported = json.loads(said("export", run, "--format", "json", cwd=run))
    assert exported == shown


@Run
def test_figures_and_verdicts_are_the_same_everywhere(run: Path):
    shown = pp_json("show", run, cwd=run)
    data, text = page(run)
    points = {point["id"]: point for point in data["points"]}
    pp("deploy", run, "--format", "json", "--no-verify", "--output", "s.json", cwd=run)
    switching = {e["id"]: e for e in json.loads((run / "s.json").read_text())["configurations"]}
    words = {"on the front": "on", "off the front": "off", "inconclusive": "open"}
    names = list(shown["objectives"])
    for row in (*shown["front"], *shown["undecided"][:5]):
        point = points[row["id"]]
        assert point["values"] == [row["values"][n] for n in names]
        assert point["verdict"] == words[row["verdict"]]
        assert point["low"] == [(row["intervals"][n] or [None])[0] for n in names]
        assert row["untold"] == [n for n in names if row["intervals"][n] is None]
        # Nothing is called on the front of which something cannot be told.
        assert not (row["untold"] and row["verdict"] == "on the front")
        assert not set(row["untold"]) & set(row["against_baseline"])
        if row["id"] in switching:
            figures = switching[row["id"]]["figures"]
            assert {n: figures[n]["value"] for n in names} == row["values"]
            assert {n: figures[n]["interval"] for n in names} == row["intervals"]
    noise = ", ".join(f"{name} {size:.2%}" for name, size in shown["noise"].items())
    assert noise in " ".join(said("show", run, cwd=run).split())
    assert noise in text
    for warning in shown["warnings"]:
        assert warning in " ".join(said("select", run, cwd=run).split())


@Run
def test_what_is_selected_and_explained_is_what_is_shown(run: Path):
    shown = pp_json("show", run, cwd=run)
    rows = {row["id"]: row for row in (*shown["front"], *shown["undecided"])}
    for goal in ((), ("--knee",), ("--max-rss", "1.5x baseline"), ("--minimise", "max_rss")):
        selected = pp_json("select", run, *goal, cwd=run)
        row = selected["selected"]
        assert row == rows[row["id"]]
        text = said("select", run, *goal, cwd=run)
        assert ("no verdict" in text) == bool(row["untold"])
        judged = {"max_rss"} if "--minimise" in goal else {"exec_time"}
        if judged & set(row["untold"]):
            assert selected["probability_best"] is None
            assert "is better: no verdict" in text
        # Memory is judged all the same.
        if goal == ("--minimise", "max_rss"):
            assert selected["probability_best"] is not None
        for trade in selected["trades"]:
            assert min(trade["changes"].values()) < 0
        assert "save nothing" not in text
        explained = said("explain", run, row["id"], cwd=run)
        place = "on the front" if row in shown["front"] else "not on the front"
        assert f"; {place}" in explained
        assert ("no verdict" in explained) == bool(row["untold"])


@Run
def test_what_was_learned_is_the_same_in_the_report(run: Path):
    shown = pp_json("show", run, cwd=run)
    learned = pp_json("learned", run, cwd=run)
    text = said("learned", run, cwd=run)
    _, html = page(run)
    untold = set(shown["baseline"]["untold"])
    assert not untold & {term["objective"] for term in learned["terms"]}
    assert not untold & {skill["objective"] for skill in learned["skills"]}
    rows = list(csv.DictReader(io.StringIO(said("export", run, "--format", "csv", cwd=run))))
    largest = {
        name: max(float(row[column]) for row in rows if row[column])
        for name, column in (("exec_time", "exec_time_ms"), ("max_rss", "max_rss_kib"))
    }
    for term in learned["terms"]:
        assert term["name"] in text
        if term["unit"] in {"ms", "KiB"}:
            # No step is larger than the whole of anything that was measured.
            assert abs(term["value"]) <= largest[term["objective"]]
    for culprit in learned["culprits"]:
        probability = f"{culprit['probability']:.0%}"
        assert probability in text
        cells = [re.escape(" + ".join(culprit["choices"])), re.escape(probability)]
        assert re.search(r"</td>\s*<td[^>]*>".join(cells), html)


@pytest.mark.parametrize("recorded", BUSY, ids=[r.name for r in BUSY])
def test_a_busy_run_says_no_verdict_and_judges_memory(run: Path):
    shown = pp_json("show", run, cwd=run)
    assert any("not to be trusted" in text for text in shown["warnings"])
    assert not any(row["verdict"] == "on the front" and row["contended"] for row in shown["front"])
    done = _forked(command("pareto-profiler", "compare", run, run), run, 60, {})
    assert not NONSENSE.search(done.stdout)
    if done.returncode == 3:
        assert "max_rss alone: the smallest did not move beyond noise" in done.stdout
        assert "no verdict on the front" in done.stdout
    else:
        assert "the front did not move beyond noise" in done.stdout
