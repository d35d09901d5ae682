"""``explain`` as a user runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import MODELS, ROOT
from e2e.command import pp, pp_error, pp_json

import pareto_profiler
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.trial import Trial
from pareto_profiler.report.naming import short_id
from pareto_profiler.storage.journal import read

TABLE = ROOT / "examples" / "tables" / "mobilenet_v2_035_96_logits-emulated_board"
MODEL = MODELS / "mobilenet_v2_035_96.tflite"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    pp(
        *("search", MODEL, "--granularity", "operation", "--only", "40-64", "--backends"),
        *("cpu,ruy", "--budget", 12, "--sampler", "random", "--margin", "50%"),
        *("--run-time", "200ms", "--output", "run"),
        cwd=folder,
    )
    return folder / "run"


def measured(run: Path) -> list[Trial]:
    return [t for t in read(run).trials if isinstance(t.outcome, Measurement)]


def test_where_the_difference_comes_from(tmp_path: Path):
    row = pp_json("show", TABLE, cwd=tmp_path)["front"][0]
    text = pp("explain", TABLE, row["id"], cwd=tmp_path).stdout
    assert f"(id {short_id(int(row['id']))}) of mobilenet_v2_035_96_logits" in text
    for part in ("xnnpack in use", "in all", "What each choice changes", "cpu → xnnpack"):
        assert part in text
    data = pp_json("explain", TABLE, row["id"], cwd=tmp_path)
    difference = row["values"]["exec_time"] * (1 - 1 / row["against_baseline"]["exec_time"])
    assert data["whole"]["values"][0] == pytest.approx(difference, rel=0.01)
    assert len(data["choices"]) == sum(c != "cpu" for c in row["assignment"])


def test_what_was_not_measured_is_predicted_and_all_choices_are_shown(run: Path, tmp_path: Path):
    space = read(run).header.space
    known = {t.assignment for t in read(run).trials}
    other = next(a for a in space if a not in known)
    text = pp("explain", run, space.id_of(other), cwd=tmp_path).stdout
    assert "not measured, as predicted" in text
    pp(
        "replay",
        "simulated:mobile-53x3:1",
        "--sampler",
        "random",
        "--budget",
        6,
        "--output",
        "kept",
        cwd=tmp_path,
    )
    assert "that change less (--all)" in pp("explain", "kept", "fastest", cwd=tmp_path).stdout
    whole = pp("explain", "kept", "fastest", "--all", cwd=tmp_path).stdout
    data = pp_json("explain", "kept", "fastest", cwd=tmp_path)
    assert all(c["variable"] in whole for c in data["choices"])
    assert "(--all)" not in whole
    assert "It is the baseline" in pp("explain", run, 0, cwd=tmp_path).stdout


def test_a_backend_that_is_not_in_use_is_part_of_what_each_choice_changes(tmp_path: Path):
    def measure(chosen: Mapping[str, str]) -> dict[str, float]:
        return {"exec_time": 1.0 + [*chosen.values()].count("npu"), "max_rss": 1e6}

    operations = {f"conv{i}": ["cpu", "npu"] for i in range(4)}
    pareto_profiler.search(operations, measure=measure, budget=12, output=tmp_path / "run")
    words = "(each includes what cpu costs once it is in use)"
    assert words in pp("explain", "run", 15, cwd=tmp_path).stdout
    assert words not in pp("explain", "run", 7, cwd=tmp_path).stdout


def test_what_it_could_do_without_is_measured(run: Path, tmp_path: Path):
    space = read(run).header.space
    all_ruy = next(t.assignment for t in measured(run) if "ruy" in t.assignment)
    before = len(read(run).trials)
    number = space.id_of(all_ruy)
    found = pp_json("explain", run, number, "--simplify", "--rounds", 2, cwd=tmp_path)
    added = read(run).trials[before:]
    ids = found["simplification_ids"]
    assert ids
    assert [t["id"] for t in found["tried"]] == ids
    assert {t.source for t in added} == {"explain", "anchor"}
    for one in (number, *map(int, ids)):
        assert [space.id_of(t.assignment) for t in added].count(one) == 2
    again = pp("explain", run, number, "--simplify", "--rounds", 1, cwd=tmp_path)
    told = ("the simplest that is as good is id", "none of them", "could not be told")
    assert any(words in again.stdout for words in told)
    assert (run / "report.html").exists()


def test_names_are_no_markup(tmp_path: Path):
    rows = ["a[/b],[bold]w,exec_time_ms,max_rss_kib", "cpu,cpu,3,3", "ruy,cpu,1,4", "ruy,ruy,2,2"]
    (tmp_path / "names.csv").write_text("\n".join(rows) + "\n")
    text = pp("explain", "names.csv", 3, cwd=tmp_path).stdout
    assert "a[/b]" in text
    assert "[bold]w" in text


def test_silly_ids_are_one_line(run: Path, tmp_path: Path):
    limit = read(run).header.space.id_limit
    for number, found in (
        ("abc", "expected a letter"),
        (str(limit), "are below"),
        ("…", "expected a letter, a number or one of fastest"),
        ("9" * 5000, "are below"),
    ):
        assert found in pp_error("explain", run, number, cwd=tmp_path)
    pp("replay", TABLE, "--budget", 20, "--output", "kept", cwd=tmp_path)
    replayed = pp_error("explain", "kept", "582", "--simplify", cwd=tmp_path)
    assert "was replayed from a table" in replayed
