"""LiteRT as a user meets it: placed per operation, read back in every process, shipped."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from build_model import (
    FLOAT32,
    GATHER,
    INT32,
    TANH,
    ModelSpec,
    OperationSpec,
    TensorSpec,
    build,
    chain,
    looping,
)
from conftest import MODELS
from e2e.command import JUDGED, command, pp, pp_error, pp_json

from pareto_profiler.runtimes.litert.installation import WHEEL
from pareto_profiler.storage.journal import read

MODEL = MODELS / "mobilenet_v2_035_96.tflite"
QUICK = ("--repeats", 5, "--warmups", 1, "--retries", 0, "--no-confirm")
BY_OPERATION = ("--runtime", "litert", "--granularity", "operation", *QUICK)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search whose assignments mix both backends."""
    folder = tmp_path_factory.mktemp("litert") / "run"
    pp("search", MODEL, *BY_OPERATION, "--budget", 14, "--output", folder, cwd=folder.parent)
    return folder


def a_mix(run: Path) -> str:
    """The id of a measured assignment that uses both backends."""
    recording = read(run)
    space = recording.header.space
    mixed = [
        t.assignment
        for t in recording.trials
        if len(set(t.assignment)) > 1 and hasattr(t.outcome, "samples")
    ]
    return str(space.id_of(mixed[0]))


def test_a_search_places_each_operation_and_reads_it_back(run: Path, tmp_path: Path):
    recording = read(run)
    header = recording.header
    assert header.runtime.startswith("litert 2.")
    assert header.space.backends == ("xnnpack", "builtin")
    assert header.traits is not None
    assert header.traits.is_partitioned
    measured = [t for t in recording.trials if hasattr(t.outcome, "samples")]
    # What a delegate does not take is a failure: those with figures ran as they were asked to.
    assert len({t.assignment for t in measured}) >= 6
    assert all(t.outcome.output_error < 1e-3 for t in measured)
    assert recording.placements
    assert not any(p.mismatches for p in recording.placements)
    shown = pp_json("show", run, cwd=tmp_path)
    # Memory repeats to a page or two: builtin kernels pack no weights.
    by_backend = {
        t.assignment[0]: t.outcome.samples["max_rss"][0]
        for t in measured
        if len(set(t.assignment)) == 1
    }
    assert by_backend["builtin"] < by_backend["xnnpack"]
    assert all(
        "xnnpack" in r["configuration"] or "builtin" in r["configuration"] for r in shown["front"]
    )


def test_a_profile_tells_each_operations_time(tmp_path: Path):
    found = pp_json("trace", MODEL, "--runtime", "litert", "--repeats", 5, cwd=tmp_path)
    for backend in ("xnnpack", "builtin"):
        times = found["profiles"][backend]["operations"]
        assert [t["index"] for t in times] == list(range(len(found["operations"])))
        assert {t["backend"] for t in times} == {backend}
        assert 0 < sum(t["seconds"] for t in times) < 1


def gathering() -> bytes:
    """XNNPACK has no GATHER."""
    tensors = [
        TensorSpec((8, 4)),
        TensorSpec((3,), INT32, np.int32([1, 5, 2])),
        TensorSpec((3, 4), FLOAT32),
        TensorSpec((3, 4), FLOAT32),
    ]
    operations = [OperationSpec(GATHER, (0, 1), (2,)), OperationSpec(TANH, (2,), (3,))]
    return build(ModelSpec(tensors, operations, (0,), (3,)))


def test_what_a_backend_does_not_take_is_asked_for_and_not_tried(tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(gathering())
    search = ("search", "m.tflite", "--runtime", "litert", *QUICK)
    found = pp_json(*search, "--output", "a", cwd=tmp_path)
    assert found["front"]
    checked = pp_json("target", "check", "local", "m.tflite", "--runtime", "litert", cwd=tmp_path)
    assert "did not take @0 GATHER" in checked["refusals"]["xnnpack"]["GATHER"]
    assert not checked["refusals"]["xnnpack"]["TANH"]
    space = read(tmp_path / "a").header.space
    assert {v.name: v.feasible for v in space.variables} == {
        "GATHER": ("builtin",),
        "TANH": ("xnnpack", "builtin"),
    }
    # Tried all the same it is a failure that names the operation.
    pp(
        *search,
        "--allow",
        "xnnpack:GATHER",
        "--backends",
        "builtin,xnnpack",
        "--output",
        "b",
        cwd=tmp_path,
    )
    failures = [t.outcome for t in read(tmp_path / "b").trials if hasattr(t.outcome, "kind")]
    assert failures
    assert "xnnpack did not take @0 GATHER: they fell to builtin" in failures[0].message
    assert failures[0].kind == "rejected"


def test_a_cache_of_weights_takes_them_out_of_memory(tmp_path: Path):
    options = ("--runtime", "litert", "--vary", "weight_cache", "--backends", "xnnpack", *QUICK)
    pp("search", MODEL, *options, "--output", "run", cwd=tmp_path)
    by_cache = {
        t.assignment[-1]: t.outcome.samples["rss_anon"][0]
        for t in read(tmp_path / "run").trials
        if hasattr(t.outcome, "samples")
    }
    assert by_cache["on"] < by_cache["off"] - 1e6


def test_backends_on_request_are_used_where_they_are_named(tmp_path: Path):
    options = ("--runtime", "litert", "--backends", "xnnpack,xnnpack-lean,builtin", *QUICK)
    pp("search", MODEL, *options, "--budget", 6, "--output", "run", cwd=tmp_path)
    trials = [t for t in read(tmp_path / "run").trials if hasattr(t.outcome, "samples")]
    assert any("xnnpack-lean" in t.assignment for t in trials)
    text = pp_error("search", MODEL, "--runtime", "litert", "--backends", "gpu", cwd=tmp_path)
    assert "has no backend gpu, it has xnnpack, builtin, xnnpack-lean, xnnpack-fp16" in text


def stub(folder: Path, code: str) -> Path:
    """A small library."""
    (folder / "stub.c").write_text(code)
    compiler = [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-o"]
    subprocess.run([*compiler, str(folder / "libLiteRt.so"), str(folder / "stub.c")], check=True)
    return folder / "libLiteRt.so"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("int other(void) { return 0; }", "no symbol LiteRtCreateEnvironment: versions 2.1.6"),
        ("int LiteRtCreateEnvironment(void) { return 0; }", "versions 2.1.6 to 2.3.0 are known"),
    ],
)
def test_a_library_of_another_version_is_one_line(tmp_path: Path, code: str, words: str):
    library = stub(tmp_path, code)
    done = pp("search", MODEL, "--runtime", "litert", "--library", library, cwd=tmp_path, status=3)
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_cannot_be_used_is_one_line(tmp_path: Path):
    missing = pp_error("search", MODEL, "--runtime", "litert", "--library", "/none", cwd=tmp_path)
    assert "/none: no library that can be read" in missing
    (tmp_path / "m.circle").write_bytes(build(chain(2)).replace(b"TFL3", b"CIR0"))
    text = pp_error("search", "m.circle", "--runtime", "litert", cwd=tmp_path)
    assert "circle, which litert does not read" in text
    text = pp_error("search", MODEL, "--runtime", "tvm", cwd=tmp_path)
    assert "runtime 'tvm': expected one of onert, litert" in text


@pytest.mark.parametrize("form", ["json", "c", "python"])
def test_what_ships_does_what_was_measured(run: Path, tmp_path: Path, form: str):
    # Whether both are as fast as each other is the machine's affair.
    options = ("--format", form, "--output", "out")
    words = ("deploy", run, a_mix(run), *options, "--json")
    told = pp(*words, cwd=tmp_path, status=(0, 1, 3)).stdout
    found = json.loads(told)["verified"][0]
    assert found["mismatches"] in ([], None)
    assert found["exec_time_ms"]


MAIN = """
#include <stdint.h>
extern int pareto_place(void *, void *);
typedef struct { int64_t tag, kind, value; } option;
int main(int argc, char **argv) {
  void *library = dlopen(argv[1], RTLD_NOW), *env, *model, *options, *opaque, *compiled;
  int gpu = argc > 3;
  option told[] = {{24, 2, gpu ? 2 : 0}, {25, 2, 3}, {22, 8, gpu ? (int64_t)argv[3] : 0}};
  pareto_library = library;
  if (argc < 3 ||
      PARETO_CALL((int, option *, void **), "CreateEnvironment", gpu ? 3 : 2, told, &env) ||
      pareto_place(library, env) ||
      PARETO_CALL((void *, char *, void **), "CreateModelFromFile", env, argv[2], &model) ||
      PARETO_CALL((void **), "CreateOptions", &options) ||
      PARETO_CALL((void *, int), "SetOptionsHardwareAccelerators", options, gpu ? 3 : 1) ||
      PARETO_CALL((const char *, const char *, void (*)(void *), void **), "CreateOpaqueOptions",
                  "xnnpack", "num_threads = 1\\n", pareto_keep, &opaque) ||
      PARETO_CALL((void *, void *), "AddOpaqueOptions", options, opaque))
    return 1;
  /* Twice: an application may compile more than one model. */
  for (int i = 0; i < 2; i++)
    if (PARETO_CALL((void *, void *, void *, void **), "CreateCompiledModel", env, model, options,
                    &compiled))
      return 1;
  printf("%d sets, %d prepared\\n", PARETO_SETS, pareto_made[PARETO_SETS - 1].subgraphs);
  fflush(stdout);
  _Exit(0);
}
"""


def placed_by_the_c_file(
    run: Path, point: object, tmp_path: Path, *gpu: Path, model: Path = MODEL
) -> str:
    """What an application of it says that was compiled without a warning."""
    pp("deploy", run, point, "--format", "c", "--no-verify", "--output", "p.c", cwd=tmp_path)
    program = tmp_path / "main.c"
    program.write_text('#include "p.c"\n' + MAIN)
    compiler = [sys.executable, "-m", "ziglang", "cc", "-Wall", "-Wextra", "-std=gnu23"]
    subprocess.run([*compiler, "-o", str(tmp_path / "main"), str(program), "-ldl"], check=True)
    words = [tmp_path / "main", WHEEL.here(), model, *gpu]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def distance_of_the_python_module(run: Path, point: object, tmp_path: Path) -> float:
    """Between its outputs and the wheel's interpreter's."""
    deploy = ("deploy", run, point, "--format", "python", "--no-verify", "--output", "p.py")
    pp(*deploy, cwd=tmp_path)
    script = (
        "import numpy as np, os, p\n"
        "x = np.random.default_rng(1).random((1, 96, 96, 3), np.float32)\n"
        "a, b = p.Placed().run([x])[0], None\n"
        "from ai_edge_litert.interpreter import Interpreter\n"
        "i = Interpreter(p.MODEL); i.allocate_tensors()\n"
        "i.set_tensor(i.get_input_details()[0]['index'], x); i.invoke()\n"
        "b = i.get_tensor(i.get_output_details()[0]['index'])\n"
        "print(float(abs(a - b).max()), flush=True); os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def test_the_c_file_compiles_without_a_warning_and_places(run: Path, tmp_path: Path):
    assert placed_by_the_c_file(run, a_mix(run), tmp_path) == "1 sets, 1 prepared"


def test_the_python_module_gives_the_models_outputs(run: Path, tmp_path: Path):
    assert distance_of_the_python_module(run, a_mix(run), tmp_path) < 1e-5


ON_GPU = ("--runtime", "litert", "--backends", "xnnpack,builtin,webgpu", *QUICK)
x86_64_alone = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="Chromium's Vulkan device is tried on x86_64 alone"
)


@x86_64_alone
@pytest.mark.usefixtures("software_vulkan")
def test_operations_go_to_the_gpu_and_ship(tmp_path: Path):
    given = ("--repeats", 1, "--warmups", 0, "--sampler", "random", "--budget", 5, "--seed", 1)
    pp("search", MODEL, *ON_GPU, *given, "--output", "run", cwd=tmp_path)
    run = tmp_path / "run"
    recording = read(run)
    trials = [t for t in recording.trials if hasattr(t.outcome, "samples")]
    mixed = [t.assignment for t in trials if set(t.assignment) == {"xnnpack", "builtin", "webgpu"}]
    assert mixed
    # What is computed elsewhere differs in the last bits.
    errors = {t.assignment: t.outcome.output_error for t in trials}
    assert 0 < errors[mixed[0]] < 1e-3
    assert len(trials) == len(recording.trials)
    point = str(recording.header.space.id_of(mixed[0]))
    library = WHEEL.here().parent
    assert placed_by_the_c_file(run, point, tmp_path, library) == "2 sets, 1 prepared"
    assert distance_of_the_python_module(run, point, tmp_path) < 1e-3
    shipped = ("deploy", run, point, "--format", "json", "--output", "a.json")
    done = pp(*shipped, cwd=tmp_path, status=JUDGED)
    assert "where it was measured" in " ".join(done.stdout.split())


@x86_64_alone
@pytest.mark.usefixtures("software_vulkan")
def test_what_the_gpu_takes_is_asked_for(tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(gathering())
    pp("search", "m.tflite", *ON_GPU, "--budget", 2, "--output", "run", cwd=tmp_path)
    space = read(tmp_path / "run").header.space
    assert {v.name: v.feasible for v in space.variables} == {
        "GATHER": ("builtin", "webgpu"),
        "TANH": ("xnnpack", "builtin", "webgpu"),
    }


def test_a_gpu_that_cannot_be_used_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "none.json"))
    words = pp_error("search", MODEL, *ON_GPU, "--budget", 2, cwd=tmp_path, status=3)
    assert "litert has webgpu, but cannot use it here: Failed to " in words
    assert "No adapters" in words


def test_a_library_without_the_gpus_does_not_offer_it(tmp_path: Path):
    (tmp_path / "alone").mkdir()
    shutil.copy(WHEEL.here(), tmp_path / "alone")
    given = (*ON_GPU, "--library", tmp_path / "alone", "--budget", 2)
    words = pp_error("search", MODEL, *given, cwd=tmp_path, status=2)
    assert "no backend webgpu, it has xnnpack, builtin, xnnpack-lean, xnnpack-fp16" in words


def test_operations_of_loops_are_placed_by_subgraph_and_operation(tmp_path: Path):
    """A subgraph that nothing runs stands before condition and body."""
    (tmp_path / "m.tflite").write_bytes(build(looping(extra=True)))
    np.savez(tmp_path / "x.npz", count=np.int32([0]), row=np.ones((1, 64), "f4"))
    given = ("--input", "x.npz", "--sampler", "exhaustive", "--budget", 12, "--output", "run")
    pp("search", "m.tflite", *BY_OPERATION, *given, cwd=tmp_path)
    recording = read(tmp_path / "run")
    space, graph = recording.header.space, recording.header.graph
    assert {v.name: v.feasible for v in space.variables} == {
        "TANH@1": ("xnnpack", "builtin"),
        "LESS@2": ("builtin",),
        "ADD@3": ("builtin",),
        "FULLY_CONNECTED@4": ("xnnpack", "builtin"),
        "TANH@5": ("xnnpack", "builtin"),
    }
    assert [graph.place_of(o) for o in range(6)] == [(0, 0), (0, 1), (2, 0), (3, 0), (3, 1), (3, 2)]
    measured = {t.assignment: t for t in recording.trials if hasattr(t.outcome, "samples")}
    assert set(measured) == {a for a in space if space.is_feasible(a)}
    # What runs in the body shows in the last bits.
    inside = ("builtin", "builtin", "builtin", "xnnpack", "xnnpack")
    errors = [measured[a].outcome.output_error for a in (inside, space.uniforms()[1])]
    assert errors[0] == 0 < errors[1] < 1e-5
    assert recording.placements
    assert not any(p.mismatches for p in recording.placements)
    point = str(space.id_of(inside))
    words = placed_by_the_c_file(tmp_path / "run", point, tmp_path, model=tmp_path / "m.tflite")
    assert words == "1 sets, 4 prepared"
    deploy = ("deploy", "run", point, "--no-verify", "--format")
    pp(*deploy, "json", "--output", "a.json", cwd=tmp_path)
    assert json.loads((tmp_path / "a.json").read_text())["sets"][0]["operations"] == "3:1-2"
    pp(*deploy, "python", "--output", "p.py", cwd=tmp_path)
    script = (
        "import numpy as np, os, p\n"
        "inputs = [np.int32([0]), np.ones((1, 64), np.float32)]\n"
        "print(p.SETS[0][1], p.Placed().run(inputs)[0].shape, flush=True); os._exit(0)\n"
    )
    ended = [sys.executable, "-c", script]
    done = subprocess.run(ended, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "3:1-2 (1, 64)\n"


def test_a_profile_of_a_loop_is_of_the_main_subgraph(tmp_path: Path):
    """There is no room for the events of all its rounds."""
    (tmp_path / "m.tflite").write_bytes(build(looping()))
    trace = ("trace", "m.tflite", "--runtime", "litert", "--backends", "builtin")
    times = pp_json(*trace, cwd=tmp_path)["profiles"]["builtin"]["operations"]
    assert [t["index"] for t in times] == [0, 1]


def test_a_search_goes_on_where_it_was_ended(tmp_path: Path):
    options = ("search", MODEL, *BY_OPERATION, "--output", "run")
    pp(*options, "--budget", 4, cwd=tmp_path)
    done = pp(*options, "--budget", 6, cwd=tmp_path)
    assert "going on in run: 4 trials are there" in done.stderr
    assert len(read(tmp_path / "run").trials) == 6
    other = pp(
        "search", MODEL, "--granularity", "operation", "--output", "run", cwd=tmp_path, status=2
    )
    assert "runtime litert" in other.stderr


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search over both runtimes."""
    folder = tmp_path_factory.mktemp("joint") / "run"
    options = ("--runtime", "litert,onert", *QUICK, "--budget", 16, "--output", folder)
    pp("search", MODEL, *options, cwd=folder.parent)
    return folder


def test_several_runtimes_have_one_front(joint: Path, tmp_path: Path):
    assert sorted(path.name for path in joint.iterdir()) == ["litert", "onert", "report.html"]
    shown = pp_json("show", joint, cwd=tmp_path)
    assert list(shown["runs"]) == ["litert", "onert"]
    assert shown["objectives"] == ["exec_time", "model_rss"]
    assert sum(len(read(joint / name).trials) for name in ("litert", "onert")) <= 16
    # LiteRT's own kernels are faster than onert's on any PC.
    assert any(point["runtime"] == "litert" for point in shown["front"])
    assert all(point["name"].startswith(f"{point['runtime']}:") for point in shown["front"])
    text = pp("show", joint, cwd=tmp_path).stdout
    assert "Joint front" in text
    assert shown["front"][0]["name"].split(":")[0] in text
    assert pp_json("show", joint / "litert", cwd=tmp_path)["front"]


def test_a_point_of_a_joint_front_ships_and_other_commands_ask_for_one_run(
    joint: Path, tmp_path: Path
):
    point = next(
        p for p in pp_json("show", joint, cwd=tmp_path)["front"] if p["runtime"] == "litert"
    )
    options = ("--no-verify", "--format", "json", "--output", "out.json")
    pp("deploy", joint, point["name"], *options, cwd=tmp_path)
    assert json.loads((tmp_path / "out.json").read_text())["id"] == point["id"]
    assert "(id " in pp("explain", joint, point["name"], cwd=tmp_path).stdout
    first = pp_json("show", joint, cwd=tmp_path)["front"][0]
    explained = pp_json("explain", joint, "A", cwd=tmp_path)
    assert explained["id"] == first["id"]
    text = pp_error("deploy", joint, point["id"], cwd=tmp_path)
    assert "name a point as onert:ID, litert:ID" in text
    text = pp_error("learned", joint, cwd=tmp_path)
    assert "holds runs of several runtimes: name one of" in text
    pp("report", joint, "--output", "joint.html", cwd=tmp_path)
    page = (tmp_path / "joint.html").read_text(encoding="utf-8")
    assert f"deploy {joint} A" in page


def test_what_fits_a_goal_is_selected_over_all_runtimes(joint: Path, tmp_path: Path):
    shown = pp_json("show", joint, cwd=tmp_path)
    fastest = pp_json("select", joint, cwd=tmp_path)["selected"]
    assert fastest["name"] == shown["front"][0]["name"]
    limit = f"{shown['front'][0]['values']['exec_time']}ms"
    within = pp_json("select", joint, "--max-time", limit, cwd=tmp_path)["selected"]
    assert within["name"] == fastest["name"]
    assert (
        f"A ({fastest['name']}): the smallest exec_time" in pp("select", joint, cwd=tmp_path).stdout
    )


def test_the_joint_front_fits_on_a_screen_and_says_what_to_do_next(joint: Path, tmp_path: Path):
    lines = pp("show", joint, cwd=tmp_path).stdout.splitlines()
    assert len(lines) <= 40
    table, after = lines[: lines.index("")], lines[len(lines) - lines[::-1].index("") :]
    assert max(map(len, lines[: -len(after)])) <= 80
    told = dict(line.split(":", 1) for line in after if not line.startswith("be surer"))
    name = told["ship one"].rsplit(" ", 1)[1]
    assert any(line.startswith(f"{name}  ") for line in lines)
    assert told["understand"].endswith(f"explain {joint} {name}")
    assert table[0].endswith(" on local")
    surer = [line.rpartition("/")[2] for line in after if line.startswith("be surer")]
    assert set(surer) <= {"litert", "onert"}


def test_a_search_that_was_killed_goes_on(tmp_path: Path):
    options = ("--runtime", "litert", *QUICK, "--granularity", "operation", "--output", "run")
    words = command("pareto-profiler", "search", MODEL, *options, "--budget", 500)
    began = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    journal, waited_s = tmp_path / "run" / "journal.jsonl", 0.0
    while not journal.exists() or journal.read_bytes().count(b"\n") < 6:
        assert began.poll() is None
        assert waited_s < 60
        time.sleep(0.05)
        waited_s += 0.05
    began.kill()
    began.communicate()
    before = read(tmp_path / "run").trials
    budget = len(before) + 3
    done = pp("search", MODEL, *options, "--budget", budget, cwd=tmp_path)
    assert f"going on in run: {len(before)} trials are there" in done.stderr
    after = read(tmp_path / "run").trials
    assert after[: len(before)] == before
    assert len(after) == budget
    # What the killed search left of its files is gone, too.
    assert not list((tmp_path / "run").glob(".pareto-profiler-work-*"))


def test_a_runtime_that_does_not_take_the_model_is_left_out_and_said(tmp_path: Path):
    (tmp_path / "m.circle").write_bytes(build(chain(2)).replace(b"TFL3", b"CIR0"))
    options = ("--runtime", "litert,onert", *QUICK, "--budget", 8, "--output", "run")
    done = pp("search", "m.circle", *options, cwd=tmp_path)
    assert "litert is left out: m.circle: is of the format circle" in done.stderr
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"onert", "report.html"}
    # What only one can run, and what none can, whichever comes first.
    (tmp_path / "g.tflite").write_bytes(gathering())
    for first, second in (("litert", "onert"), ("onert", "litert")):
        options = ("--runtime", f"{first},{second}", *QUICK, "--budget", 6, "--output", first)
        pp("search", "g.tflite", *options, cwd=tmp_path)
    options = ("--runtime", "litert,onert", "--dumpfile", "d.json")
    assert "name a single --runtime" in pp_error("search", MODEL, *options, cwd=tmp_path)
    text = pp_error("search", MODEL, "--runtime", "litert,litert", cwd=tmp_path)
    assert "one is named twice" in text


def test_time_alone_is_shared_by_the_runtimes(tmp_path: Path):
    options = ("--runtime", "onert,litert", *QUICK, "--time", "4s", "--output", "run")
    pp("search", MODEL, *options, cwd=tmp_path)
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"litert", "onert", "report.html"}
    assert all(read(tmp_path / "run" / name).trials for name in ("litert", "onert"))


def test_what_is_of_one_runtime_is_refused_with_several(run: Path, tmp_path: Path):
    search = ("search", MODEL, "--runtime", "onert,litert")
    text = pp_error(*search, "--library", WHEEL.here(), cwd=tmp_path)
    assert "name them in targets.toml" in text
    assert "holds the run of one runtime" in pp_error(*search, "--output", run, cwd=tmp_path)
    for name in ("litert", "onert"):
        (tmp_path / "empty" / name).mkdir(parents=True)
        journal = (run / "journal.jsonl").read_text().splitlines()[0]
        (tmp_path / "empty" / name / "journal.jsonl").write_text(journal + "\n")
    assert "nothing was measured yet" in pp_error("show", "empty", cwd=tmp_path)


def test_a_targets_own_backends_are_those_of_its_default_runtime(tmp_path: Path):
    (tmp_path / "targets.toml").write_text('[local]\nbackends = ["cpu", "ruy"]\n')
    found = pp_json("target", "check", "local", MODEL, "--runtime", "litert", cwd=tmp_path)
    assert found["problems"] == []
    assert found["offered"][:2] == ["xnnpack", "builtin"]


def test_few_caches_of_weights_are_kept(tmp_path: Path):
    options = ("--vary", "weight_cache", "--sampler", "random", "--budget", 24)
    pp("search", MODEL, *BY_OPERATION, *options, "--output", "run", cwd=tmp_path)
    trials = read(tmp_path / "run").trials
    cached = {t.assignment for t in trials if t.assignment[-1] == "on"}
    assert len(cached) > 6
    assert all(hasattr(t.outcome, "samples") or t.outcome.kind == "rejected" for t in trials)


def test_the_python_module_refuses_what_was_not_measured(run: Path, tmp_path: Path):
    options = ("--format", "python", "--no-verify", "--output", "p.py")
    pp("deploy", run, a_mix(run), *options, cwd=tmp_path)
    other = MODELS / "mobilenet_v1_025_128.tflite"

    def said(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert f"{other}: is not the model that was measured" in said("p.py", str(other))
    newer = "import importlib.metadata as m, p\nm.version = lambda name: '2.9.0'\np.Placed()\n"
    assert "ai-edge-litert 2.9.0: 2.1.6 to 2.3.0 are known to work" in said("-c", newer)
