"""The seed's own command lines, as its document gives them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import MOBILENET_NAMES
from e2e.command import run

CONFIGURATION = re.compile(
    r'BACKENDS="ruy;cpu" OP_BACKEND_FullyConnected=(cpu|ruy) OP_BACKEND_ElementwiseActivation=cpu '
)


def test_gen_oplist_in_name_mode(mobilenet_file: Path, tmp_path: Path):
    done = run("gen_oplist", mobilenet_file, "local", cwd=tmp_path)
    assert "oplist.json: 6 operation names" in done.stdout
    assert json.loads((tmp_path / "oplist.json").read_text()) == {"oplist": MOBILENET_NAMES}


def test_gen_oplist_in_index_mode(mobilenet_file: Path, tmp_path: Path):
    run("gen_oplist", mobilenet_file, "local", "--mode", "index", cwd=tmp_path)
    oplist = json.loads((tmp_path / "oplist.json").read_text())
    assert list(oplist) == ["oplist", "opmap", "opname_by_indx"]
    assert len(oplist["opmap"]) == len(oplist["opname_by_indx"]) == 65
    assert sorted(set(oplist["opmap"])) == list(range(37))


def test_gen_oplist_wants_to_know_the_odroid(mobilenet_file: Path, tmp_path: Path):
    done = run("gen_oplist", mobilenet_file, "odroid", cwd=tmp_path, status=2)
    assert "expected --auth user@host" in done.stderr
    done = run("gen_oplist", mobilenet_file, "toaster", cwd=tmp_path, status=2)
    assert "toaster" in done.stderr


@pytest.mark.parametrize("target", ["odroid", "tizen"])
def test_a_list_that_cannot_be_copied_is_here_nevertheless(
    mobilenet_file: Path, tmp_path: Path, target: str
):
    arguments = (mobilenet_file, target, "--auth", "nobody@127.0.0.1; touch x")
    done = run("gen_oplist", *arguments, cwd=tmp_path, status=3)
    assert done.stderr.startswith("gen_oplist: error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["oplist.json"]


def test_brute_force_profiler(dense_file: Path, tmp_path: Path):
    run(
        "brute_force_profiler",
        dense_file,
        "local",
        "local",
        "--dumpfile=Dump File.json",
        cwd=tmp_path,
    )
    text = (tmp_path / "Dump File.json").read_text()
    dump = json.loads(text)
    assert list(dump) == ["oplist", "solutions"]
    assert dump["oplist"] == ["FullyConnected", "ElementwiseActivation"]
    assert [list(s) for s in dump["solutions"]] == [["memory", "id", "time"]] * 2
    assert [s["id"] for s in dump["solutions"]] == [0, 1]
    assert all(5_000 < s["memory"] < 100_000 for s in dump["solutions"])
    assert all(isinstance(s["memory"], int) and s["time"] >= 0 for s in dump["solutions"])
    assert re.match(r'{"oplist": \[.*\],\n"solutions": \[\n{"memory": \d+, "id": 0, ', text)


def test_random_sampler_in_name_mode(dense_file: Path, tmp_path: Path):
    arguments = ("--mode=name", "--dumpfile=profile.json", "--iterations=20")
    run("random_sampler", dense_file, "local", *arguments, cwd=tmp_path)
    dump = json.loads((tmp_path / "profile.json").read_text())
    assert list(dump) == ["configs", "oplist", "solutions", "mode"]
    assert [list(s) for s in dump["solutions"]] == [["exec_time", "max_rss", "id"]] * len(
        dump["solutions"]
    )
    assert dump["mode"] == "name"
    assert {str(s["id"]) for s in dump["solutions"]} == set(dump["configs"])
    for number, text in dump["configs"].items():
        found = CONFIGURATION.fullmatch(text)
        assert found
        assert found.group(1) == ("ruy" if int(number) & 1 else "cpu")


def test_random_sampler_in_index_mode(dense_file: Path, tmp_path: Path):
    arguments = ("--mode", "index", "--backends", 2, "--dumpfile", "p.json")
    run("random_sampler", dense_file, "local", *arguments, cwd=tmp_path)
    dump = json.loads((tmp_path / "p.json").read_text())
    assert dump["mode"] == "index"
    assert dump["oplist"] == [0, 1, 0, 1, 0, 1]
    assert all('OP_BACKEND_MAP="0=' in text for text in dump["configs"].values())


def test_iterations_and_backends_do_something(dense_file: Path, tmp_path: Path):
    for arguments, trials in ((("--iterations=1",), 1), (("--backends", "cpu"), 1), ((), 3)):
        dump = f"d{len(arguments)}{trials}.json"
        run("random_sampler", dense_file, "local", *arguments, "--dumpfile", dump, cwd=tmp_path)
        journal = (tmp_path / f"{dump}.run" / "journal.jsonl").read_text()
        assert journal.count('"record":"trial"') == trials
    done = run("random_sampler", dense_file, "local", "--backends=9", cwd=tmp_path, status=2)
    assert "local has cpu, ruy" in done.stderr


def test_the_order_of_oplist_json_is_taken(dense_file: Path, tmp_path: Path):
    (tmp_path / "oplist.json").write_text('{"oplist": ["ElementwiseActivation", "FullyConnected"]}')
    run("brute_force_profiler", dense_file, "local", "local", "--dumpfile=d.json", cwd=tmp_path)
    dump = json.loads((tmp_path / "d.json").read_text())
    assert dump["oplist"] == ["ElementwiseActivation", "FullyConnected"]
    assert [s["id"] for s in dump["solutions"]] == [0, 2]


def test_an_oplist_of_another_model_is_refused(dense_file: Path, tmp_path: Path):
    (tmp_path / "oplist.json").write_text('{"oplist": ["Conv2D"]}')
    done = run("random_sampler", dense_file, "local", cwd=tmp_path, status=2)
    assert "the operation list has no FullyConnected" in done.stderr


def test_another_run_folder_is_a_clear_error(dense_file: Path, tmp_path: Path):
    done = run("random_sampler", dense_file, "/nowhere", cwd=tmp_path, status=3)
    assert "run folder /nowhere: none of onert_run" in done.stderr
    done = run("brute_force_profiler", dense_file, "tizen", "local", cwd=tmp_path, status=2)
    assert "run folder local is the onert embedded here" in done.stderr
    done = run("brute_force_profiler", dense_file, "odroid", "out", cwd=tmp_path, status=2)
    assert "run folder 'out': expected an absolute path" in done.stderr


@pytest.mark.parametrize("name", ["gen_oplist", "brute_force_profiler", "random_sampler"])
def test_help(name: str, tmp_path: Path):
    assert "Usage" in run(name, "--help", cwd=tmp_path).stdout
