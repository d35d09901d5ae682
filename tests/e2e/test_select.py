"""``select`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import ROOT
from e2e.command import pp, pp_error, pp_json

from pareto_profiler.report.naming import short_id

TABLE = ROOT / "examples" / "tables" / "mobilenet_v2_035_96_logits-emulated_board"


def test_the_fastest_within_a_limit_with_its_price_and_configuration(tmp_path: Path):
    found = pp_json("select", TABLE, "--max-rss", "1.2x baseline", cwd=tmp_path)
    values, best = found["selected"]["values"], 15688
    assert values["max_rss"] <= 1.2 * best
    (trade,) = found["trades"]
    assert trade["breaks"] == "max_rss"
    assert trade["changes"]["exec_time"] < 0 < trade["changes"]["max_rss"]
    text = pp("select", TABLE, "--max-rss", "1.2x baseline", cwd=tmp_path).stdout
    assert (
        f"(id {short_id(int(found['selected']['id']))}): the smallest exec_time, with max_rss"
        in text
    )
    assert "more would save" in text
    assert found["selected"]["configuration"].strip() in text
    long = pp("select", ROOT / "examples" / "runs" / "emulated_board", cwd=tmp_path).stdout
    assert "(deploy writes it, --json shows it)" in long
    assert max(map(len, long.splitlines())) <= 80


def test_every_goal_is_another_one(tmp_path: Path):
    def chosen(*options: str) -> str:
        return pp_json("select", TABLE, *options, cwd=tmp_path)["selected"]["id"]

    fastest, smallest = chosen(), chosen("--minimise", "max_rss")
    assert fastest != smallest == "0"
    assert chosen("--knee") not in {fastest, smallest}
    assert chosen("--weights", "exec_time=0,max_rss=1") == smallest
    assert chosen("--weights", "exec_time=1") == fastest
    assert chosen("--max-time", "97ms") == smallest
    assert chosen("--max", "exec_time=97ms") == smallest
    limited = pp_json("select", TABLE, "--knee", "--max-time", "9.5% baseline", cwd=tmp_path)
    assert limited["selected"]["against_baseline"]["exec_time"] <= 0.095


def test_weights_count_in_proportion(tmp_path: Path):
    found = [
        pp_json("select", TABLE, "--weights", f"exec_time={w},max_rss={w}", cwd=tmp_path)
        for w in ("0.001", "1", "1e308")
    ]
    assert len({f["selected"]["id"] for f in found}) == 1
    assert len({f["probability_best"] for f in found}) == 1


def test_silly_goals_are_one_line(tmp_path: Path):
    for options, found in (
        (("--max-rss", "1MB"), "nothing on the front has max_rss of at most"),
        (("--max-rss", "a lot"), "expected something like 100MB"),
        (("--max-time", f"{'9' * 400}ms"), "expected something like"),
        (("--max", "speed=3"), "objective 'speed'"),
        (("--max", "exec_time=3", "--max-time", "4"), "two limits of exec_time"),
        (("--weights", "exec_time=-1"), "expected something like exec_time=2"),
        (("--weights", "exec_time=0"), "all are nothing"),
        (("--knee", "--minimise", "max_rss"), "exclude each other"),
    ):
        assert found in pp_error("select", TABLE, *options, cwd=tmp_path)


def test_a_limit_needs_a_unit_and_objectives_have_other_names(tmp_path: Path):
    told = pp_error("select", TABLE, "--max-rss", "14", cwd=tmp_path)
    assert "14 what? Expected one of b, kb, mb, gb, kib, mib, gib, or x baseline" in told
    told = pp_error("report", TABLE, "--max-time", "14", cwd=tmp_path)
    assert "14 what? Expected one of ns, us, ms, s" in told
    assert pp_json("select", TABLE, "--max", "memory=100MB", cwd=tmp_path) == pp_json(
        "select", TABLE, "--max-rss", "100MB", cwd=tmp_path
    )
    by_memory = pp_json("select", TABLE, "--minimise", "memory", cwd=tmp_path)
    assert by_memory == pp_json("select", TABLE, "--minimise", "max_rss", cwd=tmp_path)
    shown = pp_json("show", TABLE, "--objectives", "latency,memory", cwd=tmp_path)
    assert list(shown["objectives"]) == ["exec_time", "max_rss"]


def test_errors_are_json_where_that_is_asked_for(tmp_path: Path):
    words = ("select", TABLE, "--max-rss", "14", "--json")
    done = pp(*words, cwd=tmp_path, status=2)
    told = json.loads(done.stdout)
    assert told["status"] == 2
    assert told["error"].startswith("max_rss of '14': 14 what?")
    assert told["error"] in done.stderr
    unknown = pp("select", TABLE, "--speed", "--json", cwd=tmp_path, status=2)
    assert "--speed" in json.loads(unknown.stdout)["error"]


def test_where_there_is_no_knee_it_is_said(tmp_path: Path):
    rows = ["a,b,exec_time_ms,max_rss_kib", "cpu,cpu,10,100", "ruy,cpu,19,95", "ruy,ruy,20,50"]
    (tmp_path / "straight.csv").write_text("\n".join(rows) + "\n")
    assert "knee: none" in pp("show", "straight.csv", cwd=tmp_path).stdout
    told = pp("select", "straight.csv", "--knee", cwd=tmp_path).stdout
    assert "no point of this front is a knee: this is the fastest" in " ".join(told.split())
    done = pp("explain", "straight.csv", "knee", cwd=tmp_path)
    assert "no point of this front is a knee: 0, the fastest, is taken" in done.stderr
