"""Samplers, offline mode and the bench, as a user runs them."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT
from e2e.command import command, pp

from pareto_profiler.core.trial import Profile
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.storage.journal import read
from pareto_profiler.storage.tables import unpack


def run_tool(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """In the folder of the project, where nothing is written: every output is named."""
    return pp(*arguments, cwd=ROOT, status=status)


MODEL = ROOT / "examples" / "models" / "mobilenet_v1_025_128.tflite"
SEED_TABLE = ROOT / "tests" / "data" / "seed_brute_force.json"
BOARD_TABLE = ROOT / "examples" / "tables" / "mobilenet_v2_035_96_logits-emulated_board"
QUICK = (
    "--repeats",
    "2",
    "--warmups",
    "0",
    "--retries",
    "0",
    "--anchor-every",
    "0",
    "--no-confirm",
)


def test_structured_is_the_default_profiles_and_tells_what_it_learned(tmp_path: Path):
    run = tmp_path / "run"
    search = ("search", str(MODEL), "--granularity", "operation", "--backends", "cpu,ruy")
    run_tool(*search, "--budget", "12", *QUICK, "--output", str(run))
    recording = read(run)
    profiles = [t for t in recording.trials if isinstance(t.outcome, Profile)]
    assert recording.header.sampler == "structured"
    assert [t.source for t in profiles] == ["profile"] * len(profiles)
    assert len(profiles) == 2
    assert all(len(p.outcome.operations) == 31 for p in profiles if isinstance(p.outcome, Profile))
    assert recording.header.graph is not None
    shown = run_tool("learned", str(run))
    for words in ("How well it predicts", "What it learned"):
        assert words in shown.stdout
    # Where other work disturbed the baseline each time no front can be told.
    is_told = "no verdict" not in shown.stderr
    assert ("The front it predicts" in shown.stdout) == is_told
    facts = json.loads(run_tool("learned", str(run), "--json").stdout)
    told = {"exec_time", "max_rss"} if is_told else {"max_rss"}
    assert {s["objective"] for s in facts["skills"]} == told
    assert all(point["id"].isdecimal() for point in facts["front"])
    assert bool(facts["front"]) == is_told
    run_tool(*search, "--budget", "14", *QUICK, "--output", str(run))
    assert sum(isinstance(t.outcome, Profile) for t in read(run).trials) == 2


@pytest.mark.parametrize("sampler", ["hlps", "local", "nsga2", "spea2", "tpe"])
def test_every_sampler_searches_and_is_named_in_the_run(tmp_path: Path, sampler: str):
    run_tool(
        *("search", str(MODEL), "--granularity", "operation", "--backends", "cpu,ruy"),
        *("--sampler", sampler, "--budget", "6", *QUICK, "--output", str(tmp_path / "run")),
    )
    assert sampler in {t.source for t in read(tmp_path / "run").trials}


def test_only_leaves_all_others_at_the_baseline(tmp_path: Path):
    done = run_tool(
        *("record", str(MODEL), "--granularity", "operation", "--backends", "cpu,ruy"),
        *("--only", "0,2", *QUICK[:-1], "--output", str(tmp_path / "run"), "--json"),
    )
    assert json.loads(done.stdout)["space_size"] == "4"
    table = read(tmp_path / "run")
    space = table.header.space
    assert [v.name for v in space.variables if len(v.feasible) > 1] == ["Conv2D@0", "Conv2D@2"]
    others = {c for t in table.trials for i, c in enumerate(t.assignment) if i not in {0, 2}}
    assert others == {"cpu"}
    for bad, words in (
        ("9-3", "expected something like"),
        ("99", "operation @99: no variable decides it"),
    ):
        failed = run_tool("search", str(MODEL), "--only", bad, status=2)
        assert words in failed.stderr


@pytest.mark.parametrize("sampler", ["structured", "hlps", "nsga2", "random", "exhaustive"])
def test_the_seeds_own_points_are_replayed(sampler: str):
    done = run_tool("replay", str(SEED_TABLE), "--sampler", sampler, "--seed", "3")
    found = re.search(r"trials on a table of 18 found ([\d.]+)% of its hypervolume", done.stderr)
    assert found
    assert float(found[1]) > 60
    assert "not in the table: counted as failures that take no time" in done.stderr


def test_a_replay_has_the_recorded_clock_and_noise_if_asked_for():
    plain = [run_tool("replay", str(BOARD_TABLE), "--json", "--seed", s).stdout for s in "11"]
    assert plain[0] == plain[1]
    noisy = run_tool("replay", str(BOARD_TABLE), "--json", "--seed", "1", "--noise")
    assert json.loads(noisy.stdout)["trials"] > 5
    short = run_tool("replay", str(BOARD_TABLE), "--sampler", "random", "--time", "5s")
    found = re.search(r"(\d+) trials on a table .* in ([\d.]+) s of recorded time", short.stderr)
    assert found
    assert int(found[1]) < 60
    assert 5 <= float(found[2]) < 15


def test_simulated_devices_are_searched_without_any_device(tmp_path: Path):
    run = tmp_path / "run"
    name = "simulated:chain-20x3:1"
    done = run_tool("replay", name, "--budget", "14", "--output", str(run), "--json")
    assert json.loads(done.stdout)["model"] == name
    run_tool("learned", str(run))
    unknown = run_tool("replay", "simulated:chain", status=2)
    assert "expected simulated:FAMILY:SEED" in unknown.stderr
    energy = run_tool("replay", name, "--objectives", "energy,max_rss", status=2)
    assert "exec_time and max_rss only" in energy.stderr


def test_packed_and_csv_tables_are_read_like_the_run_itself(tmp_path: Path):
    shown = run_tool("show", str(BOARD_TABLE), "--json")
    packed, plain = tmp_path / "t.parquet", tmp_path / "t.csv"
    for file, kind in ((packed, "packed"), (plain, "csv")):
        run_tool("export", str(BOARD_TABLE), "--format", kind, "--output", str(file))
        assert run_tool("show", str(packed), "--json").stdout == shown.stdout
    assert packed.stat().st_size < 0.6 * (BOARD_TABLE / "journal.jsonl").stat().st_size
    assert unpack(packed).trials == read(BOARD_TABLE).trials
    ours, theirs = (
        json.loads(run_tool("show", str(f), "--json").stdout)["front"] for f in (packed, plain)
    )
    assert [p["values"] for p in ours] == [pytest.approx(p["values"], rel=1e-9) for p in theirs]
    nowhere = run_tool("export", str(BOARD_TABLE), "--format", "packed", status=2)
    assert "name a file with --output" in nowhere.stderr


@pytest.mark.parametrize("table", sorted((ROOT / "examples" / "tables").glob("*.parquet")))
def test_packed_tables_are_searched(table: Path):
    # Few enough that it does not end by itself, which it may where nothing promises more.
    found = json.loads(run_tool("replay", str(table), "--budget", "8", "--json").stdout)
    assert found["trials"] == 8
    assert found["front"]


def test_the_bench_compares_samplers_and_keeps_curves(tmp_path: Path):
    from pyarrow import parquet

    file = tmp_path / "curves.parquet"
    arguments = ("bench", str(SEED_TABLE), "simulated:tiny-8x2:1", "--seeds", "2")
    samplers = ("--samplers", "local:10:3,exhaustive", "--budget", "30", "--jobs", "2")
    done = run_tool(*arguments, *samplers, "--output", str(file), "--json")
    tables = json.loads(done.stdout)
    assert [t["table"] for t in tables] == [str(SEED_TABLE), "simulated:tiny-8x2:1"]
    lacks, size = int(tables[0]["unrecorded"]), int(tables[0]["space_size"])
    warned = f"warning: {SEED_TABLE} holds {size - lacks} of {size} assignments" in done.stderr
    assert warned == (lacks > 0)
    assert done.stderr.count("counts as a failure") == int(lacks > 0)
    assert tables[1]["unrecorded"] == "0"
    found = tables[0]["samplers"]
    assert set(found) == {"local", "exhaustive", "random"}
    assert found["random"]["score"] == 0.0
    assert len(found["local"]["evaluated"]) == 3
    assert len(found["exhaustive"]["evaluated"]) == 2
    assert max(found["local"]["evaluated"]) <= 10 < max(found["exhaustive"]["evaluated"])
    curves = parquet.read_table(file).to_pylist()
    assert {c["sampler"] for c in curves} == set(found)
    assert {"table", "seed", "evaluation", "seconds", "share"} <= set(curves[0])
    text = run_tool("bench", "simulated:tiny-8x2:1", "--seeds", "1", "--budget", "9")
    assert "structured" in text.stdout
    assert "to 95 %" in text.stdout


def test_a_search_starts_from_what_another_learned(tmp_path: Path, dense_file: Path):
    options = ("search", str(dense_file), "--granularity", "operation", "--budget", "8", *QUICK)
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    run_tool(*options, "--output", first)
    done = run_tool(*options, "--output", second, "--from", first)
    assert re.search(r"from local: exec_time is .*there|not used", done.stderr)
    assert "max_rss is " in done.stderr
    for more, words in (
        (("--sampler", "local"), "--from: local learns nothing that could be used"),
        (
            ("--granularity", "name"),
            "has 6 variables by operation: expected the 2 by name of this search",
        ),
        (("--backends", "ruy,cpu"), "--from: that run has"),
        (("--runtime", "litert,onert"), "--from: is for the search of one runtime"),
        (("--from", str(tmp_path)), "holds runs: name one of"),
    ):
        third = ("--output", str(tmp_path / "third"))
        refused = run_tool(*options, *third, "--from", first, *more, status=2)
        assert words in refused.stderr, refused.stderr


def test_a_bench_goes_on_where_it_was_killed(tmp_path: Path):
    file = tmp_path / "cells.jsonl"
    options = ("simulated:tiny-8x2:1", "--samplers", "local", "--seeds", "8", "--budget", "20")
    whole = run_tool("bench", *options, "--json")
    with subprocess.Popen(
        command("pareto-profiler", "bench", *options, "--keep", file, "--workers", "1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not file.exists() or file.read_bytes().count(b"\n") < 5:
            time.sleep(0.01)
        process.kill()
    kept = file.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    done = run_tool("bench", *options, "--keep", str(file), "--dask", "local", "--json")
    assert "dashboard: http://127.0.0.1:" in done.stderr
    assert json.loads(done.stdout) == json.loads(whole.stdout)
    assert file.read_bytes().startswith(kept)
    assert file.read_bytes().count(b"\n") == 17


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dask", "nowhere"), "--dask 'nowhere': expected something like tcp://HOST:8786"),
        (("--samplers", "magic"), "sampler 'magic': expected one of exhaustive"),
        (("--samplers", "local:x"), "'local:x': expected NAME, NAME:EVALUATIONS"),
        (("--samplers", "local:9:0"), "'local:9:0': expected NAME, NAME:EVALUATIONS"),
        (("--output", "/nowhere/x"), "cannot be written"),
    ],
)
def test_a_bench_that_makes_no_sense_says_so(options: tuple[str, ...], words: str):
    done = run_tool("bench", "simulated:tiny-8x2", *options, status=2)
    assert words in done.stderr


def test_nothing_but_the_result_is_on_standard_output():
    done = run_tool("replay", "simulated:mobile-53x3:0", "--budget", "16", "--json")
    assert json.loads(done.stdout)["trials"] == 16


def test_within_a_limit_all_goes_to_the_one_that_ships(tmp_path: Path):
    device = ("replay", "simulated:chain-20x3:1", "--budget", "40")
    front = run_tool(*device, "--output", str(tmp_path / "front"))
    one = run_tool(*device, "--within", "max_rss=24MB", "--output", str(tmp_path / "one"))
    front_text, text = (" ".join(done.stdout.split()) for done in (front, one))
    assert "the smallest exec_time, with max_rss of at most 24MB" not in front_text
    assert "the smallest exec_time, with max_rss of at most 24MB (22.9 MiB)" in text
    assert len(read(tmp_path / "one").trials) < len(read(tmp_path / "front").trials)
    said = run_tool(*device, "--within", "max_rss=1MB", status=2).stderr
    assert "nothing on the front has max_rss of at most 1MB" in said
    said = run_tool(*device, "--within", "max_rss=40", status=2).stderr
    assert "max_rss of '40': 40 what?" in said


def test_a_search_within_a_limit_says_how_surely_it_is_kept(tmp_path: Path):
    search = ("search", str(MODEL), "--backends", "cpu,ruy", "--repeats", "2", "--warmups", "0")
    limit = ("--within", "max_rss=900MB", "--budget", "14", "--output", str(tmp_path / "run"))
    said = run_tool(*search, *limit).stdout
    assert "the smallest exec_time, with max_rss of at most 900MB" in said
    two = ("--runtime", "litert,onert", *limit[:-1], str(tmp_path / "two"))
    assert "name a single --runtime" in run_tool(*search, *two, status=2).stderr


def test_what_onert_computes_wrongly_is_counted_and_explained():
    inspected = run_tool("inspect", str(MODEL), "--backends", "cpu,ruy").stdout
    assert "random mixes by operation compute wrongly on onert" in inspected
    alone = json.loads(run_tool("inspect", str(MODEL), "--backends", "cpu", "--json").stdout)
    assert alone["faulty_mixes"] == {"of": 100, "wrong": 0, "causes": {}}
    table = ROOT / "examples" / "tables" / "branchy_64-by_name-emulated_board.parquet"
    recording = unpack(table)
    wrong = problem_of(recording.header).faults
    number = next(
        recording.header.space.id_of(t.assignment)
        for t in recording.trials
        if wrong(t.assignment) and recording.header.space.is_feasible(t.assignment)
    )
    said = run_tool("explain", str(table), str(number)).stdout
    assert "computes wrongly, as far as is known" in said
    assert "in its place" in said
    facts = json.loads(run_tool("explain", str(table), str(number), "--json").stdout)
    assert facts["faults"][0]["cause"] == "a tensor is overwritten"
