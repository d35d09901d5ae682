"""The main job on real onert, through the command: every option does what it says."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from build_model import CONV_2D, HARD_SWISH, OperationSpec, build, chain, dense, shared_biases
from e2e.command import pp, pp_error, pp_json
from pyarrow import parquet

from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import FailureKind
from pareto_profiler.runtimes.onert.engine import wheel_library
from pareto_profiler.storage.journal import read

QUICK = ("--repeats", 2, "--warmups", 1)
ONCE = ("--anchor-every", 0, "--retries", 0, "--no-confirm")


def search(model: Path, tmp_path: Path, *options: object) -> dict:
    return pp_json("search", model, "--output", "run", *QUICK, *options, cwd=tmp_path)


def trials(tmp_path: Path, run: str = "run"):
    return read(tmp_path / run).trials


def test_a_front_of_a_real_model(mobilenet_file: Path, tmp_path: Path):
    options = ("--vary", "memory_planner", "--retries", 0, "--anchor-every", 0)
    found = search(mobilenet_file, tmp_path, *options, "--budget", 12)
    assert found["runtime"].startswith("onert 1.")
    assert found["backends"] == ["cpu", "ruy"]
    # What other work disturbs is not repeated without retries.
    assert 9 <= found["trials"] <= 12
    assert found["front"]
    assert all(row["placement_verified"] for row in found["front"])
    assert found["baseline"]["against_baseline"]["max_rss"] == 1.0
    points = [tuple(row["values"].values()) for row in found["front"]]
    assert points == sorted(points)
    assert all(0.1 < ms < 1000 and 5_000 < kib < 500_000 for ms, kib in points)
    # All on ruy, which is tried last, cannot be: there is no DepthwiseConv2D, the runtime says.
    (rejected,) = found["failures"]["rejected"]
    assert "NYI for operation" in rejected["message"]


def test_infeasible_assignments_are_recorded_with_reasons_and_the_search_goes_on(
    mobilenet_file: Path, tmp_path: Path
):
    found = search(
        mobilenet_file,
        tmp_path,
        "--granularity",
        "index",
        "--backends",
        "cpu,ruy",
        "--sampler",
        "random",
        "--allow",
        "ruy:Softmax",
        "--budget",
        30,
    )
    rejected = sum(f["count"] for f in found["failures"]["rejected"])
    assert found["trials"] == 30
    assert rejected > 5
    assert {"Softmax", "DepthwiseConv2D"} >= {
        f["message"].split("'")[1] for f in found["failures"]["rejected"]
    }
    assert found["measured"] > 5


def test_the_same_command_goes_on_where_it_was(dense_file: Path, tmp_path: Path):
    options = ("--granularity", "operation", "--allow", "ruy:*", "--seed", 4, "--no-confirm")
    # What structured asks for depends on the figures, which differ from run to run.
    options += ("--sampler", "random")
    search(dense_file, tmp_path, *options, "--budget", 5)
    first = trials(tmp_path)
    search(dense_file, tmp_path, *options, "--budget", 9)
    assert trials(tmp_path)[:5] == first
    assert len(trials(tmp_path)) == 9
    pp("search", dense_file, "--output", "whole", *QUICK, *options, "--budget", 9, cwd=tmp_path)
    whole = trials(tmp_path, "whole")
    # In blocks of random order, which end where a budget does.
    assert {t.assignment for t in whole} == {t.assignment for t in trials(tmp_path)}


def test_going_on_with_other_objectives_verifies_their_front(dense_file: Path, tmp_path: Path):
    options = ("--granularity", "operation", "--budget", 30, *ONCE, "--sampler", "random")
    for names in ("exec_time,max_rss", "prepare_time,cpu_time,first_run_time"):
        found = search(dense_file, tmp_path, *options, "--objectives", names)
        assert all(row["placement_verified"] for row in found["front"])


def test_the_folder_is_named_after_the_search_and_found_again(dense_file: Path, tmp_path: Path):
    for budget in (2, 3):
        done = pp("search", dense_file, *QUICK, "--budget", budget, cwd=tmp_path)
    (folder,) = (tmp_path / "pareto-runs").iterdir()
    assert folder.name.startswith("dense-name-cpu-ruy-")
    assert f"results: pareto-runs/{folder.name}" in done.stderr
    assert "going on in" in done.stderr
    pp("search", dense_file, *QUICK, "--threads", 2, "--budget", 2, cwd=tmp_path)
    assert len(list((tmp_path / "pareto-runs").iterdir())) == 2


def test_another_search_is_refused_in_the_same_folder(dense_file: Path, tmp_path: Path):
    search(dense_file, tmp_path, "--budget", 2)
    text = pp_error("search", dense_file, "--output", "run", "--repeats", 7, cwd=tmp_path)
    assert "plan: repeats 2 → 7" in text
    chain_file = tmp_path / "chain.tflite"
    chain_file.write_bytes(build(chain(3)))
    assert "model" in pp_error("search", chain_file, "--output", "run", *QUICK, cwd=tmp_path)


@pytest.mark.parametrize(
    ("granularity", "variables"), [("name", 2), ("index", 2), ("operation", 6)]
)
def test_granularity(dense_file: Path, tmp_path: Path, granularity: str, variables: int):
    found = search(dense_file, tmp_path, "--granularity", granularity, "--budget", 1)
    assert (found["granularity"], found["variables"]) == (granularity, variables)


def test_backends_and_their_order(dense_file: Path, tmp_path: Path):
    found = search(dense_file, tmp_path, "--backends", "ruy,cpu", "--budget", 1)
    assert found["baseline"]["assignment"] == ["ruy", "cpu"]
    assert found["baseline"]["configuration"].startswith('BACKENDS="cpu;ruy" ')


def test_forbid_leaves_a_backend_out(dense_file: Path, tmp_path: Path):
    found = search(dense_file, tmp_path, "--forbid", "ruy:FullyConnected")
    assert found["space_size"] == "1"


def test_oplist_rules_the_ids(dense_file: Path, tmp_path: Path):
    oplist = tmp_path / "oplist.json"
    oplist.write_text('{"oplist": ["ElementwiseActivation", "FullyConnected"]}')
    found = search(dense_file, tmp_path, "--oplist", oplist)
    mixed = next(r for r in read(tmp_path / "run").trials if r.assignment == ("cpu", "ruy"))
    assert read(tmp_path / "run").header.space.id_of(mixed.assignment) == 2
    assert found["space_size"] == "2"


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("executor", {"Linear", "Dataflow", "Parallel"}),
        ("memory_planner", {"WIC", "FirstFit", "Bump"}),
        ("use_mmaped_data", {"0", "1"}),
    ],
)
def test_vary_searches_over_a_setting(
    dense_file: Path, tmp_path: Path, setting: str, values: set[str]
):
    search(dense_file, tmp_path, "--vary", setting, "--backends", "cpu")
    assert {t.assignment[-1] for t in trials(tmp_path)} == values


def test_vary_threads_goes_up_to_the_cores(dense_file: Path, tmp_path: Path):
    found = search(dense_file, tmp_path, "--vary", "threads", "--backends", "cpu")
    cores = found["machine"]["cores"]
    assert {"1", str(cores)} <= {t.assignment[-1] for t in trials(tmp_path)}


def test_settings_reach_the_runtime(mobilenet_file: Path, tmp_path: Path):
    # The Bump planner never reuses memory: its activations cannot need less than WIC's.
    options = ("--vary", "memory_planner", "--backends", "cpu", "--sampler", "random")
    found = search(mobilenet_file, tmp_path, *options)
    by_planner = {t.assignment[-1]: t.outcome.samples["max_rss"][0] for t in trials(tmp_path)}
    assert by_planner["Bump"] > by_planner["WIC"] * 1.05
    assert found["front"]


@pytest.mark.parametrize("sampler", ["random", "exhaustive"])
def test_sampler(dense_file: Path, tmp_path: Path, sampler: str):
    options = ("--granularity", "operation", "--sampler", sampler, "--budget", 5, "--no-confirm")
    search(dense_file, tmp_path, *options)
    assert [t.source for t in trials(tmp_path)][-1] == sampler


def test_seed(dense_file: Path, tmp_path: Path):
    # What the default sampler proposes depends on the times, too.
    options = ("--granularity", "operation", "--allow", "ruy:*", "--budget", 6)
    options = (*options, "--sampler", "random")
    orders = []
    for seed in (0, 1):
        run = f"run{seed}"
        pp(*("search", dense_file, "--output", run, *QUICK, *options, "--seed", seed), cwd=tmp_path)
        orders.append([t.assignment for t in trials(tmp_path, run)])
    assert orders[0] != orders[1]


def test_time_ends_a_search(mobilenet_file: Path, tmp_path: Path):
    # No process starts and measures within this: the first trial is the last one, anywhere.
    search(mobilenet_file, tmp_path, "--granularity", "operation", "--time", "1ms")
    assert len(trials(tmp_path)) == 1
    search(mobilenet_file, tmp_path, "--granularity", "operation", "--time", "1h", "--budget", 3)
    assert len(trials(tmp_path)) > 1


def test_repeats_and_warmups(dense_file: Path, tmp_path: Path):
    options = ("--repeats", 7, "--warmups", 4, "--budget", 1, "--output", "run")
    pp("search", dense_file, *options, cwd=tmp_path)
    (baseline,) = trials(tmp_path)
    assert len(baseline.outcome.samples["exec_time"]) == 7
    assert len(baseline.outcome.warmups["exec_time"]) == 4


def test_objectives(dense_file: Path, tmp_path: Path):
    names = "prepare_time,model_rss,cpu_time"
    found = search(dense_file, tmp_path, "--objectives", names)
    assert list(found["objectives"]) == names.split(",")
    assert list(found["front"][0]["values"]) == names.split(",")


def test_threads_are_told_and_recorded(dense_file: Path, tmp_path: Path):
    found = search(dense_file, tmp_path, "--threads", 2, "--budget", 1)
    assert "NUM_THREADS=2" in found["baseline"]["configuration"]
    assert read(tmp_path / "run").header.plan.threads == 2


def test_input_is_what_is_measured_with(dense_file: Path, tmp_path: Path):
    digests = set()
    for number, value in enumerate((0.0, 1.0)):
        np.save(tmp_path / "x.npy", np.full((1, 16), value, np.float32))
        run = f"run{number}"
        options = ("--input", "x.npy", "--budget", 1, "--output", run)
        pp("search", dense_file, *QUICK, *options, cwd=tmp_path)
        digests.add(read(tmp_path / run).header.plan.input_digest)
    assert len(digests) == 2
    np.save(tmp_path / "x.npy", np.zeros((1, 3), np.float32))
    text = pp_error("search", dense_file, "--input", "x.npy", cwd=tmp_path)
    assert "has shape (1, 3), input 'input' has (1, 16)" in text


def wrong_ids(tmp_path: Path) -> list[int]:
    recording = read(tmp_path / "run")
    return sorted(
        recording.header.space.id_of(t.assignment)
        for t in recording.trials
        if isinstance(t.outcome, Failure) and t.outcome.kind is FailureKind.WRONG_OUTPUT
    )


def test_wrong_outputs_are_failures(tmp_path: Path):
    model = tmp_path / "shared.tflite"
    model.write_bytes(build(shared_biases()))
    found = search(model, tmp_path, "--granularity", "operation", "--sampler", "exhaustive")
    # Where both biases have to be copied to the same backend, the second copy is of the first.
    assert wrong_ids(tmp_path) == [0b0011, 0b1100]
    (failure,) = found["failures"]["wrong_output"]
    assert "differs from the baseline's by up to" in failure["message"]
    assert {"3", "12"}.isdisjoint(row["id"] for row in found["front"])


def test_tolerance_decides_what_is_wrong(tmp_path: Path):
    model = tmp_path / "shared.tflite"
    model.write_bytes(build(shared_biases()))
    search(model, tmp_path, "--granularity", "operation", "--tolerance", 0.5)
    assert wrong_ids(tmp_path) == []


def test_a_baseline_whose_outputs_tell_nothing_is_noted(tmp_path: Path):
    spec = dense(layers=1)
    for tensor in spec.tensors:
        if tensor.data is not None:
            tensor.data = np.zeros_like(tensor.data)
    model = tmp_path / "zeros.tflite"
    model.write_bytes(build(spec))
    note, other = search(model, tmp_path, "--budget", 1)["notes"]
    assert "another input gives the outputs of the baseline, too" in other
    assert "output 0 of the baseline is the same everywhere" in note


def test_a_baseline_that_does_not_mind_its_input_is_noted(dense_file: Path, tmp_path: Path):
    """Weights of zero behind a bias that tells: outputs differ, and prove nothing."""
    spec = dense(layers=1)
    for tensor in spec.tensors:
        if tensor.data is not None and len(tensor.shape) > 1:
            tensor.data = np.zeros_like(tensor.data)
    model = tmp_path / "deaf.tflite"
    model.write_bytes(build(spec))
    words = "another input gives the outputs of the baseline, too"
    (note,) = search(model, tmp_path, "--budget", 1)["notes"]
    assert words in note
    found = pp_json("doctor", "--model", model, "--processes", 6, cwd=tmp_path)
    assert any(words in text for text in found["advice"])
    assert search(dense_file, tmp_path, "--budget", 1, "--output", "other")["notes"] == []


def test_a_telling_baseline_is_not_noted(mobilenet_file: Path, tmp_path: Path):
    assert search(mobilenet_file, tmp_path, "--budget", 1)["notes"] == []


def test_the_time_limit_is_a_failure_of_the_target_when_it_hits_the_baseline(
    mobilenet_file: Path, tmp_path: Path
):
    text = pp_error(
        "search",
        mobilenet_file,
        "--time-limit",
        "0.2s",
        "--repeats",
        10_000,
        cwd=tmp_path,
        status=3,
    )
    assert "the baseline itself fails: timed_out: the time limit passed" in text


def test_the_memory_limit_is_told(mobilenet_file: Path, tmp_path: Path):
    text = pp_error("search", mobilenet_file, "--memory-limit", "3MB", cwd=tmp_path, status=3)
    assert "out_of_memory" in text


def test_a_library_of_ones_own(dense_file: Path, tmp_path: Path):
    # A copy elsewhere is as good as the wheel's; without ruy beside it there is no ruy.
    shutil.copytree(wheel_library().parent, tmp_path / "onert")
    (tmp_path / "onert" / "nnfw" / "backend" / "libbackend_ruy.so").unlink()
    library = tmp_path / "onert" / "libonert.so"
    assert search(dense_file, tmp_path, "--onert-library", library)["backends"] == ["cpu"]
    options = ("--onert-library", library, "--backends", "cpu,ruy")
    text = pp_error("search", dense_file, *options, cwd=tmp_path)
    assert "has no backend ruy, it has cpu" in text


def test_a_library_that_is_no_onert(dense_file: Path, tmp_path: Path):
    (tmp_path / "fake.so").write_bytes(b"not an ELF")
    text = pp_error("search", dense_file, "--onert-library", "fake.so", cwd=tmp_path, status=3)
    assert "fake.so: not usable" in text


def test_dumpfile_is_the_seeds_format(dense_file: Path, tmp_path: Path):
    search(dense_file, tmp_path, "--dumpfile", "Dump.json")
    dump = json.loads((tmp_path / "Dump.json").read_text())
    assert list(dump) == ["configs", "oplist", "solutions", "mode"]
    assert pp_json("show", "Dump.json", cwd=tmp_path)["measured"] == len(dump["solutions"])


def test_an_nnpackage_brings_its_inputs(dense_file: Path, tmp_path: Path):
    import h5py

    package = tmp_path / "dense_package"
    (package / "metadata" / "tc").mkdir(parents=True)
    (package / "metadata" / "MANIFEST").write_text('{"models": ["dense.tflite"]}')
    shutil.copy(dense_file, package / "dense.tflite")
    search(package, tmp_path, "--budget", 1)
    random = read(tmp_path / "run").header.plan.input_digest
    with h5py.File(package / "metadata" / "tc" / "input.h5", "w") as file:
        file.create_group("value")["0"] = np.ones((1, 16), np.float32)
    pp("search", package, "--output", "r2", *QUICK, "--budget", 1, cwd=tmp_path)
    assert read(tmp_path / "r2").header.plan.input_digest != random


def test_several_subgraphs_are_measured_by_name(tmp_path: Path):
    spec = chain(2)
    spec.subgraphs = 2
    model = tmp_path / "two.tflite"
    model.write_bytes(build(spec))
    found = search(model, tmp_path, "--backends", "cpu", "--budget", 1)
    assert found["front"][0]["configuration"].startswith(
        'BACKENDS="cpu" OP_BACKEND_ElementwiseActivation=cpu'
    )
    text = pp_error("search", model, "--granularity", "index", cwd=tmp_path)
    assert "2 subgraphs" in text


def test_thousands_of_operations_are_told_one_by_one(tmp_path: Path):
    model = tmp_path / "long.tflite"
    model.write_bytes(build(chain(2500)))
    found = search(model, tmp_path, "--granularity", "operation", "--budget", 1)
    assert found["variables"] == 2500
    assert found["front"][0]["placement_verified"]


def test_record_then_replay(dense_file: Path, tmp_path: Path):
    once = ("--anchor-every", 0, "--retries", 0)
    options = ("--granularity", "operation", "--allow", "ruy:*", *QUICK, *once)
    whole = pp_json("record", dense_file, "--output", "table", *options, cwd=tmp_path)
    assert whole["trials"] == 64
    for sampler in ("random", "exhaustive"):
        again = pp_json("replay", "table", "--sampler", sampler, cwd=tmp_path)
        assert again["front"] != []
        assert [r["id"] for r in again["front"]] == [r["id"] for r in whole["front"]]
        assert again["hypervolume"] == pytest.approx(whole["hypervolume"])
    # The default sampler ends before its budget where nothing promises anything.
    tenth = ("--sampler", "random", "--budget", 10)
    part = pp_json("replay", "table", *tenth, "--seed", 1, cwd=tmp_path)
    other = pp_json("replay", "table", *tenth, "--seed", 2, cwd=tmp_path)
    assert part["trials"] == other["trials"] == 10
    kept = pp("replay", "table", *tenth, "--seed", 1, "--output", "kept", cwd=tmp_path)
    assert "10 trials on a table of 64 found" in kept.stderr
    assert pp_json("show", "kept", cwd=tmp_path)["front"] == part["front"]
    assert "holds a run already" in pp_error("replay", "table", "--output", "kept", cwd=tmp_path)


def test_a_table_too_large_to_record_is_refused(mobilenet_file: Path, tmp_path: Path):
    options = ("--granularity", "operation")
    text = pp_error("record", mobilenet_file, *options, cwd=tmp_path)
    assert "the space has about 10^10 assignments, at most 1,000,000 are recorded" in text
    assert not (tmp_path / "pareto-runs").exists()


def test_backends_of_a_dump_that_does_not_name_them(tmp_path: Path):
    dump = tmp_path / "dump.json"
    dump.write_text('{"oplist": ["A"], "solutions": [{"memory": 9, "id": 1, "time": 2.0}]}')
    options = ("--backends", "cpu,xnnpack")
    found = pp_json("show", dump, *options, cwd=tmp_path)
    assert found["front"][0]["assignment"] == ["xnnpack"]
    guessed = pp("show", dump, "--json", cwd=tmp_path)
    assert json.loads(guessed.stdout)["front"][0]["assignment"] == ["acl_cl"]
    assert "does not name its backends; taken as cpu, acl_cl" in guessed.stderr
    replayed = pp_json("replay", dump, *options, "--budget", 2, cwd=tmp_path)
    assert replayed["front"][0]["assignment"] == ["xnnpack"]
    exported = pp("export", dump, *options, "--format", "csv", cwd=tmp_path).stdout
    assert exported.splitlines()[1].endswith("xnnpack")


def test_searching_a_huge_space_by_the_clock_shows_no_huge_number(tmp_path: Path):
    model = tmp_path / "long.tflite"
    model.write_bytes(build(chain(2000)))
    options = ("--granularity", "operation", "--allow", "ruy:*", "--time", "0.2s", *QUICK)
    done = pp("search", model, *options, cwd=tmp_path)
    assert max(map(len, done.stderr.splitlines())) < 300
    assert "2000 variables by operation; cpu, ruy\n" in done.stdout
    assert "of about 10^602 assignments" in done.stdout


def test_show_and_export(dense_file: Path, tmp_path: Path):
    options = ("--granularity", "operation", "--allow", "ruy:*", *ONCE, "--sampler", "random")
    found = search(dense_file, tmp_path, *options)
    text = pp("show", "run", cwd=tmp_path).stdout
    for part in ("Front", "baseline", "best uniform", "hypervolume", "NYI", "●", "ship one:"):
        assert part in text
    assert all(str(row["id"]) in text for row in found["front"])
    other = pp_json("show", "run", "--objectives", "cpu_time,model_rss", cwd=tmp_path)
    assert list(other["objectives"]) == ["cpu_time", "model_rss"]

    rows = list(
        csv.DictReader(io.StringIO(pp("export", "run", "--format", "csv", cwd=tmp_path).stdout))
    )
    assert len(rows) == found["trials"] == 64
    assert sum(r["on_front"] == "True" for r in rows) == len(found["front"])
    failed = [r for r in rows if r["failure"]]
    assert all(r["exec_time_ms"] == "" and "NYI" in r["message"] for r in failed)
    assert rows[0]["FullyConnected@0"] == "cpu"

    pp("export", "run", "--format", "parquet", "--output", "run.parquet", cwd=tmp_path)
    table = parquet.read_table(tmp_path / "run.parquet")
    assert table.num_rows == 64
    assert str(table.schema.field("exec_time_ms").type) == "double"
    assert "name a file" in pp_error("export", "run", "--format", "parquet", cwd=tmp_path)

    exported = json.loads(pp("export", "run", "--format", "json", cwd=tmp_path).stdout)
    assert exported == pp_json("show", "run", cwd=tmp_path)


def test_export_seed_knows_no_settings(dense_file: Path, tmp_path: Path):
    search(dense_file, tmp_path, "--vary", "executor", "--budget", 2)
    text = pp_error("export", "run", "--format", "seed", cwd=tmp_path)
    assert "knows no settings" in text
    shutil.rmtree(tmp_path / "run")
    search(dense_file, tmp_path, "--budget", 2)
    dump = json.loads(pp("export", "run", "--format", "seed", cwd=tmp_path).stdout)
    assert dump["mode"] == "name"


@pytest.mark.thorough
def test_ids_of_ten_thousand_bits_are_shown_and_exported(tmp_path: Path):
    model = tmp_path / "long.tflite"
    model.write_bytes(build(chain(16_000)))
    options = ("--granularity", "operation", "--allow", "ruy:*", "--budget", 2)
    found = search(model, tmp_path, *options)
    assert len(found["space_size"]) == 4817
    rows = list(
        csv.DictReader(io.StringIO(pp("export", "run", "--format", "csv", cwd=tmp_path).stdout))
    )
    assert len(rows[1]["id"]) == 4817


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("search", "absent.tflite"), "absent.tflite: cannot be read"),
        (("search", "broken.tflite"), "broken.tflite: 3 bytes are no model"),
        (("inspect", "broken.tflite"), "broken.tflite: 3 bytes are no model"),
        (("inspect", "/proc"), "is a folder without metadata/MANIFEST"),
        (("search", "swish.tflite"), "onert cannot load @2 HARD_SWISH"),
        (("search", "ok.tflite", "--sampler", "oracle"), "expected one of exhaustive, hlps"),
        (("search", "ok.tflite", "--vary", "turbo"), "expected one of threads"),
        (("search", "ok.tflite", "--objectives", "speed,max_rss"), "expected one of exec_time"),
        (("search", "ok.tflite", "--time", "soon"), "expected something like 90s"),
        (("search", "ok.tflite", "--time-limit", "0"), "at most 1000h"),
        (("search", "ok.tflite", "--memory-limit", "lots"), "expected something like 300MB"),
        (("search", "ok.tflite", "--allow", "ruy"), "expected BACKEND:OPERATION"),
        (("search", "ok.tflite", "--oplist", "absent.json"), "absent.json: cannot be read"),
        (("search", "ok.tflite", "--input", "absent.npy"), "absent.npy: there is no such file"),
        (("search", "ok.tflite", "--onert-library", "absent.so"), "no library that can be read"),
        (("show", "absent"), "absent: there is no such file or folder"),
        (("show", "broken.tflite"), "nor a result dump"),
        (("replay", "absent"), "absent: there is no such file or folder"),
        (("export", "absent", "--format", "csv"), "absent: there is no such file or folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(tmp_path: Path, arguments, found: str):
    (tmp_path / "broken.tflite").write_bytes(b"abc")
    (tmp_path / "ok.tflite").write_bytes(build(chain(2)))
    spec = chain(3)
    spec.operations = [*spec.operations[:2], OperationSpec(HARD_SWISH, (2,), (3,))]
    (tmp_path / "swish.tflite").write_bytes(build(spec))
    assert found in pp_error(*arguments, cwd=tmp_path)


def test_backends_that_are_not_there_are_bad_input(dense_file: Path, tmp_path: Path):
    text = pp_error("search", dense_file, "--backends", "cpu,acl_cl", cwd=tmp_path)
    assert "has no backend acl_cl, it has cpu, ruy" in text


@pytest.mark.parametrize(
    "name", ["a b.tflite", "$(id).tflite", "'.tflite", "-x.tflite", "ü.tflite"]
)
def test_hostile_file_names(dense_file: Path, tmp_path: Path, name: str):
    folder = tmp_path / "odd"
    folder.mkdir()
    shutil.copy(dense_file, folder / name)
    found = pp_json("search", f"./{name}", *QUICK, "--budget", 1, cwd=folder)
    assert found["model"] == name.removesuffix(".tflite")


def test_a_crash_of_the_runtime_is_the_baselines_failure(tmp_path: Path):
    # A convolution without weights: whatever onert makes of it, it is told in one line.
    spec = chain(1)
    spec.operations = [OperationSpec(CONV_2D, (0,), (1,))]
    model = tmp_path / "senseless.tflite"
    model.write_bytes(build(spec))
    assert "the baseline itself fails" in pp_error("search", model, cwd=tmp_path, status=3)


def test_inspect(mobilenet_file: Path, tmp_path: Path):
    text = " ".join(pp("inspect", mobilenet_file, cwd=tmp_path).stdout.split())
    for part in ("65 operations", "74 edges", "DepthwiseConv2D", "10 ADD", "acl_neon", "index"):
        assert part in text
    assert "a device has some of them; name --backends" in text
    assert "@64" not in text
    assert "@64" in pp("inspect", mobilenet_file, "--operations", cwd=tmp_path).stdout
    found = pp_json("inspect", mobilenet_file, "--backends", "cpu,ruy", cwd=tmp_path)
    assert found["spaces"]["name"] == {"variables": 6, "size": "4", "ids": "64"}
    assert found["spaces"]["operation"]["ids"] == str(2**65)
    assert len(found["operations"]) == 65
    assert found["operations"][0]["inputs"][0]["bytes"] == 4 * 96 * 96 * 3
    assert len(found["edges"]) == 74
    assert set(found["edges"][0]) == {"producer", "consumer", "tensor", "size_bytes"}
    rows = {row["name"]: row["supported"] for row in found["operation_names"]}
    assert rows["Conv2D"] == {"cpu": 35, "ruy": 35}
    assert rows["Softmax"] == {"cpu": 1, "ruy": 0}
    options = ("--backends", "cpu,ruy", "--allow", "ruy:Softmax", "--forbid", "ruy:Conv2D")
    corrected = pp_json("inspect", mobilenet_file, *options, cwd=tmp_path)
    rows = {row["name"]: row["supported"]["ruy"] for row in corrected["operation_names"]}
    assert (rows["Softmax"], rows["Conv2D"]) == (1, 0)


def test_inspect_names_what_cannot_be_loaded(tmp_path: Path):
    spec = chain(3)
    spec.operations = [*spec.operations[:2], OperationSpec(HARD_SWISH, (2,), (3,))]
    model = tmp_path / "swish.tflite"
    model.write_bytes(build(spec))
    text = pp("inspect", model, cwd=tmp_path).stdout
    assert "onert cannot load @2 HARD_SWISH: onert's loader has no operation" in text
    assert pp_json("inspect", model, cwd=tmp_path)["unloadable"][0]["index"] == 2


def test_help_and_version(tmp_path: Path):
    assert pp("--version", cwd=tmp_path).stdout.startswith("pareto-profiler 0.")
    for command in ("inspect", "search", "record", "replay", "show", "export"):
        assert "Usage" in pp(command, "--help", cwd=tmp_path).stdout
