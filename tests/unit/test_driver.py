"""The driver decides itself when it is warm and when it has run often enough.

On a clock that its runs move, whatever else this machine does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pareto_profiler.drivers import PROTOCOL, binary

# Gives way to other tests, and uses whatever they leave.
HOG = ["nice", "-n", "19", sys.executable, "-c", "while True: pass"]
STUB = Path(__file__).parent.parent / "stand_ins" / "stub_onert.c"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runtime whose runs take as long as it is told."""
    path = tmp_path_factory.mktemp("stub") / "libonert.so"
    compiler = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-O2",
        "-shared",
        "-fPIC",
        "-Wall",
        "-Werror",
    ]
    subprocess.run([*compiler, "-o", str(path), str(STUB)], check=True)
    return path


def command(library: Path, *options: object) -> list[str]:
    """What starts the driver; options are pairs of a member of the request and its value."""
    words = list(options)
    flags = [str(word) for word in words if word == "--random-addresses"]
    members = [word for word in words if word != "--random-addresses"]
    request = {"protocol": PROTOCOL, "library": str(library), "model": "none"}
    request |= dict(zip(members[::2], members[1::2], strict=True))
    return [str(binary("onert")), "--request", json.dumps(request, default=str), *flags]


def stages(
    library: Path, *options: object, runs_us: str, is_real: bool = False, **environment: str
) -> dict[str, Any]:
    """The answer by stages, on a clock that only runs move, or on the real one."""
    clock = {} if is_real else {"LD_PRELOAD": str(library), "STUB_CLOCK": "1"}
    done = subprocess.run(
        command(library, *options),
        env={**os.environ, "STUB_RUN_US": runs_us, **clock, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return {answer["event"]: answer for answer in map(json.loads, done.stdout.splitlines())}


def measured(library: Path, *options: object, runs_us: str, **more: Any) -> dict[str, Any]:
    return stages(library, *options, runs_us=runs_us, **more)["measured"]


LONG = ("run_time_ms", 60_000)
NEVER = ("precision_ppm", 0)


def test_it_is_warm_when_runs_get_no_faster(library: Path):
    # Every run of the first three blocks of five is faster than the one before it.
    falling = ",".join(str(round(80_000 * 0.86**i)) for i in range(18))
    answer = measured(library, "warmups", "auto", "runs", [10, 10], *LONG, runs_us=f"0,{falling}")
    warm_ns = answer["run_wall_ns"]
    assert len(answer["warmup_wall_ns"]) >= 10
    # What is left of the fall in the first block that counts does not move the median.
    assert sorted(warm_ns)[-3] < 1.6 * min(warm_ns)
    # Without warming up they are not.
    cold = measured(library, "warmups", 0, "runs", [10, 10], *LONG, runs_us=f"0,{falling}")
    assert sorted(cold["run_wall_ns"])[-3] > 1.6 * min(cold["run_wall_ns"])


def test_nothing_steady_is_thrown_away(library: Path):
    answer = measured(library, "warmups", "auto", "runs", [10, 10], *LONG, runs_us="8000")
    # One time in twenty steady blocks look as if they got faster.
    assert len(answer["warmup_wall_ns"]) <= 10
    assert len(answer["run_wall_ns"]) == 10


def test_warming_up_has_an_end(library: Path):
    falling = ",".join(str(us) for us in range(60_000, 1_000, -300))
    limits = ("run_time_ms", 500)
    answer = measured(library, "warmups", "auto", "runs", [10, 10], *limits, runs_us=f"0,{falling}")
    warming_s = sum(answer["warmup_wall_ns"]) / 1e9
    assert warming_s < 2.5


def test_given_numbers_are_kept_exactly(library: Path):
    answer = measured(library, "warmups", 3, "runs", [7, 7], runs_us="2000")
    assert [len(answer[f"{kind}_wall_ns"]) for kind in ("warmup", "run")] == [3, 7]
    for name in ("run_cpu_ns", "run_delay_ns", "run_milli_cpus_of_others"):
        assert len(answer[name]) == 7


def test_runs_end_when_the_median_is_known(library: Path):
    counts = ("warmups", 0, "runs", [10, 60], *LONG)
    coarse = measured(library, *counts, "precision_ppm", 900_000, runs_us="3000")
    exact = measured(library, *counts, *NEVER, runs_us="3000")
    assert len(exact["run_wall_ns"]) == 60
    assert len(coarse["run_wall_ns"]) == 10


def test_runs_end_when_their_time_is_over_but_not_before_the_least_number(library: Path):
    counts = ("warmups", 0, "runs", [10, 1000], *NEVER)
    short = measured(library, *counts, "run_time_ms", 200, runs_us="10000")
    assert 10 <= len(short["run_wall_ns"]) < 40
    none = measured(library, *counts, "run_time_ms", 0, runs_us="20000")
    assert len(none["run_wall_ns"]) == 10


def test_a_counter_of_energy_is_read_around_the_runs(library: Path, tmp_path: Path):
    counter = tmp_path / "energy_uj"
    counter.write_text("1000000\n")
    options = ("warmups", 4, "runs", [20, 20], "energy", [counter])
    answer = measured(library, *options, runs_us="1000", STUB_COUNTER=str(counter))
    assert answer["energy_j"] == pytest.approx(1.5e-3)


@pytest.mark.parametrize("most", [10, 12, 200])
def test_energy_is_there_too_when_the_steady_blocks_are_enough(
    library: Path, tmp_path: Path, most: int
):
    counter = tmp_path / "energy_uj"
    counter.write_text("7\n")
    options = ("warmups", "auto", "runs", [10, most], "energy", [counter])
    coarse = ("precision_ppm", 900_000, "run_time_ms", 1)
    answer = measured(library, *options, *coarse, runs_us="6000", STUB_COUNTER=str(counter))
    assert answer["energy_j"] == pytest.approx(1.5e-3)


def test_a_counter_may_begin_anew(library: Path, tmp_path: Path):
    counter = tmp_path / "energy_uj"
    (tmp_path / "max_energy_range_uj").write_text("5000000\n")
    counter.write_text("4990000\n")
    script = f"sleep 0.15; echo 40000 >{counter}"
    with subprocess.Popen(["sh", "-c", script]):
        options = ("warmups", 0, "runs", [10, 10], "energy", [counter])
        answer = measured(library, *options, runs_us="40000", is_real=True)
    assert answer["energy_j"] == pytest.approx(50_000e-6 / 10)


def test_a_sensor_of_power_is_read_after_every_run(library: Path, tmp_path: Path):
    sensor = tmp_path / "power1_input"
    sensor.write_text("2500000\n")
    options = ("warmups", 0, "runs", [10, 10], "energy", [sensor])
    answer = measured(library, *options, runs_us="10000")
    seconds = sum(answer["run_wall_ns"]) / 1e9 / 10
    assert answer["energy_j"] == pytest.approx(2.5 * seconds)


@pytest.mark.parametrize(("kept_kib", "given_back_kib"), [(8000, 0), (8000, 6000), (0, 6000)])
def test_peak_memory_is_at_least_what_is_there(library: Path, kept_kib: int, given_back_kib: int):
    told = {"STUB_KEEP_KIB": str(kept_kib), "STUB_GIVE_BACK_KIB": str(given_back_kib)}
    found = stages(library, "warmups", 0, "runs", [2, 2], runs_us="0", **told)
    before = found["opened"]["peak_before_load_kib"]
    prepared = found["prepared"]["peak_after_prepare_kib"]
    now = found["measured"]
    # How much has been reported of what was given back is the kernel's affair.
    assert kept_kib + 0.8 * given_back_kib <= prepared - before < kept_kib + given_back_kib + 1000
    assert now["peak_after_runs_kib"] >= prepared
    assert now["peak_after_runs_kib"] >= now["rss_anon_kib"] + now["rss_file_kib"]
    assert kept_kib <= now["rss_anon_kib"] < kept_kib + 2000
    assert 0 < now["rss_file_kib"] <= before
    assert now["pss_kib"] <= now["rss_anon_kib"] + now["rss_file_kib"]


def can_choose_addresses() -> bool:
    switch = Path("/proc/sys/kernel/randomize_va_space")
    if shutil.which("setarch") is None or switch.read_text().strip() == "0":
        return False
    return not subprocess.run(
        ["setarch", "-R", "true"], capture_output=True, check=False
    ).returncode


@pytest.mark.skipif(not can_choose_addresses(), reason="addresses are not ours to choose here")
def test_addresses_are_the_same_every_time_or_left_to_chance(library: Path):
    def addresses(*options: str, prefix: tuple[str, ...] = ()) -> tuple[str, int]:
        done = subprocess.run(
            [*prefix, *command(library, *options)],
            env={**os.environ, "STUB_RUN_US": "0", "STUB_SAY_WHERE": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        where = re.search(r"at 0x([0-9a-f]+)", done.stderr)
        assert where is not None
        return json.loads(done.stdout.splitlines()[0])["addresses"], int(where[1], 16)

    assert {addresses() for _ in range(4)} == {addresses()}
    assert addresses()[0] == "fixed"
    by_chance = [addresses("--random-addresses") for _ in range(4)]
    assert {word for word, _ in by_chance} == {"random"}
    assert len({where for _, where in by_chance}) > 1
    # Also where the process that starts it has them fixed.
    assert addresses("--random-addresses", prefix=("setarch", "-R"))[0] == "random"


def test_other_work_is_seen(library: Path):
    hogs = [subprocess.Popen(HOG) for _ in range(3)]
    try:
        answer = measured(library, "warmups", 0, "runs", [30, 30], runs_us="20000", is_real=True)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    others = answer["run_milli_cpus_of_others"]
    assert min(others) > 500


def test_other_work_is_seen_by_short_measurements_or_not_denied(library: Path):
    hogs = [subprocess.Popen(HOG) for _ in range(3)]
    try:
        limits = ("precision_ppm", 5000, "run_time_ms", 500)
        counts = ("warmups", "auto", "runs", [10, 200])
        answer = measured(library, *counts, *limits, runs_us="200", is_real=True)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    # Minus one: it cannot be told.
    assert all(other == -1 or other > 200 for other in answer["run_milli_cpus_of_others"])


def test_how_an_assignment_is_written_does_not_show_in_the_memory_it_takes(
    library: Path, tmp_path: Path
):
    count = 4000
    whole = [[f"0-{count - 1}", "cpu"]]
    apart = [[str(i), ("cpu", "ruy")[i % 2]] for i in range(count)]
    peaks = []
    for place in (whole, apart):
        request = {"protocol": PROTOCOL, "library": str(library), "model": "none"}
        request |= {"backends": {"cpu": {}, "ruy": {}}, "place": place, "operations": count}
        file = tmp_path / "request.json"
        file.write_text(json.dumps(request))
        done = subprocess.run(
            [str(binary("onert")), "--request", str(file)],
            env={**os.environ, "STUB_RUN_US": "0", "STUB_KEEP_KIB": "8000"},
            capture_output=True,
            text=True,
            check=True,
        )
        events = {e["event"]: e for e in map(json.loads, done.stdout.splitlines())}
        peaks.append(events["measured"]["peak_after_runs_kib"])
    # The texts are 60 and 80 000 bytes long, what is made of them is a megabyte, but not for long:
    # any runtime takes more afterwards.
    assert abs(peaks[1] - peaks[0]) <= 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the request is no JSON: expected a text"),
        ('{"protocol": 5}', "protocol 5: this driver speaks"),
        (f'{{"protocol": {PROTOCOL}}}', "library and model are required"),
        (f'{{"protocol": {PROTOCOL}, "library": 3}}', "library: expected a text"),
        ('{"a": ' + "[" * 40 + "]" * 40 + "}", "expected less depth"),
        ('{"protocol": 1e99}', "protocol: expected a whole number"),
        ('{"a": "\\ud83d\\ude00\\u00e9', "expected a closing quote"),
    ],
)
def test_a_request_that_is_none_is_one_line(text: str, words: str):
    done = subprocess.run(
        [str(binary("onert")), "--request", text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ([["0-", "cpu"]], "place: expected something like 0-3,7"),
        ([["3-1", "cpu"]], "place: expected something like 0-3,7"),
        ([["0", "gpu"]], "gpu is none of the backends"),
        ([["2:0", "cpu"]], "onert has one map for all subgraphs"),
        ([["9999999", "cpu"]], "operation 9999999 of subgraph 0 is too large"),
        ([["0"]], "place: expected pairs"),
    ],
)
def test_a_place_that_is_none_is_one_line(library: Path, place: list, words: str):
    request = {"protocol": PROTOCOL, "library": str(library), "model": "none"}
    request |= {"backends": {"cpu": {}}, "place": place}
    done = subprocess.run(
        [str(binary("onert")), "--request", json.dumps(request)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr


AMD = """pos:\t0
drm-driver:\tamdgpu
drm-client-id:\t7
drm-pdev:\t0000:03:00.0
drm-memory-vram:\t{vram} KiB
drm-memory-gtt:\t9999 KiB
"""
XE = """drm-driver: xe
drm-client-id: 7
drm-pdev: 0000:03:00.0
drm-total-vram0: 64 MiB
drm-resident-vram0: 3 MiB
drm-resident-gtt: 9999
"""
MALI = "drm-driver: panthor\ndrm-client-id: 1\ndrm-total-memory: 2097152\n"


@pytest.mark.parametrize(
    ("told", "kib"),
    [(AMD.format(vram=5000), 5000), (XE, 3 * 1024), (MALI, 2048), ("drm-driver: old\n", -1)],
)
def test_memory_of_a_gpu_is_what_its_driver_tells_of_each_client_once(
    library: Path, tmp_path: Path, told: str, kib: int
):
    file = tmp_path / "fdinfo"
    file.write_text(told)
    answer = measured(library, "runs", [1, 1], runs_us="1", STUB_FDINFO=str(file))
    assert answer["vram_kib"] == kib


def test_memory_of_a_gpu_of_nvidia_is_asked_of_its_library(library: Path, tmp_path: Path):
    shutil.copy(library, tmp_path / "libnvidia-ml.so.1")
    there = {"STUB_NVIDIA_KIB": "7000", "LD_LIBRARY_PATH": str(tmp_path)}
    assert measured(library, "runs", [1, 1], runs_us="1", **there)["vram_kib"] == 7000
    (tmp_path / "libnvidia-ml.so.1").unlink()
    assert measured(library, "runs", [1, 1], runs_us="1", **there)["vram_kib"] == -1
