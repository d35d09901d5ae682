"""What the onert runner makes of the ways a measurement can end, on a shell that plays them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from build_model import build, chain
from rooms import ONERT, onert_graph, onert_space

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import Support
from pareto_profiler.drivers import PROTOCOL
from pareto_profiler.drivers.engine import Driver
from pareto_profiler.errors import ConnectionLostError, FailureKind, RunError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runners.machine import describe
from pareto_profiler.runtimes.onert.engine import OnertEngine
from pareto_profiler.runtimes.onert.installation import offered_backends
from pareto_profiler.shells.base import Completed
from pareto_profiler.shells.local import LocalShell

GRAPH = onert_graph(build(chain(2)), "chain")
SPACE = onert_space(
    GRAPH, ("cpu", "ruy"), Granularity.OPERATION, support=Support.of(table=ONERT, allow=["ruy:*"])
)
OTHER = ("ruy", "cpu")
THREADS = ("NUM_THREADS", "RUY_THREADS", "XNNPACK_THREADS", "OMP_NUM_THREADS")

OPENED = {
    "event": "opened",
    "protocol": PROTOCOL,
    "runtime_version": "1.30.0",
    "addresses": "fixed",
}
OPENED["peak_before_load_kib"] = 5000  # type: ignore[assignment]
LOADED = {"event": "loaded", "load_ns": 1_000_000, "peak_after_load_kib": 5500}
PREPARED = {"event": "prepared", "prepare_ns": 2_000_000, "peak_after_prepare_kib": 6000}
PREPARED["loaded_backends"] = ["cpu", "ruy"]  # type: ignore[assignment]
FIRST_RUN = {"event": "first_run", "first_run_ns": 3_000_000}
OUTPUT = {
    "dtype": "float32",
    "bytes": 16,
    "digest": "00",
    "l2_norm": 1.0,
    "min": 0.0,
    "max": 2.0,
    "nonfinite": 0,
    "reference_bytes": 16,
    "max_abs_error": 0.0,
    "reference_range": 2.0,
    "nonfinite_mismatches": 0,
}


def measured(**changes: object) -> dict:
    return {
        "event": "measured",
        "peak_after_runs_kib": 7000,
        "warmup_wall_ns": [4000],
        "warmup_cpu_ns": [5000],
        "run_wall_ns": [6000, 8000],
        "run_cpu_ns": [7000, 9000],
        "run_delay_ns": [100, 0],
        "run_involuntary_switches": [1, 0],
        "run_milli_cpus_of_others": [250, 0],
        "steal_ns": 0,
        "clock_khz": -1,
        "milli_degrees": 45_500,
        "pss_kib": 5000,
        "rss_anon_kib": 4000,
        "rss_file_kib": -1,
        "outputs": [OUTPUT | changes],
    }


def answer(*events: dict, status: int = 0, stderr: str = "", timed_out: bool = False) -> Completed:
    lines = "".join(json.dumps(event) + "\n" for event in events)
    return Completed(status, lines.encode(), stderr.encode(), timed_out)


GOOD = answer(OPENED, LOADED, PREPARED, FIRST_RUN, measured())


class Scripted:
    """A shell that plays the driver: answers what it was given, writes down what it was asked."""

    is_asked_for_everything = False

    def __init__(self, *answers: Completed) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[list[str], dict[str, str]]] = []

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], time_limit_s: float
    ) -> Completed:
        del time_limit_s
        if "/driver" not in command and not self.is_asked_for_everything:
            return Completed(0, b"a boot id", b"")
        self.asked.append((list(command), dict(environment)))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def push(self, local: Path, remote: PurePosixPath) -> None:
        pass

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        pass

    def remove(self, folder: PurePosixPath) -> None:
        pass

    def close(self) -> None:
        pass


MODEL = Model(Path("chain.tflite"), Path("chain.tflite"), None, GRAPH)


def driver(shell: Scripted) -> Driver:
    return Driver(shell, PurePosixPath("/driver"), PurePosixPath("/libonert.so"))


def runner(
    shell: Scripted,
    space: DecisionSpace = SPACE,
    inputs: Sequence[Array] = (np.zeros((1, 4), np.float32),),
    **plan: object,
) -> OnertEngine:
    return OnertEngine(
        driver(shell),
        PurePosixPath("/w"),
        space,
        Plan(**plan),  # type: ignore[arg-type]
        model=MODEL,
        inputs=inputs,
        reads_environment=True,
    )


def failure(done: Completed) -> RunError:
    with pytest.raises(RunError) as caught:
        runner(Scripted(done)).run(SPACE.default)
    return caught.value


def request_of(command: Sequence[str]) -> dict:
    return json.loads(command[command.index("--request") + 1])


class Losing(Scripted):
    """Loses the connection when another input is pushed, once."""

    losses = 0

    def push(self, local: Path, remote: PurePosixPath) -> None:
        del local
        if remote.name == "other.0" and not self.losses:
            self.losses = 1
            raise ConnectionLostError("lost")


def test_what_is_lost_while_another_input_is_tried_costs_no_measurement():
    shell = Losing(GOOD)
    one = runner(shell, inputs=[np.float32([[1, 2, 3, 4]])])
    assert any("another input gives" in note for note in one.run(SPACE.default).notes)
    assert shell.losses == 1
    requests = [request_of(command) for command, _ in shell.asked if "--request" in command]
    assert sum("warmups" in request for request in requests) == 1


@pytest.mark.parametrize(
    ("done", "kind", "words"),
    [
        (
            answer(
                OPENED,
                LOADED,
                {"event": "refused", "stage": "prepare", "status": 1},
                status=1,
                stderr="[  log ]\nError during model prepare : NYI\n",
            ),
            FailureKind.REJECTED,
            "Error during model prepare : NYI",
        ),
        (
            answer(OPENED, {"event": "refused", "stage": "load", "status": -1}, status=1),
            FailureKind.OUT_OF_MEMORY,
            "load: ",
        ),
        (
            answer(OPENED, LOADED, PREPARED, status=-11, stderr="last words"),
            FailureKind.CRASHED,
            "ended by SIGSEGV during the first run: last words",
        ),
        (
            answer(OPENED, status=-6, stderr="terminate called: std::bad_alloc"),
            FailureKind.OUT_OF_MEMORY,
            "ended by SIGABRT during load, memory ran out",
        ),
        (answer(OPENED, LOADED, status=-9), FailureKind.OUT_OF_MEMORY, "SIGKILL during prepare"),
        (answer(status=77), FailureKind.CRASHED, "exit status 77 during opening the runtime"),
        (answer(OPENED, status=-70), FailureKind.CRASHED, "ended by signal 70"),
        (
            answer(OPENED, LOADED, PREPARED, FIRST_RUN, status=-9, timed_out=True),
            FailureKind.TIMED_OUT,
            "the time limit passed during the runs",
        ),
        (answer(OPENED, LOADED, status=-14), FailureKind.TIMED_OUT, "during prepare"),
        (
            Completed(-11, b'{"event": "opened"}\n{"event": "loa', b""),
            FailureKind.CRASHED,
            "SIGSEGV during load",
        ),
        (Completed(0, b"[1]\nnot json\n", b""), FailureKind.CRASHED, "exit status 0"),
    ],
)
def test_each_ending_is_a_failure_of_its_own_kind(done: Completed, kind: FailureKind, words: str):
    error = failure(done)
    assert error.kind is kind
    assert words in error.message


def test_long_words_are_kept_at_their_end():
    error = failure(answer(OPENED, status=-11, stderr="x" * 10_000 + " the reason"))
    assert error.message.endswith("the reason")
    assert len(error.message) < 3000


@pytest.mark.parametrize(
    "done",
    [
        answer({"event": "refused", "stage": "open_library", "status": 0}, status=1),
        answer(status=2, stderr="driver: input.0: cannot be read"),
    ],
)
def test_what_no_assignment_could_change_is_the_targets_fault(done: Completed):
    with pytest.raises(TargetError):
        runner(Scripted(done)).run(SPACE.default)


def test_the_answer_becomes_seconds_and_bytes():
    measurement = runner(Scripted(GOOD)).run(SPACE.default)
    assert measurement.samples["exec_time"] == (6e-6, 8e-6)
    assert measurement.warmups["cpu_time"] == (5e-6,)
    assert measurement.samples["max_rss"] == (7000 * 1024.0,)
    assert measurement.samples["prepare_time"] == (0.002,)
    assert measurement.samples["other_cpus"] == (0.25, 0.0)
    assert measurement.samples["temperature"] == (45.5,)
    assert measurement.samples["rss_anon"] == (4000 * 1024.0,)
    # What the target does not tell is not there, rather than a number.
    assert not {"clock_frequency", "rss_file", "energy"} & set(measurement.samples)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_abs_error": 0.003}, "by up to 0.003"),
        ({"bytes": 16, "reference_bytes": 32}, "has 16 bytes, the baseline's has 32"),
        ({"nonfinite_mismatches": 3}, "has 3 NaN or infinite values"),
        ({"dtype": "int8", "max_abs_error": 1.1}, "by up to 1.1"),
    ],
)
def test_outputs_beyond_the_tolerance_are_wrong(change: dict, words: str):
    wrong = answer(OPENED, LOADED, PREPARED, FIRST_RUN, measured(**change))
    with pytest.raises(RunError, match=words) as caught:
        runner(Scripted(GOOD, wrong)).run(OTHER)
    assert caught.value.kind is FailureKind.WRONG_OUTPUT


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"max_abs_error": 0.0019}, 0.00095),
        # One step of a quantised output is no difference.
        ({"dtype": "int8", "max_abs_error": 1.0, "reference_range": 200.0}, 0.005),
        # A constant output has no range, only a size.
        ({"reference_range": 0.0, "max_abs_error": 1e-6}, 5e-7),
    ],
)
def test_outputs_within_the_tolerance_are_right(change: dict, error: float):
    right = answer(OPENED, LOADED, PREPARED, FIRST_RUN, measured(**change))
    assert runner(Scripted(GOOD, right)).run(OTHER).output_error == pytest.approx(error)


def test_a_baseline_that_cannot_be_compared_with_is_the_targets_fault():
    with pytest.raises(TargetError, match="the baseline cannot be run: crashed"):
        runner(Scripted(answer(OPENED, status=-11))).run(OTHER)


def test_weak_checks_and_random_addresses_are_noted():
    odd = answer(
        OPENED | {"addresses": "random"}, LOADED, PREPARED, FIRST_RUN, measured(min=1.0, max=1.0)
    )
    notes = runner(Scripted(odd)).run(SPACE.default).notes
    assert "the same everywhere" in notes[0]
    assert "randomisation" in notes[1]
    assert runner(Scripted(GOOD)).run(SPACE.default).notes == ()
    again = answer(OPENED | {"addresses": "random"}, LOADED, PREPARED, FIRST_RUN, measured())
    assert runner(Scripted(again)).run(SPACE.default, is_repeat=True).notes == ()
    # Where nothing is random, repeats say little.
    (note,) = runner(Scripted(GOOD)).run(SPACE.default, is_repeat=True).notes
    assert "repeats agree" in note


def test_a_peak_that_is_only_the_kernels_is_noted():
    hidden = measured() | {"pss_kib": -1, "rss_anon_kib": -1}
    found = runner(Scripted(answer(OPENED, LOADED, PREPARED, FIRST_RUN, hidden))).run(SPACE.default)
    assert "page tables" in found.notes[0]
    assert not {"pss", "rss_anon"} & set(found.samples)


def test_repeats_lie_elsewhere_in_memory():
    shell = Scripted(GOOD)
    measuring = runner(shell)
    measuring.run(SPACE.default)
    measuring.run(SPACE.default, is_repeat=True)
    assert ["--random-addresses" in command for command, _ in shell.asked] == [False, True]


def test_everything_is_told_explicitly():
    shell = Scripted(GOOD)
    runner(shell, threads=2, memory_limit_kib=4096, time_limit_s=7.5).run(SPACE.default)
    command, environment = shell.asked[0]
    request = request_of(command)
    assert request["protocol"] == PROTOCOL
    assert request["library"] == "/libonert.so"
    assert request["backends"] == {"cpu": {}}
    assert request["place"] == [["0-1", "cpu"]]
    assert request["memory_limit_kib"] == 4096
    assert request["time_limit_s"] == 9
    assert request["inputs"] == [{"file": "/w/input.0", "shape": [1, 4]}]
    assert environment == dict.fromkeys(THREADS, "2")
    assert not any("ONERT" in name for name in environment)


LOG = "[ ManualScheduler] backend for   @0: ruy\n[ ManualScheduler] backend for   @1: cpu\n"


def test_an_operation_that_ran_elsewhere_is_a_mismatch():
    shell = Scripted(answer(OPENED, LOADED, PREPARED, stderr=LOG))
    made = runner(shell)
    placement = made.placement(OTHER)
    assert placement is not None
    assert (placement.backend_by_operation, placement.mismatches) == (((0, "ruy"), (1, "cpu")), ())
    assert shell.asked[0][1]["ONERT_LOG_ENABLE"] == "1"
    wrong = made.placement(SPACE.default)
    assert wrong is not None
    assert wrong.mismatches == ("operation 0: cpu was asked for, ruy was reported",)


def test_an_operation_that_is_not_reported_is_a_mismatch():
    first = LOG.splitlines()[0]
    placement = runner(Scripted(answer(OPENED, LOADED, PREPARED, stderr=first))).placement(OTHER)
    assert placement is not None
    assert placement.mismatches == ("operation 1: cpu was asked for, nothing was reported",)


def test_a_runtime_without_a_log_cannot_tell():
    assert runner(Scripted(answer(OPENED, LOADED, PREPARED))).placement(OTHER) is None


def test_more_backends_than_onert_takes_are_refused():
    names = ("cpu", "a_backend_of_twenty_", "another_of_twelve")
    support = Support.of(table=ONERT, allow=[f"{name}:*" for name in names[1:]])
    space = onert_space(GRAPH, names, Granularity.OPERATION, support=support)
    made = runner(Scripted(GOOD), space, inputs=[])
    with pytest.raises(RunError, match="31 characters") as caught:
        made.run(names[1:])
    assert caught.value.kind is FailureKind.REJECTED


def test_a_backend_that_was_silently_replaced_makes_a_failure():
    replaced = answer(
        OPENED, LOADED, PREPARED | {"loaded_backends": ["cpu"]}, FIRST_RUN, measured()
    )
    with pytest.raises(RunError, match="backend ruy did not load") as caught:
        runner(Scripted(GOOD, replaced)).run(OTHER)
    assert caught.value.kind is FailureKind.REJECTED


def test_counters_that_the_kernel_does_not_keep_are_left_out():
    answered = measured() | {"run_delay_ns": [-1, -1]}
    made = runner(Scripted(answer(OPENED, LOADED, PREPARED, FIRST_RUN, answered)))
    samples = made.run(SPACE.default).samples
    assert "run_delay" not in samples
    assert samples["involuntary_switches"] == (1.0, 0.0)


def test_the_version_is_asked_for():
    assert driver(Scripted(answer(OPENED))).version() == "1.30.0"
    with pytest.raises(TargetError, match="not usable: driver: protocol 9"):
        driver(Scripted(answer(status=2, stderr="driver: protocol 9: …"))).version()
    with pytest.raises(TargetError, match="not usable: no such file"):
        driver(Scripted(answer(status=1, stderr="no such file"))).version()


def test_backends_beside_a_library_are_seen(tmp_path: Path):
    folder = tmp_path / "nnfw" / "backend"
    folder.mkdir(parents=True)
    for name in ("ruy", "acl_cl", "cpu", "train", "builtin"):
        (folder / f"libbackend_{name}.so").touch()
    shell = LocalShell()
    library = PurePosixPath(tmp_path / "libonert.so")
    assert offered_backends(shell, library) == ("cpu", "acl_cl", "ruy")
    assert offered_backends(shell, PurePosixPath(tmp_path / "elsewhere" / "x.so")) == ()


def test_a_machine_is_described_by_its_answers():
    text = (
        "architecture=armv7l\nkernel=Linux 4.14\ncores=8\ncpu=ODROID-XU4\ngovernor=performance\n"
        "memory_kib=2041748\n"
    )

    class Plain(Scripted):
        is_asked_for_everything = True

    machine = describe(Plain(Completed(0, text.encode(), b"")))
    assert (machine.architecture, machine.cores, machine.governor) == ("armv7l", 8, "performance")
    with pytest.raises(TargetError, match="as a Linux would"):
        describe(Plain(Completed(0, b"Bad command or file name", b"")))
