"""On the emulated board: a real ARM userland, real acl_neon and xnnpack; `make test-board`.

The board is restarted by the last tests, so nothing else may use it meanwhile.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from conftest import MODELS, ROOT
from devices import BOARD, BOARD_ADDRESS, Cable, need_board
from e2e.command import pp, pp_json, run
from rooms import ONERT, onert_space

from pareto_profiler.core.configuration import settings_to_vary
from pareto_profiler.core.front import Front
from pareto_profiler.core.measurement import OBJECTIVES, Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.space import Granularity
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind
from pareto_profiler.runners.inputs import random_inputs
from pareto_profiler.runtimes.onert import installation
from pareto_profiler.runtimes.onert.engine import OnertEngine
from pareto_profiler.shells.ssh import SshShell
from pareto_profiler.storage.journal import JOURNAL, read

pytestmark = pytest.mark.board

MODEL = MODELS / "mobilenet_v2_035_96_logits.tflite"
TABLE = ROOT / "examples" / "tables" / "mobilenet_v2_035_96_logits-emulated_board"
TARGETS = ("--targets", ROOT / "board" / "targets.toml")
BACKENDS = ("--backends", "cpu,acl_neon,xnnpack,ruy")
OBJECTIVE_PAIR = (OBJECTIVES["exec_time"], OBJECTIVES["max_rss"])
# Latencies nearer than this count as equal.
TIE = 1e-3

# Each assignment once.
ONCE = ("--anchor-every", 0, "--retries", 0)


@pytest.fixture(autouse=True)
def _board() -> None:
    need_board()


def restart_board() -> None:
    for verb in ("down", "up"):
        subprocess.run([sys.executable, ROOT / "board" / "board.py", verb], check=True)


@pytest.mark.parametrize("target", ["board", "board-adb"])
def test_one_command_finds_a_front(target: str, tmp_path: Path):
    options = ("--target", target, *TARGETS, "--budget", 16, "--output", "run")
    found = pp_json("search", MODEL, *options, cwd=tmp_path)
    assert len(found["front"]) >= 3
    header = read(tmp_path / "run" / JOURNAL).header
    assert header.runtime == "onert 1.26.0"
    # acl_cl and gpu_cl lie there, without the OpenCL they need.
    assert header.space.backends == ("cpu", "acl_neon", "ruy", "xnnpack")
    assert read(tmp_path / "run" / JOURNAL).placements
    pp("target", "clean", target, *TARGETS, cwd=tmp_path)


@pytest.mark.parametrize("form", ["nnpackage", "env", "api"])
def test_what_ships_does_on_the_board_what_was_measured(form: str, mixed: Path, tmp_path: Path):
    """Onert 1.26 takes all from a package: nothing but the folder is told."""
    recording = read(mixed)
    measured = [t.assignment for t in recording.trials if isinstance(t.outcome, Measurement)]
    mix = min(a for a in measured if len(set(a)) > 1)
    arguments = ("--format", form, *TARGETS, "--output", tmp_path / "it")
    done = pp(*("deploy", mixed, recording.header.space.id_of(mix), *arguments), cwd=tmp_path)
    assert "every operation runs where it was measured" in " ".join(done.stdout.split())
    assert "ignores" not in done.stderr


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short search, with mixes of two backends."""
    folder = tmp_path_factory.mktemp("deploy")
    pp(
        *("search", MODEL, "--target", "board", *TARGETS, "--backends", "cpu,acl_neon"),
        *("--granularity", "operation", "--budget", 8, "--no-confirm", "--output", "run"),
        cwd=folder,
    )
    return folder / "run"


def test_peak_memory_is_at_least_what_is_there(mixed: Path):
    """The board's kernel reports late: its own peak lacks up to 1 MB of it."""
    found = [t.outcome.samples for t in read(mixed).trials if isinstance(t.outcome, Measurement)]
    assert len(found) >= 4
    for samples in found:
        (peak,) = samples["max_rss"]
        (resident,) = (a + f for a in samples["rss_anon"] for f in samples["rss_file"])
        assert resident <= peak < resident + (8 << 20)


def test_a_dozen_measurements_predict_the_others(tmp_path: Path):
    options = ("--target", "board", *TARGETS, "--backends", "cpu,xnnpack,acl_neon", *ONCE)
    measuring = ("--repeats", 2, "--warmups", 1, "--no-confirm", "--output", "run")
    space = ("--granularity", "operation", "--budget", 18)
    found = pp_json("search", MODEL, *options, *measuring, *space, cwd=tmp_path)
    assert sum(t.source == "profile" for t in read(tmp_path / "run").trials) == 3
    learned = pp_json("learned", "run", cwd=tmp_path)
    time = next(s for s in learned["skills"] if s["objective"] == "exec_time")
    assert time["error"] < 0.01
    fastest = min(row["values"]["exec_time"] for row in found["front"])
    assert fastest < found["best_uniform"]["values"]["exec_time"]


def test_check_finds_what_loads_and_what_prepares(tmp_path: Path):
    options = ("--targets", ROOT / "board" / "targets.toml")
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    found = pp_json("target", "check", "board", MODEL, *options, cwd=tmp_path, **cache)
    assert found["loading"] == {
        "cpu": True,
        "acl_cl": False,
        "acl_neon": True,
        "gpu_cl": False,
        "ruy": True,
        "xnnpack": True,
    }
    refused = {
        (backend, name)
        for backend, words in found["refusals"].items()
        for name, text in words.items()
        if text
    }
    assert refused == {
        ("ruy", "DepthwiseConv2D"),
        ("ruy", "BinaryArithmetic"),
        ("ruy", "Reduce"),
        ("xnnpack", "BinaryArithmetic"),
        ("xnnpack", "Reduce"),
    }


@pytest.fixture
def runner() -> Iterator[OnertEngine]:
    shell = SshShell("board", ["-F", str(BOARD / "ssh_config")])
    work = PurePosixPath("/tmp/test-board")
    target = installation.install(shell, work=work, folder=work / "run", library="/opt/one/lib")
    graph = ONERT.read(MODEL).graph
    space = onert_space(
        graph,
        ("cpu", "acl_neon", "xnnpack"),
        Granularity.NAME,
        settings=settings_to_vary(["memory_planner"], 1, 1),
    )
    plan = Plan(repeats=3, warmups=1)
    inputs = random_inputs(graph, 0)
    made = OnertEngine(target, space, plan, graph=graph, model_file=MODEL, inputs=inputs)
    yield made
    made.close()
    shell.remove(work)
    shell.close()


def test_settings_reach_a_runtime_that_ignores_variables_by_the_package(runner: OnertEngine):
    """What Tizen's builds need; here both ways work and must give the same."""
    baseline = runner._space.default

    def peaks() -> list[float]:
        return [
            runner.run((*baseline[:-1], planner)).samples["max_rss"][0]
            for planner in ("WIC", "Bump", "FirstFit")
        ]

    assert runner.reads_environment()
    by_variables = peaks()
    runner._reads_environment = False
    assert peaks() == by_variables
    assert len(set(by_variables)) == 3
    placement = runner.placement(baseline)
    assert placement is not None
    assert placement.mismatches == ()


def test_a_trace_tells_operations_and_copies(runner: OnertEngine):
    mixed = ("acl_neon", "cpu", "acl_neon", "acl_neon", "cpu", "WIC")
    times = runner.trace(mixed)
    own = [time for time in times if time.index < 64]
    assert len(own) == 64
    assert {time.backend for time in own} == {"acl_neon", "cpu"}
    assert {(t.name, t.backend) for t in times if t.index >= 64} == {("Permute", "builtin")}
    assert all(len(time.seconds) == 3 for time in times)


def test_figures_repeat_to_a_thousandth(runner: OnertEngine):
    first, second = (runner.run(runner._space.default) for _ in range(2))
    for objective in OBJECTIVE_PAIR:
        assert first.value(objective) == pytest.approx(second.value(objective), rel=1e-3)


def test_the_seeds_commands_measure_with_the_library_there(tmp_path: Path):
    (tmp_path / "targets.toml").write_text(
        f'[odroid]\naddress = "board"\noptions = ["-F", "{BOARD / "ssh_config"}"]\n'
    )
    run("gen_oplist", MODEL, "odroid", cwd=tmp_path)
    options = ("--backends", "cpu,xnnpack", "--target", "odroid", "--iterations", 3)
    run("random_sampler", MODEL, "/opt/one/lib", *options, cwd=tmp_path)
    dump = json.loads((tmp_path / "random_sampler_profile.json").read_text())
    assert dump["solutions"]


def outcomes(recording: Recording) -> dict[int, Trial]:
    return {recording.header.space.id_of(t.assignment): t for t in recording.trials}


def front_of(recording: Recording) -> list[tuple[float, ...]]:
    """The values on the front, without points that a tie away from them are beaten in memory."""
    front = Front.of(recording.trials, OBJECTIVE_PAIR).trials
    values = [
        tuple(t.outcome.value(o) for o in OBJECTIVE_PAIR)
        for t in front
        if isinstance(t.outcome, Measurement)
    ]
    return [
        (time_s, memory)
        for time_s, memory in values
        if not any(m < memory and t <= time_s * (1 + TIE) for t, m in values)
    ]


def test_a_recording_after_a_restart_is_the_recorded_table(tmp_path: Path):
    restart_board()
    options = ("--target", "board", *TARGETS, *BACKENDS, "--repeats", 5, "--warmups", 2)
    options += ONCE
    pp("record", MODEL, *options, "--output", "run", cwd=tmp_path, limit_s=1200)
    there, now = read(TABLE / JOURNAL), read(tmp_path / "run" / JOURNAL)
    before, after = outcomes(there), outcomes(now)
    assert before.keys() == after.keys()
    assert sum(now.header.space.is_feasible(t.assignment) for t in now.trials) == 192
    wrong = [
        number
        for number, trial in after.items()
        if isinstance(trial.outcome, Failure) and trial.outcome.kind is FailureKind.WRONG_OUTPUT
    ]
    assert len(wrong) == 24
    for number, trial in before.items():
        outcome, again = trial.outcome, after[number].outcome
        if isinstance(outcome, Failure):
            assert isinstance(again, Failure)
            assert again.kind == outcome.kind
            continue
        assert isinstance(again, Measurement)
        time_s, memory = (o for o in OBJECTIVE_PAIR)
        assert again.value(time_s) == pytest.approx(outcome.value(time_s), rel=0.01)
        assert again.value(memory) == pytest.approx(outcome.value(memory), abs=1e6)
    # The same front: each point of one is one of the other, or ties with it.
    first, second = front_of(there), front_of(now)
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one == pytest.approx(other, rel=TIE)


def test_cuts_and_a_restart_in_the_middle_of_a_search(tmp_path: Path):
    """The connection is cut 20 times at random, and the board is killed once: 100 trials."""
    cable = Cable(2222, BOARD_ADDRESS)
    options = ["-F", str(BOARD / "ssh_config"), "-oHostName=127.0.0.1", f"-oPort={cable.port}"]
    options.append(f"-oHostKeyAlias=[{BOARD_ADDRESS}]:2222")
    (tmp_path / "targets.toml").write_text(
        f'[lab]\nshell = "ssh"\naddress = "board"\noptions = {json.dumps(options)}\n'
        f'library = "/opt/one/lib"\npatience_s = 20\n'
    )
    journal = tmp_path / "run" / JOURNAL
    cuts, over = [0], threading.Event()

    def trials() -> int:
        return journal.read_text().count('"record":"trial"') if journal.exists() else 0

    def disturb() -> None:
        generator, is_killed = random.Random(0), False
        while cuts[0] < 20 and not over.wait(generator.uniform(1, 5)):
            if trials() >= 40 and not is_killed:
                restart_board()
                is_killed = True
            cable.cut()
            cuts[0] += 1

    thread = threading.Thread(target=disturb)
    thread.start()
    search = ("search", MODEL, "--target", "lab", *BACKENDS, "--granularity", "index")
    limits = ("--budget", 100, "--repeats", 3, "--warmups", 1, "--output", "run", "--no-confirm")
    began = time.monotonic()
    done = pp(*search, *limits, *ONCE, cwd=tmp_path, limit_s=1200)
    over.set()
    thread.join()
    cable.close()
    kept = read(journal)
    assert len(kept.trials) == len({trial.assignment for trial in kept.trials}) == 100
    assert cuts[0] == 20
    assert done.stderr.count("connected again") >= 20
    print(f"100 trials, {cuts[0]} cuts, a restart: {time.monotonic() - began:.0f} s")
