"""Measurements to be trusted: contention, anchors, confirming, comparing, the doctor."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from build_model import build, chain
from conftest import ROOT
from e2e.command import pp, pp_error, pp_json

from pareto_profiler.storage.journal import read

QUICK = ("--repeats", 2, "--warmups", 1)
REPEATED_TABLE = ROOT / "examples" / "tables" / "mobilenet_v2_035_96-x86_64"
WIDE = ("--granularity", "operation", "--allow", "ruy:*")


def trials(folder: Path, name: str = "run") -> Any:
    return read(folder / name).trials


def sources(folder: Path, name: str = "run") -> Counter[str]:
    return Counter(t.source for t in trials(folder, name))


def test_numbers_of_runs(dense_file: Path, tmp_path: Path):
    def runs(name: str, *options: object) -> int:
        pp("search", dense_file, "--output", name, "--budget", 1, *options, cwd=tmp_path)
        return len(trials(tmp_path, name)[0].outcome.samples["exec_time"])

    never = ("--precision", "0%", "--run-time", "60s")
    assert runs("most", *never, "--max-repeats", 37) == 37
    # As it was called before, which no help shows.
    assert runs("former", *never, "--most-repeats", 36) == 36
    assert "--most-repeats" not in pp("search", "--help", cwd=tmp_path).stdout
    least = ("--min-repeats", 23, "--warmups", 0)
    assert runs("least", "--run-time", "0.000001s", "--precision", "0", *least) == 23
    assert runs("fixed", "--repeats", 3) == 3
    text = pp_error("search", dense_file, "--min-repeats", 300, cwd=tmp_path)
    assert "at least 300 are more than at most 200" in text


def test_anchors(dense_file: Path, tmp_path: Path):
    # One that does not end before the budget does.
    sampler = ("--sampler", "random", "--budget", 30)
    options = (*QUICK, *WIDE, *sampler, "--no-confirm", "--retries", 0)
    pp("search", dense_file, "--output", "often", "--anchor-every", 4, *options, cwd=tmp_path)
    pp("search", dense_file, "--output", "never", "--anchor-every", 0, *options, cwd=tmp_path)
    assert sources(tmp_path, "often")["anchor"] >= 3
    assert sources(tmp_path, "never")["anchor"] == 0
    # Repeats are what makes the noise known.
    assert pp_json("show", "often", cwd=tmp_path)["noise_known"]
    found = pp_json("show", "never", cwd=tmp_path)
    assert not found["noise_known"]
    assert any("nothing was measured twice" in text for text in found["warnings"])


def test_confirming_can_be_done_later_and_takes_its_budget_at_most(
    mobilenet_file: Path, tmp_path: Path
):
    options = (*QUICK, "--vary", "memory_planner", "--budget", 8, "--retries", 0, "--margin", 0)
    pp("search", mobilenet_file, "--output", "run", "--no-confirm", *options, cwd=tmp_path)
    assert sources(tmp_path)["confirm"] == 0
    before = trials(tmp_path)
    done = pp("confirm", "run", "--budget", 6, cwd=tmp_path)
    after = trials(tmp_path)
    assert list(after[: len(before)]) == list(before)
    assert len(after) <= len(before) + 6
    # What the tables deny of a uniform assignment comes before repeats.
    assert {t.source for t in after[len(before) :]} <= {"confirm", "anchor", "uniform"}
    assert "decided" in done.stderr


def test_confirming_needs_the_model(dense_file: Path, tmp_path: Path):
    pp("search", dense_file, *QUICK, "--output", "run", "--budget", 4, cwd=tmp_path)
    moved = tmp_path / "moved.tflite"
    dense_file.rename(moved)
    assert str(dense_file) in pp_error("confirm", "run", cwd=tmp_path)
    pp("confirm", "run", "--model", moved, "--budget", 3, cwd=tmp_path)
    other = tmp_path / "other.tflite"
    other.write_bytes(build(chain(3)))
    text = pp_error("confirm", "run", "--model", other, cwd=tmp_path)
    assert "belongs to another search" in text
    pp("replay", "run", "--output", "again", cwd=tmp_path)
    assert "replayed from a table" in pp_error("confirm", "again", cwd=tmp_path)
    assert "cannot be read" in pp_error("confirm", "nothing", cwd=tmp_path)


def test_margin_and_confidence(dense_file: Path, tmp_path: Path):
    options = (*QUICK, *WIDE, "--budget", 10, "--margin", "5%", "--confidence", "0.9")
    found = pp_json("search", dense_file, "--output", "run", *options, cwd=tmp_path)
    assert (found["margin"], found["confidence"]) == (0.05, 0.9)
    kept = pp_json("show", "run", cwd=tmp_path)
    assert (kept["margin"], kept["confidence"]) == (0.05, 0.9)

    def shown(*options: str) -> Any:
        return pp_json("show", REPEATED_TABLE, *options, cwd=tmp_path)

    def ties(summary: Any) -> int:
        return sum(len(row["ties"]) for row in summary["front"])

    def undecided(summary: Any) -> int:
        rows = [*summary["front"], *summary["undecided"]]
        return sum(row["verdict"] == "inconclusive" for row in rows)

    found_ties = [ties(shown("--margin", margin)) for margin in ("0", "1%", "5%", "20%", "100%")]
    assert found_ties == sorted(set(found_ties))
    assert found_ties[0] == 0
    open_ones = [undecided(shown("--confidence", c)) for c in ("50%", "90%", "99.99%")]
    assert open_ones == sorted(set(open_ones))
    assert open_ones[0] == 0
    for bad in ("101%", "-1", "one"):
        assert "fraction" in pp_error("show", "run", "--margin", bad, cwd=tmp_path)
    assert "50% or more" in pp_error("show", "run", "--confidence", "20%", cwd=tmp_path)


def test_every_point_has_an_interval_and_a_probability(dense_file: Path, tmp_path: Path):
    options = (*QUICK, *WIDE, "--budget", 30, "--output", "run")
    found = pp_json("search", dense_file, *options, cwd=tmp_path)
    assert found["noise"]["exec_time"] >= 0
    for row in (*found["front"], *found["undecided"]):
        assert 0 <= row["probability_on_front"] <= 1
        assert row["verdict"] in {"on the front", "off the front", "inconclusive"}
        for name, ends in row["intervals"].items():
            assert (ends is None) == (name in row["untold"])
            assert ends is None or ends[0] <= row["values"][name] <= ends[1]
    low, high = found["hypervolume_interval"] or (0, 1)
    assert 0 <= low <= high <= 1
    text = " ".join(pp("show", "run", cwd=tmp_path).stdout.split())
    for words in ("knee:", "±", "noise from process to process", "95 % interval"):
        assert words in text


def slowed(journal: Path, to: Path, backend: str, factor: float) -> None:
    """A copy of a run in which assignments that use a backend take longer."""
    lines = journal.read_text().splitlines()
    header = json.loads(lines[0])
    digit = header["space"]["backends"].index(backend)
    changed = [lines[0]]
    for line in lines[1:]:
        record = json.loads(line)
        if "samples" in record and digit in record["assignment"]:
            record["samples"]["exec_time"] = [factor * v for v in record["samples"]["exec_time"]]
        changed.append(json.dumps(record))
    to.mkdir()
    (to / "journal.jsonl").write_text("\n".join(changed) + "\n")


def test_compare(tmp_path: Path):
    pp("compare", REPEATED_TABLE, REPEATED_TABLE, cwd=tmp_path)
    journal = REPEATED_TABLE / "journal.jsonl"
    for name, factor in (("slow", 20.0), ("fast", 0.05), ("little", 1.2)):
        slowed(journal, tmp_path / name, "cpu", factor)
    worse = pp("compare", REPEATED_TABLE, "slow", cwd=tmp_path, status=1)
    assert "the front of B is worse" in worse.stdout
    words = ("compare", REPEATED_TABLE, "slow", "--json")
    found = json.loads(pp(*words, cwd=tmp_path, status=1).stdout)
    assert found["change"] == "worse"
    assert any(point["change"] == "worse" for point in found["points"])
    better = pp("compare", REPEATED_TABLE, "fast", cwd=tmp_path).stdout
    assert "the front of B is better" in better
    # A fifth is within a margin that is wide enough; and everything is as slow, relatively.
    wide = ("--margin", "100%", "--confidence", "0.99")
    pp("compare", REPEATED_TABLE, "little", *wide, cwd=tmp_path)
    both = tmp_path / "both"
    slowed(tmp_path / "slow" / "journal.jsonl", both, "ruy", 1.0)
    pp("compare", "slow", "both", "--relative", cwd=tmp_path)
    memory = ("--objectives", "max_rss,model_rss")
    pp("compare", REPEATED_TABLE, "slow", *memory, cwd=tmp_path)


def test_runs_that_cannot_be_compared(dense_file: Path, tmp_path: Path):
    pp("search", dense_file, "--output", "a", *QUICK, "--budget", 3, cwd=tmp_path)
    pp("search", dense_file, "--output", "b", *QUICK, *WIDE, "--budget", 3, cwd=tmp_path)
    assert "different decision spaces" in pp_error("compare", "a", "b", cwd=tmp_path)
    once = (*QUICK, "--no-confirm", "--anchor-every", 0, "--budget", 3, "--retries", 0)
    pp("search", dense_file, "--output", "c", *once, cwd=tmp_path)
    assert "measured twice" in pp_error("compare", "c", "c", cwd=tmp_path)


def test_the_doctor_measures_the_same_thing_again_and_again(dense_file: Path, tmp_path: Path):
    text = " ".join(pp("doctor", "--processes", 6, cwd=tmp_path).stdout.split())
    for words in ("noise floor", "A/A test", "governor", "6 processes"):
        assert words in text
    options = ("--model", dense_file, "--processes", 8, "--cpus", "0", "--threads", 1)
    found = pp_json("doctor", *options, cwd=tmp_path)
    floor = found["noise_floor"]
    assert floor["processes"] == 8
    difference, low, high = floor["difference"]
    assert low <= difference <= high
    assert floor["smallest_difference"]["1"] >= floor["smallest_difference"]["20"] >= 0
    assert "no library" in pp_error("doctor", "--onert-library", "/nowhere", cwd=tmp_path)


def test_three_objectives_and_the_error_of_outputs(mobilenet_file: Path, tmp_path: Path):
    objectives = ("--objectives", "exec_time,max_rss,output_error")
    options = ("--repeats", 3, "--warmups", 1, "--vary", "memory_planner", "--budget", 14)
    found = pp_json("search", mobilenet_file, *objectives, *options, cwd=tmp_path)
    assert found["objectives"]["output_error"]["unit"] == "ppm"
    assert found["baseline"]["values"]["output_error"] == pytest.approx(1.0)  # rounding, at least
    assert all(set(row["values"]) == set(found["objectives"]) for row in found["front"])
    assert 0 < found["hypervolume"] < 1


@pytest.mark.skipif(Path("/dev/dri").exists(), reason="there is a GPU")
def test_memory_of_a_gpu_needs_one(dense_file: Path, tmp_path: Path):
    words = pp_error("search", dense_file, *QUICK, "--objectives", "exec_time,vram", cwd=tmp_path)
    assert "DRM client" in words
    assert "libnvidia-ml.so.1" in words


def test_energy_needs_a_counter(dense_file: Path, tmp_path: Path):
    objectives = ("--objectives", "exec_time,energy")
    text = pp_error("search", dense_file, *QUICK, *objectives, cwd=tmp_path)
    for words in ("powercap", "hwmon", "energy = [...]"):
        assert words in text

    counter = tmp_path / "my counter_uj"
    counter.write_text("0\n")
    over = threading.Event()

    def count() -> None:
        for value in range(1, 10_000_000):
            if over.wait(0.001):
                return
            (tmp_path / "next").write_text(f"{100 * value}\n")
            (tmp_path / "next").replace(counter)

    (tmp_path / "targets.toml").write_text(
        f'[lab]\nlike = "local"\nenergy = ["{counter}"]\n', encoding="utf-8"
    )
    thread = threading.Thread(target=count)
    thread.start()
    try:
        found = pp_json(
            *("search", dense_file, "--target", "lab", "--repeats", 3000, "--budget", 2),
            *objectives,
            cwd=tmp_path,
        )
    finally:
        over.set()
        thread.join()
    assert found["objectives"]["energy"]["unit"] == "mJ"
    assert all(row["values"]["energy"] >= 0 for row in found["front"])
