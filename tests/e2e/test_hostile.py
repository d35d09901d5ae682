"""Hostile surroundings: one line, a status, nothing lost, nothing of the user's touched."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from build_model import RELU, ModelSpec, OperationSpec, TensorSpec, build, chain
from e2e.command import BIN, command, pp, pp_error, pp_json, run

from pareto_profiler.core.trial import Placement
from pareto_profiler.storage.journal import Store, read

QUICK = ("--repeats", 2, "--warmups", 1)


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line for sh, as a user types it."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-c", line],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def test_a_folder_of_the_users_called_work_is_left_alone(dense_file: Path, tmp_path: Path):
    thesis = tmp_path / "here" / "work" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of it")
    pp("search", dense_file, "--output", ".", *QUICK, "--budget", 1, cwd=tmp_path / "here")
    assert thesis.read_text() == "years of it"


def test_what_a_killed_search_left_is_removed_by_the_next(dense_file: Path, tmp_path: Path):
    dense_file.chmod(0o444)
    options = ("search", dense_file, "--output", "run", "--repeats", 5000, "--budget", 50)
    process = subprocess.Popen(
        command("pareto-profiler", *options),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while not list((tmp_path / "run").glob(".pareto-profiler-work-*/package/model.tflite")):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list((tmp_path / "run").glob(".pareto-profiler-work-*"))
    pp("search", dense_file, "--output", "run", "--repeats", 5000, "--budget", 2, cwd=tmp_path)
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"journal.jsonl", "report.html"}


def test_other_objectives_of_the_same_run_are_shown(dense_file: Path, tmp_path: Path):
    options = ("search", dense_file, "--output", "run", *QUICK)
    pp(*options, cwd=tmp_path)
    again = pp_json(*options, "--objectives", "prepare_time,model_rss", cwd=tmp_path)
    assert list(again["objectives"]) == ["prepare_time", "model_rss"]


def test_a_replayed_run_is_not_continued_on_the_real_thing(dense_file: Path, tmp_path: Path):
    pp("record", dense_file, "--output", "table", *QUICK, cwd=tmp_path)
    pp("replay", "table", "--budget", 1, "--output", "kept", cwd=tmp_path)
    text = pp_error("search", dense_file, "--output", "kept", *QUICK, cwd=tmp_path)
    assert "target table → local" in text


def test_a_partial_table_is_replayed_for_as_many_trials(tmp_path: Path):
    names = [f"op{i}" for i in range(60)]
    dump = {"oplist": names, "solutions": [{"memory": 9, "id": 0, "time": 2.0}]}
    (tmp_path / "dump.json").write_text(json.dumps(dump))
    done = pp("replay", "dump.json", cwd=tmp_path)
    assert "of about 10^18 assignments: replaying 1 trials" in done.stderr


def test_a_small_table_is_replayed_to_its_end(dense_file: Path, tmp_path: Path):
    run("brute_force_profiler", dense_file, "local", "local", "--dumpfile=d.json", cwd=tmp_path)
    assert "found 100.0% of its hypervolume" in pp("replay", "d.json", cwd=tmp_path).stderr


def test_the_run_of_another_model_does_not_name_a_dumps_backends(dense_file: Path, tmp_path: Path):
    run("brute_force_profiler", dense_file, "local", "local", "--dumpfile=d.json", cwd=tmp_path)
    other = {"oplist": ["Conv2D", "Softmax"], "solutions": [{"memory": 9, "id": 3, "time": 2.0}]}
    (tmp_path / "d.json").write_text(json.dumps(other))
    done = pp("show", "d.json", cwd=tmp_path)
    assert "taken as cpu, acl_cl" in done.stderr
    (tmp_path / "d.json.run" / "journal.jsonl").write_text('{"record":"header","schema":9}\n')
    assert pp_json("show", "d.json", cwd=tmp_path)["measured"] == 1


@pytest.mark.parametrize("target", ["run/journal.jsonl", "link"])
def test_nothing_overwrites_a_journal(dense_file: Path, tmp_path: Path, target: str):
    options = ("search", dense_file, "--output", "run", *QUICK)
    pp(*options, cwd=tmp_path)
    (tmp_path / "link").symlink_to("run/journal.jsonl")
    before = (tmp_path / "run" / "journal.jsonl").read_bytes()
    export = ("export", "run", "--format", "csv", "--output", target)
    for arguments in (export, (*options, "--dumpfile", target)):
        assert "is the journal of a run" in pp_error(*arguments, cwd=tmp_path)
    assert (tmp_path / "run" / "journal.jsonl").read_bytes() == before


def test_a_dump_does_not_depend_on_the_screen(dense_file: Path, tmp_path: Path):
    line = f"pareto-profiler search {dense_file} --repeats 2 --dumpfile"
    assert shell(f"{line} a.json > /dev/full", tmp_path).returncode == 1
    shell(f"{line} b.json | true", tmp_path)
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text() != ""


def test_a_full_disk_does_not_cost_the_file_that_was_there(dense_file: Path, tmp_path: Path):
    pp("search", dense_file, "--output", "run", *QUICK, cwd=tmp_path)
    done = pp("export", "run", "--format", "csv", "--output", "/dev/full", cwd=tmp_path, status=1)
    assert "No space left on device" in done.stderr


def test_a_dump_goes_where_a_link_points(dense_file: Path, tmp_path: Path):
    (tmp_path / "link.json").symlink_to("target.json")
    pp("search", dense_file, "--dumpfile", "link.json", *QUICK, cwd=tmp_path)
    assert (tmp_path / "link.json").is_symlink()
    assert "configs" in (tmp_path / "target.json").read_text()
    assert sorted(p.name for p in tmp_path.glob(".*")) == []


def test_nohup_is_respected(dense_file: Path, tmp_path: Path):
    line = (
        f"pareto-profiler search {dense_file} --output run --repeats 2000 --budget 8 --no-confirm"
    )
    begun = "until [ -s run/journal.jsonl ]; do sleep 0.05; done"
    script = f"trap '' HUP; {line} & pid=$!; {begun}; kill -HUP $pid; wait $pid; echo ended $?"
    assert "ended 0" in shell(script, tmp_path).stdout


@pytest.mark.parametrize("arguments", ["--version", "--help", "search --help"])
def test_help_that_cannot_be_written_is_told(tmp_path: Path, arguments: str):
    done = shell(f"pareto-profiler {arguments} > /dev/full", tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr


@pytest.mark.parametrize("what", ["show run", "show run --json", "inspect {model}"])
def test_a_reader_that_leaves_at_once_is_no_error(dense_file: Path, tmp_path: Path, what: str):
    pp("search", dense_file, "--output", "run", *QUICK, cwd=tmp_path)
    line = f"pareto-profiler {what.format(model=dense_file)}"
    done = shell(f"({line}; echo status $? >&2) | true", tmp_path)
    assert done.stderr in {"status 0\n", ""}


def test_the_hint_after_other_objectives_names_them(dense_file: Path, tmp_path: Path):
    options = ("search", dense_file, "--output", "run", *QUICK)
    pp(*options, cwd=tmp_path)
    done = pp(*options, "--objectives", "cpu_time,model_rss", cwd=tmp_path)
    assert "show run --objectives cpu_time,model_rss" in done.stderr


def test_folders_in_the_place_of_files_are_named(dense_file: Path, tmp_path: Path):
    (tmp_path / "run" / "journal.jsonl").mkdir(parents=True)
    for arguments in (
        ("search", dense_file, "--oplist", tmp_path),
        ("show", "run"),
        ("search", dense_file, "--output", "run"),
    ):
        pp_error(*arguments, cwd=tmp_path)


def test_replay_takes_other_objectives(dense_file: Path, tmp_path: Path):
    pp("record", dense_file, "--output", "table", *QUICK, cwd=tmp_path)
    names = "cpu_time,model_rss"
    found = pp_json("replay", "table", "--objectives", names, cwd=tmp_path)
    assert list(found["objectives"]) == names.split(",")


def test_the_share_of_a_replay_is_in_the_tables_own_box(dense_file: Path, tmp_path: Path):
    options = ("--granularity", "operation", "--allow", "ruy:*", *QUICK)
    whole = pp_json("record", dense_file, "--output", "table", *options, cwd=tmp_path)
    part = pp_json("replay", "table", "--budget", 1, cwd=tmp_path)
    assert part["reference"] == whole["reference"]


@pytest.mark.parametrize("place", ["missing/x.json", ".", "/proc/x.json"])
def test_a_dump_that_cannot_be_written_is_told_before_measuring(
    dense_file: Path, tmp_path: Path, place: str
):
    text = pp_error("search", dense_file, "--dumpfile", place, *QUICK, cwd=tmp_path)
    assert "cannot be written" in text
    assert not (tmp_path / "pareto-runs").exists()
    done = run("random_sampler", dense_file, "local", "--dumpfile", place, cwd=tmp_path, status=2)
    assert done.stderr.startswith("random_sampler: error: ")


def test_a_dump_of_settings_is_refused_before_measuring(dense_file: Path, tmp_path: Path):
    options = ("--vary", "executor", "--dumpfile", "x.json")
    assert "knows no settings" in pp_error("search", dense_file, *options, cwd=tmp_path)


def test_a_dump_has_the_front_of_its_own_objectives(dense_file: Path, tmp_path: Path):
    options = ("--objectives", "prepare_time,cpu_time", "--dumpfile", "x.json", *QUICK)
    pp("search", dense_file, "--output", "run", *options, cwd=tmp_path)
    dump = json.loads((tmp_path / "x.json").read_text())
    shown = pp_json("show", "run", "--objectives", "exec_time,max_rss", cwd=tmp_path)
    assert [str(s["id"]) for s in dump["solutions"]] == [row["id"] for row in shown["front"]]
    assert all("NUM_THREADS=1" in text for text in dump["configs"].values())


def test_the_dump_of_a_brute_force_is_read_with_its_own_backends(dense_file: Path, tmp_path: Path):
    run("brute_force_profiler", dense_file, "local", "local", "--dumpfile=d.json", cwd=tmp_path)
    assert pp_json("show", "d.json", cwd=tmp_path)["backends"] == ["cpu", "ruy"]


def test_what_ran_elsewhere_is_off_the_front_in_every_export(dense_file: Path, tmp_path: Path):
    pp("search", dense_file, "--output", "run", *QUICK, cwd=tmp_path)
    recording = read(tmp_path / "run")
    store = Store(tmp_path / "run" / "journal.jsonl", recording.header)
    for row in pp_json("show", "run", cwd=tmp_path)["front"]:
        store.append(Placement(tuple(row["assignment"]), (), ("operation 0: elsewhere",)))
    store.close()
    text = pp("export", "run", "--format", "csv", cwd=tmp_path).stdout
    shown = pp_json("show", "run", cwd=tmp_path)
    assert len(shown["misplaced"]) > 0
    exported = {row["id"] for row in csv.DictReader(io.StringIO(text)) if row["on_front"] == "True"}
    assert exported == {row["id"] for row in shown["front"]}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--tolerance", "nan"), "tolerance 'nan'"),
        (("--memory-limit", "0MB"), "1 KiB to 1 TiB"),
        (("--memory-limit", "9" * 400 + "GB"), "1 KiB to 1 TiB"),
        (("--time-limit", "9" * 400 + "s"), "at most 1000h"),
        (("--vary", "threads,threads"), "named twice"),
        (("--allow", "ruy:Foo"), "the model's operations are ElementwiseActivation"),
        (("--forbid", "Ruy:FullyConnected"), "the backends are cpu, ruy"),
        (("--backends", "cpu,cpu"), "each once"),
    ],
)
def test_senseless_options_are_named(dense_file: Path, tmp_path: Path, options, found: str):
    assert found in pp_error("search", dense_file, *options, cwd=tmp_path)


@pytest.mark.parametrize(
    "options", [("--repeats", 2_000_000), ("--threads", 10**11), ("--budget", 0), ("--seed", -1)]
)
def test_numbers_out_of_range_are_refused(dense_file: Path, tmp_path: Path, options):
    assert "range" in pp("search", dense_file, *options, cwd=tmp_path, status=2).stderr


@pytest.mark.parametrize("name", ["nosuffix", "UPPER.TFLITE", "x.circle"])
def test_a_model_is_known_by_its_content(dense_file: Path, tmp_path: Path, name: str):
    shutil.copy(dense_file, tmp_path / name)
    assert pp_json("search", name, *QUICK, "--budget", 1, cwd=tmp_path)["measured"] == 1


def test_sizes_that_a_model_leaves_free_are_those_of_the_input(tmp_path: Path):
    tensors = [TensorSpec((-1, 4)), TensorSpec((-1, 4))]
    spec = ModelSpec(tensors, [OperationSpec(RELU, (0,), (1,))], (0,), (1,))
    model = tmp_path / "free.tflite"
    model.write_bytes(build(spec))
    found = pp_json("search", model, *QUICK, "--backends", "cpu", cwd=tmp_path)
    assert found["measured"] == 1


def test_a_reader_that_goes_away_is_no_error(dense_file: Path, tmp_path: Path):
    pp("search", dense_file, "--output", "run", *QUICK, cwd=tmp_path)
    done = shell("pareto-profiler export run --format csv | head -n 1", tmp_path)
    assert done.stdout.startswith("trial,")
    assert done.stderr == ""


def test_nobody_reading_the_progress_does_not_end_the_search(dense_file: Path, tmp_path: Path):
    line = f"pareto-profiler search {dense_file} --granularity operation --output run"
    assert shell(f"{line} --budget 4 2> /dev/full >/dev/null", tmp_path).returncode == 0
    assert shell(f"{line} --budget 6 2>&- >/dev/null", tmp_path).returncode == 0
    assert len(read(tmp_path / "run").trials) == 6


def test_output_that_cannot_be_written_is_told(dense_file: Path, tmp_path: Path):
    pp("search", dense_file, "--output", "run", *QUICK, cwd=tmp_path)
    for what in ("show run", "show run --json", "export run --format csv"):
        done = shell(f"pareto-profiler {what} > /dev/full", tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
        assert "No space left on device" in done.stderr
    assert shell("pareto-profiler show run >&-", tmp_path).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_encoding_of_the_terminal_will_do(dense_file: Path, tmp_path: Path, encoding: str):
    pp("search", dense_file, "--output", "run", *QUICK, cwd=tmp_path)
    done = shell(f"PYTHONIOENCODING={encoding} pareto-profiler show run", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_is_left_as_it_was(dense_file: Path, tmp_path: Path):
    line = f"pareto-profiler search {dense_file} --time-limit 0.001s --repeats 50000"
    done = shell(f"script -qec '{line}' /dev/null", tmp_path)
    assert done.stdout.count("\x1b[?25l") == done.stdout.count("\x1b[?25h")
    assert "the baseline itself fails" in done.stdout


def test_the_bar_of_a_terminal_shows_the_counts(dense_file: Path, tmp_path: Path):
    line = f"pareto-profiler search {dense_file} --granularity operation --repeats 2"
    line += " --sampler random"
    done = shell(f"script -qec '{line}' /dev/null", tmp_path)
    assert "━" in done.stdout
    assert "measured 8  failed 1" in done.stdout


def test_interrupting_a_seed_command_names_it(dense_file: Path, tmp_path: Path):
    arguments = (dense_file, "local", "--mode=index", "--dumpfile=d.json", "--iterations=100")
    process = subprocess.Popen(
        command("random_sampler", *arguments), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 30
    while not (tmp_path / "d.json.run").exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate()
    assert "Traceback" not in stderr
    # It may have been done already; if not, it names the command to go on with.
    assert process.returncode in {0, 130}
    if process.returncode == 130 and "To go on" in stderr:
        assert f"To go on: random_sampler {dense_file} local --mode=index" in stderr


def test_a_run_without_a_trial_is_told(chain_file: Path, tmp_path: Path):
    pp("search", chain_file, "--output", "run", "--time-limit", "0.01s", "--repeats", 100_000,
       cwd=tmp_path, status=3)  # fmt: skip
    for what in (("show", "run"), ("replay", "run"), ("export", "run", "--format", "csv")):
        assert "holds no trial yet" in pp_error(*what, cwd=tmp_path)


def test_long_chains_are_searched_by_the_clock(tmp_path: Path):
    model = tmp_path / "long.tflite"
    model.write_bytes(build(chain(1100)))
    options = ("--granularity", "operation", "--allow", "ruy:*", "--time", "0.3s", *QUICK)
    sampling = ("--sampler", "random")
    found = pp_json("search", model, *options, *sampling, cwd=tmp_path)
    assert found["measured"] >= 1


def test_a_folder_of_somebody_else_is_left_alone(dense_file: Path, tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text("mine")
    options = ("search", dense_file, *QUICK, "--budget", 2)
    text = pp_error(*options, "--output", "docs", cwd=tmp_path)
    assert (
        "docs: holds no run, but guide.md: expected a run's folder, an empty or a new one" in text
    )
    assert [p.name for p in (tmp_path / "docs").iterdir()] == ["guide.md"]
    (tmp_path / "new").mkdir()
    pp(*options, "--output", "new", cwd=tmp_path)
    assert "no such file or folder" in pp_error("show", "nowhere", cwd=tmp_path)
    assert "holds runs: name one of new" in pp_error("show", ".", cwd=tmp_path)
