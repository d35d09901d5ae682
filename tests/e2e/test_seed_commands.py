"""The seed's own command lines, as its document gives them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MOBILENET_NAMES
from e2e.command import run

CONFIGURATION = re.compile(
    r'BACKENDS="ruy;cpu" OP_BACKEND_FullyConnected=(cpu|ruy) OP_BACKEND_ElementwiseActivation=cpu '
)

# The place that all programs of a machine share is another one here.
IN_TMP = """
import sys
from pareto_profiler.cli import seed_commands
seed_commands._DEVICE_OPLIST = sys.argv.pop(1)
seed_commands.random_sampler_app(standalone_mode=False)
"""


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


def test_a_list_of_another_model_in_tmp_is_left_alone(dense_file: Path, tmp_path: Path):
    shared = tmp_path / "tmp.json"
    for content, said in (
        ({"oplist": ["ElementwiseActivation", "FullyConnected"]}, "digits in the order of"),
        ({"oplist": ["Conv2D"]}, "is left alone: the operation list has no FullyConnected"),
        ({"oplist": 3}, "is left alone: "),
    ):
        shared.write_text(json.dumps(content))
        done = subprocess.run(
            [
                *(sys.executable, "-c", IN_TMP, str(shared), str(dense_file), "local"),
                *("--dumpfile", "d.json", "--iterations", "1"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"{shared} {said}" in done.stderr or f"{said} {shared}" in done.stderr
        is_taken = said.startswith("digits")
        names = ["ElementwiseActivation", "FullyConnected"]
        found = json.loads((tmp_path / "d.json").read_text())["oplist"]
        assert found == (names if is_taken else names[::-1])
        shutil.rmtree(tmp_path / "d.json.run")


def test_command_lines_as_the_originals_parser_takes_them(dense_file: Path, tmp_path: Path):
    words = ("--dump=D.json", "--mode", "INDEX")
    run("brute_force_profiler", dense_file, "local", *words, cwd=tmp_path)
    run("brute_force_profiler", dense_file, "LOCAL", "local", *words, cwd=tmp_path)
    dump = json.loads((tmp_path / "D.json").read_text())
    assert list(dump) == ["oplist", "opmap", "opname_by_indx", "solutions"]
    assert dump["opmap"] == [0, 1, 0, 1, 0, 1]
    run("random_sampler", dense_file, "local", "local", "--iter=1", "--du", "r.json", cwd=tmp_path)
    run("random_sampler", dense_file, "--iter", 1, "--target=Local", "local", cwd=tmp_path)
    run("gen_oplist", dense_file, "Local", "--mo", "Name", cwd=tmp_path)
    for words, said in (
        (("toaster", "local"), "target 'toaster': expected one of tizen, odroid, local"),
        (("local", "local", "local"), "expected [TARGET] RUN_FOLDER"),
        (("local", "local", "--target", "tizen"), "and one target"),
        (("local", "--nothing"), "No such option: --nothing"),
    ):
        done = run("random_sampler", dense_file, *words, cwd=tmp_path, status=2)
        assert said in done.stderr


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
