"""Ctrl-C, kill -9, a second process, a full disk: no measurement is lost and the search goes on."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from build_model import build, dense
from e2e.command import command, pp, pp_error, pp_json

from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.storage.journal import read

KILLS = 15


def options(model: Path, run: str, budget: int) -> list[object]:
    return [
        "search",
        model,
        "--output",
        run,
        "--budget",
        budget,
        "--seed",
        5,
        "--sampler",
        "random",
        "--granularity",
        "operation",
        "--allow",
        "ruy:*",
        # What is repeated depends on how busy the machine is: the order must not.
        "--no-confirm",
        "--retries",
        0,
        "--anchor-every",
        0,
        "--repeats",
        20,
        "--warmups",
        1,
    ]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Eight layers: 2^16 assignments."""
    path = tmp_path / "deep.tflite"
    path.write_bytes(build(dense(layers=8)))
    return path


def start(tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("pareto-profiler", *arguments),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def count(path: Path) -> int:
    """Whole lines of a journal that may be written to meanwhile."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def children_of(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(folder.name))
    return found


def test_killed_again_and_again_the_search_ends_with_the_same(model: Path, tmp_path: Path):
    chance = random.Random(1)
    budget, journal = 60, tmp_path / "killed" / "journal.jsonl"
    began = time.monotonic()
    first = start(tmp_path, *options(model, "killed", budget))
    wait_for(lambda: count(journal) > 1)
    beginning_s = time.monotonic() - began
    first.send_signal(signal.SIGKILL)
    first.communicate()
    for _ in range(KILLS - 1):
        before = count(journal)
        process = start(tmp_path, *options(model, "killed", budget))
        # Around the time it takes to begin: some die while starting, some in a measurement.
        time.sleep(chance.uniform(0.0, 2 * beginning_s))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert count(journal) >= before
    assert count(journal) > KILLS // 5
    kept = read(journal).trials
    pp(*options(model, "killed", budget), cwd=tmp_path)
    pp(*options(model, "whole", budget), cwd=tmp_path)
    killed, whole = read(tmp_path / "killed").trials, read(tmp_path / "whole").trials
    assert list(killed[: len(kept)]) == list(kept)
    assert [t.assignment for t in killed] == [t.assignment for t in whole]
    assert [t.number for t in killed] == list(range(budget))


def test_a_killed_search_takes_its_measurement_with_it(mobilenet_file: Path, tmp_path: Path):
    process = start(tmp_path, "search", mobilenet_file, "--output", "run", "--repeats", 10_000)
    probes: list[int] = []

    def measuring() -> bool:
        probes[:] = [p for p in children_of(process.pid) if b"/onert-" in _command_line(p)]
        return bool(probes)

    wait_for(measuring)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not any(_is_running(p) for p in probes), seconds=5)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_running(pid: int) -> bool:
    return b"probe-" in _command_line(pid)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_says_how_to_go_on(
    model: Path, tmp_path: Path, signal_number: signal.Signals
):
    journal = tmp_path / "run" / "journal.jsonl"
    process = start(tmp_path, *options(model, "run", 5000))
    wait_for(lambda: count(journal) > 3)
    process.send_signal(signal_number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert stdout == ""
    kept = len(read(journal).trials)
    assert f"interrupted; {kept} trials are kept in run. To go on: pareto-profiler search" in stderr
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["journal.jsonl"]
    # The line it printed works as it stands.
    line = stderr.split("To go on: pareto-profiler ")[1].splitlines()[0]
    again = shlex.split(line.replace("--budget 5000", f"--budget {kept + 2}"))
    pp(*again, cwd=tmp_path)
    assert len(read(journal).trials) == kept + 2


def test_a_second_process_is_refused(model: Path, tmp_path: Path):
    journal = tmp_path / "run" / "journal.jsonl"
    first = start(tmp_path, *options(model, "run", 5000))
    try:
        wait_for(lambda: count(journal) > 2)
        text = pp_error(*options(model, "run", 5000), cwd=tmp_path)
        assert "another process is searching here" in text
        # Looking at it is fine.
        assert pp_json("show", "run", cwd=tmp_path)["trials"] >= 1
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate()
    assert len(read(journal).trials) > 2


def test_a_damaged_store_is_named_with_its_line(model: Path, tmp_path: Path):
    pp(*options(model, "run", 4), cwd=tmp_path)
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], b"#" + lines[2], *lines[3:]]))
    for arguments in (options(model, "run", 9), ["show", "run"]):
        assert "journal.jsonl:3: damaged line" in pp_error(*arguments, cwd=tmp_path)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB: room for the model and some trials."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)],
            check=False,
            capture_output=True,
        ).returncode
    ):
        pytest.skip("mounting needs root; the contract of the store tests a file size limit")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_everything_before_it_is_intact(
    model: Path, tmp_path: Path, tiny_disk: Path
):
    run = tiny_disk / "run"
    text = pp(*options(model, str(run), 5000), cwd=tmp_path, status=1).stderr
    last = text.strip().splitlines()[-1]
    assert "No space left on device" in last
    assert "trials before are intact" in last
    kept = read(run).trials
    assert len(kept) > 5
    assert f"the {len(kept)} trials" in last
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "journal.jsonl").write_bytes((run / "journal.jsonl").read_bytes())
    pp(*options(model, "copy", len(kept) + 3), cwd=tmp_path)
    assert len(read(copy).trials) == len(kept) + 3


def test_spaces_of_the_same_size_are_told_apart(model: Path, tmp_path: Path):
    pp(*options(model, "run", 2), cwd=tmp_path)
    other = ["--backends", "ruy,cpu"]
    assert "backends cpu,ruy → ruy,cpu" in pp_error(*options(model, "run", 2), *other, cwd=tmp_path)
    assert isinstance(read(tmp_path / "run").header.space, DecisionSpace)


def test_an_interrupt_is_answered_while_something_is_computed():
    """In a call that does not let Python act on a signal until it is over."""
    code = (
        "import hashlib, os, signal, threading\n"
        "from pareto_profiler.cli.exits import _ended_like_interrupted\n"
        "interrupt = threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT))\n"
        "with _ended_like_interrupted():\n"
        "    interrupt.start()\n"
        "    hashlib.pbkdf2_hmac('sha256', b'x', b'y', 10**9)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        assert process.stderr.readline().startswith("interrupted: ends as soon as")
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
