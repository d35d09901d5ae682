"""Several boards in one search: each behind an ssh of its own, lost and found again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from devices import Cable, Island, Sshd
from e2e.command import command, pp, pp_json

import pareto_profiler
from pareto_profiler.core.membership import Verdict
from pareto_profiler.errors import OtherKindError
from pareto_profiler.jobs import Choices, prepare
from pareto_profiler.report.summary import Summary
from pareto_profiler.runtimes.onert.engine import wheel_library
from pareto_profiler.storage.journal import read
from pareto_profiler.storage.tables import read_csv

BIN = Path(sys.executable).parent
# Nobody judges the time of so short a model, nor how alike it is.
QUICK = ("--repeats", 3, "--warmups", 0, "--alike", "100%", "--granularity", "operation")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def cables(sshd: Sshd) -> Iterator[list[Cable]]:
    made = [Cable(sshd.port) for _ in range(4)]
    yield made
    for cable in made:
        cable.close()


@pytest.fixture
def lab(tmp_path: Path, sshd: Sshd, cables: list[Cable]) -> Path:
    """A folder whose targets.toml has four boards of kind shelf: this machine, four times."""
    write_targets(tmp_path, sshd, [cable.port for cable in cables])
    return tmp_path


def write_targets(folder: Path, sshd: Sshd, ports: list[int], more: str = "") -> None:
    text = ""
    for number, port in enumerate(ports):
        text += (
            f'[b{number}]\nshell = "ssh"\nkind = "shelf"\naddress = "here"\npatience_s = 20\n'
            f'options = {json.dumps(sshd.config(port))}\nlibrary = "{wheel_library().parent}"\n'
            f'work = "{folder}/board{number}"\n{more}\n'
        )
    (folder / "targets.toml").write_text(text)


def trials_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "run" / "journal.jsonl").read_text().splitlines()
    return [r for r in map(json.loads, lines) if r["record"] == "trial"]


def explored(folder: Path) -> Counter[tuple[int, ...]]:
    """How often each assignment was measured that is no repeat."""
    trials = read(folder / "run" / "journal.jsonl").trials
    return Counter(
        t.assignment for t in trials if t.is_first and t.source not in {"baseline", "profile"}
    )


def test_four_boards_share_a_search_and_losing_them_costs_nothing(
    mobilenet_file: Path, lab: Path, cables: list[Cable]
):
    def disturb() -> None:
        journal = lab / "run" / "journal.jsonl"
        for number, cable in enumerate(cables):
            while not journal.exists() or journal.read_bytes().count(b"\n") < 6 * (number + 1):
                time.sleep(0.05)
            cable.plug_out()
            if number < 3:  # the last one never comes back
                threading.Timer(0.5, cable.plug_in).start()

    thread = threading.Thread(target=disturb)
    thread.start()
    done = pp(
        *("search", mobilenet_file, "--target", "shelf", "--output", "run", "--budget", 48),
        *(*QUICK, "--tolerance", 1000, "--no-confirm"),
        cwd=lab,
    )
    thread.join()
    trials = trials_of(lab)
    assert [t["number"] for t in trials] == list(range(48))
    boards = {t["board"] for t in trials}
    # Which ones are there in time is chance.
    assert len(boards) > 1
    assert boards <= {"b0", "b1", "b2", "b3"}
    assert "profile" in {t["source"] for t in trials}
    assert set(explored(lab).values()) == {1}
    assert "b3 is gone: " in done.stderr or "b3" not in boards
    assert "note: trials by board: b" in " ".join(done.stdout.split())
    table = lab / "table.csv"
    table.write_text(pp("export", "run", "--format", "csv", cwd=lab).stdout)
    assert {t.board for t in read_csv(table).recording.trials} == boards
    assert json.loads((lab / "run" / "journal.jsonl").read_text().splitlines()[0])["target"] == (
        "shelf"
    )
    # Nothing but drivers is left on those that are there.
    for board in boards - {"b3"}:
        left = {path.name.split("-")[0] for path in (lab / board.replace("b", "board")).iterdir()}
        assert left == {"driver"}


@pytest.mark.thorough
def test_islands_that_fall_silent_cost_nothing(mobilenet_file: Path, tmp_path: Path):
    """Two hundred trials; each link goes down at some time, unsaid, and one for good."""
    random = Random(11)
    with contextlib.ExitStack() as stack:
        islands, texts = [], []
        for number in range(4):
            islands.append(Island(number))
            stack.callback(islands[-1].close)
            (tmp_path / f"sshd{number}").mkdir()
            server = Sshd(tmp_path / f"sshd{number}", island=islands[-1])
            stack.callback(server.stop)
            write_targets(tmp_path, server, [server.port])
            own = (tmp_path / "targets.toml").read_text()
            texts.append(own.replace("[b0]", f"[b{number}]").replace("/board0", f"/board{number}"))
        (tmp_path / "targets.toml").write_text("".join(texts))
        journal = tmp_path / "run" / "journal.jsonl"
        order = random.sample(range(4), 4)
        lost = list(zip(sorted(random.sample(range(10, 150), 4)), order, strict=True))

        def disturb() -> None:
            for count, number in lost:
                while not journal.exists() or journal.read_bytes().count(b"\n") < count:
                    time.sleep(0.05)
                islands[number].sink()
                if number != order[0]:  # which never comes back
                    threading.Timer(random.uniform(1, 25), islands[number].rise).start()

        thread = threading.Thread(target=disturb)
        thread.start()
        words = ("search", mobilenet_file, "--target", "shelf", *QUICK, "--margin", "5%")
        pp(*words, "--output", "run", "--budget", 200, cwd=tmp_path)
        thread.join()
        trials = trials_of(tmp_path)
        assert [t["number"] for t in trials] == list(range(200))
        assert {t["board"] for t in trials} == {"b0", "b1", "b2", "b3"}
        assert set(explored(tmp_path).values()) == {1}
        # What is decided there is not decided otherwise on a single board.
        islands[order[-1]].rise()
        alone = texts[order[-1]].replace(f"[b{order[-1]}]", "[alone]")
        (tmp_path / "targets.toml").write_text(alone)
        words = ("search", mobilenet_file, "--target", "alone", *QUICK, "--margin", "5%")
        pp(*words, "--output", "alone", "--budget", 100, cwd=tmp_path)
    told = [Summary.of(read(tmp_path / name)).measured for name in ("run", "alone")]
    a, b = ({r.estimate.assignment: r.place.verdict for r in rows} for rows in told)
    open_ = {None, Verdict.INCONCLUSIVE}
    both = [(a[x], b[x]) for x in a.keys() & b.keys() if not open_ & {a[x], b[x]}]
    print(f"verdicts decided on four boards and on one: {len(both)}")
    assert [pair for pair in both if pair[0] is not pair[1]] == []


def test_a_killed_search_goes_on_with_fewer_boards(
    mobilenet_file: Path, lab: Path, sshd: Sshd, cables: list[Cable]
):
    words = ("search", mobilenet_file, "--target", "shelf", "--output", "run", *QUICK)
    words += ("--sampler", "random")
    with subprocess.Popen(
        command("pareto-profiler", *words, "--budget", "24"), cwd=lab, stderr=subprocess.DEVNULL
    ) as process:
        journal = lab / "run" / "journal.jsonl"
        while not journal.exists() or journal.read_bytes().count(b"\n") < 8:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    before = trials_of(lab)
    write_targets(lab, sshd, [cable.port for cable in cables[:2]])
    pp(*words, "--budget", 18, "--no-confirm", cwd=lab)
    after = trials_of(lab)
    assert after[: len(before)] == before
    # Whether the second is there in time is chance.
    assert {t["board"] for t in after[len(before) :]} <= {"b0", "b1"}
    assert len(after) == max(18, len(before))
    assert set(explored(lab).values()) == {1}


@pytest.mark.thorough
def test_fifty_kills_lose_nothing_and_measure_nothing_twice(
    mobilenet_file: Path, lab: Path, sshd: Sshd, cables: list[Cable]
):
    random, journal = Random(5), lab / "run" / "journal.jsonl"
    words = ("search", mobilenet_file, "--target", "shelf", "--output", "run", *QUICK)
    words += ("--sampler", "random", "--no-confirm")
    gained = []
    for _ in range(50):
        write_targets(lab, sshd, [cable.port for cable in cables[: random.randint(1, 4)]])
        before = trials_of(lab) if journal.exists() else []
        with subprocess.Popen(
            command("pareto-profiler", *words, "--budget", 2000),
            cwd=lab,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            lines = len(before)
            while lines == len(before):
                time.sleep(0.02)
                assert process.poll() is None
                lines = journal.read_bytes().count(b'"record":"trial"') if journal.exists() else 0
            time.sleep(random.uniform(0.0, 3.0))
            process.send_signal(signal.SIGKILL)
        # What is written last may be torn: the next one cuts it off.
        kept = read(lab / "run").trials
        assert [t.number for t in kept] == list(range(len(kept)))
        assert [t.number for t in kept[: len(before)]] == [t["number"] for t in before]
        gained.append(len(kept) - len(before))
    done = read(lab / "run").trials
    pp(*words, "--budget", len(done) + 12, cwd=lab)
    after = read(lab / "run").trials
    assert list(after[: len(done)]) == list(done)
    assert len(after) == len(done) + 12
    assert min(gained) >= 1
    assert len({t.board for t in after}) > 1
    assert set(explored(lab).values()) == {1}
    print(f"50 kills, {sum(gained)} trials before them, {len(after)} in all")


def test_boards_are_named_from_python(
    dense_file: Path,
    tmp_path: Path,
    sshd: Sshd,
    cables: list[Cable],
    monkeypatch: pytest.MonkeyPatch,
):
    texts = [Path(sshd.config(cable.port)[1]).read_text() for cable in cables[:2]]
    names = ["one", "two"]
    pairs = zip(texts, names, strict=True)
    (tmp_path / "config").write_text("".join(t.replace("Host here", f"Host {n}") for t, n in pairs))
    (tmp_path / "targets.toml").write_text(
        f'[shelf]\nshell = "ssh"\noptions = ["-F", "{tmp_path}/config"]\n'
        f'library = "{wheel_library().parent}"\nwork = "{tmp_path}/board"\n'
    )
    monkeypatch.chdir(tmp_path)
    plan = {"repeats": 3, "warmups": 0}
    run = pareto_profiler.search(
        dense_file, target="shelf", addresses=names, budget=8, plan=plan, output="run"
    )
    assert len(run.trials) == 8
    # How alike they are, and which is there in time, is chance.
    assert {t.board for t in run.trials} <= set(names)


def test_a_search_without_a_board_ends_when_patience_does(
    dense_file: Path, tmp_path: Path, sshd: Sshd, cables: list[Cable]
):
    write_targets(tmp_path, sshd, [cable.port for cable in cables[:2]])
    text = (tmp_path / "targets.toml").read_text().replace("patience_s = 20", "patience_s = 1")
    (tmp_path / "targets.toml").write_text(text)

    def plug_out() -> None:
        journal = tmp_path / "run" / "journal.jsonl"
        while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
            time.sleep(0.02)
        for cable in cables:
            cable.plug_out()

    thread = threading.Thread(target=plug_out)
    thread.start()
    options = ("--target", "shelf", "--output", "run", "--budget", 500, *QUICK)
    done = pp("search", dense_file, *options, cwd=tmp_path, status=3)
    thread.join()
    assert "trials are kept in run" in done.stderr
    assert len(trials_of(tmp_path)) >= 3


def test_a_board_that_somebody_uses_is_left_to_them(
    dense_file: Path, lab: Path, cables: list[Cable]
):
    holder = (
        "import sys\nfrom pareto_profiler.shells.lease import Lease\n"
        f"Lease('ssh 127.0.0.1 {cables[0].port} ', 'x')\nprint('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        alone = pp("target", "check", "b0", cwd=lab, status=3)
        assert f"here: process {process.pid} of " in alone.stderr
        assert "uses it: wait for that, or take another" in alone.stderr
        options = ("--target", "shelf", "--output", "run", "--budget", 8, *QUICK)
        done = pp("search", dense_file, *options, cwd=lab)
        assert "b0 is gone: here: process" in done.stderr
        assert "b0" not in {t["board"] for t in trials_of(lab)}
        process.kill()


def test_a_board_of_another_kind_is_left_out(dense_file: Path, lab: Path):
    text = (lab / "targets.toml").read_text()
    # Another build of the library.
    other = lab / "other"
    package = wheel_library().parents[1]
    shutil.copytree(package, other)
    changed = other / wheel_library().relative_to(package)
    changed.write_bytes(changed.read_bytes() + b"\0")
    beginning, end = text.rsplit(f'library = "{wheel_library().parent}"', 1)
    (lab / "targets.toml").write_text(f'{beginning}library = "{changed.parent}"{end}')
    choices = Choices(dense_file, target="shelf", targets_file=lab / "targets.toml")
    with prepare(choices) as job:
        assert (list(job.boards), job.board) == (["b0", "b1", "b2", "b3"], "b0")
        with job.on("b1") as other_board:
            assert (other_board.board, other_board.header) == ("b1", job.header)
        with pytest.raises(
            OtherKindError, match=r"its library of onert .* another build than on b0"
        ):
            job.on("b3")
        machine = {**(job.header.machine or {}), "cpu": "abacus"}
        unlike = replace(job, header=replace(job.header, machine=machine))
        with pytest.raises(OtherKindError, match="its cpu is .*: expected abacus, as where"):
            unlike.on("b1")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--address", "x"), "target shelf is a kind: expected no address, got 'x'"),
        (("--targets", "none.toml"), "none.toml"),
    ],
)
def test_what_makes_no_sense_of_a_kind_is_one_line(
    dense_file: Path, lab: Path, options: tuple[str, ...], words: str
):
    done = pp("search", dense_file, "--target", "shelf", *options, cwd=lab, status=2)
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_one_board_named_twice_is_one_line(dense_file: Path, tmp_path: Path):
    options = ("--target", "odroid", "--address", "a@b,c@d,a@b")
    done = pp("search", dense_file, *options, cwd=tmp_path, status=2)
    assert done.stderr == "pareto-profiler: error: target odroid: a@b is named twice\n"


def test_check_and_clean_look_at_each_board(lab: Path, cables: list[Cable]):
    cables[3].plug_out()
    found = pp("target", "check", "shelf", cwd=lab, status=3)
    assert found.stdout.count("shelf: b") == 3
    assert "error: b3: here cannot be reached" in found.stderr
    cables[3].plug_in()
    cleaned = pp("target", "clean", "shelf", cwd=lab)
    assert [line.split(":")[0] for line in cleaned.stdout.splitlines()] == ["b0", "b1", "b2", "b3"]


@pytest.fixture
def coordinator(tmp_path: Path, sshd: Sshd) -> Iterator[dict[str, str]]:
    """Labgrid's own coordinator and exporter, with a place board1 that is the sshd."""
    folder = tmp_path / "labgrid"
    folder.mkdir()
    (folder / "exporter.yaml").write_text(
        f"shelf:\n  NetworkService:\n    address: 127.0.0.1\n    username: {user()}\n"
        f"    port: {sshd.port}\n"
    )
    environment = {**os.environ, "LG_HOSTNAME": "bench", "LG_USERNAME": "ann"}
    with (folder / "log").open("wb") as log:
        words: list[str | Path] = [BIN / "labgrid-coordinator", "-l", "127.0.0.1:0"]
        serving = subprocess.Popen(
            words, cwd=folder, stdout=subprocess.PIPE, stderr=log, env=environment
        )
        assert serving.stdout
        said = serving.stdout.readline().decode()
        assert "listening on " in said
        told = {"LG_COORDINATOR": said.split()[-1], "LG_HOSTNAME": "bench"}
        environment |= told
        words = [BIN / "labgrid-exporter", "-n", "rack", "--hostname", "127.0.0.1"]
        exporting = subprocess.Popen(
            [*words, folder / "exporter.yaml"], cwd=folder, stdout=log, stderr=log, env=environment
        )
    for arguments in (["create"], ["add-match", "rack/shelf/NetworkService"]):
        labgrid(environment, "-p", "board1", *arguments)
    yield told
    exporting.terminate()
    exporting.wait()
    serving.kill()
    serving.stdout.close()
    serving.wait()


def user() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def labgrid(environment: dict[str, str], *words: str) -> str:
    return subprocess.run(
        [BIN / "labgrid-client", *words],
        env={**os.environ, "LG_USERNAME": "ann", **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_place_of_labgrid_is_acquired_and_released(
    dense_file: Path, tmp_path: Path, sshd: Sshd, coordinator: dict[str, str]
):
    (tmp_path / "targets.toml").write_text(
        f'[lab]\nshell = "ssh"\nlibrary = "{wheel_library().parent}"\nwork = "{tmp_path}/work"\n'
        f"options = {json.dumps(ssh_options(sshd))}\n"
    )
    words = ("search", dense_file, "--target", "lab", "--budget", 4, "--output", "run", *QUICK)
    found = pp_json(*words, "--address", "labgrid:board1", cwd=tmp_path, **coordinator)
    assert found["front"]
    # Part of a name is no name, though labgrid takes it.
    check = ("target", "check", "lab", "--address")
    done = pp(*check, "labgrid:board", cwd=tmp_path, status=3, **coordinator)
    assert "labgrid:board: no such place: expected one of board1" in done.stderr
    # It was released, or nobody could.
    labgrid(coordinator, "-p", "board1", "acquire")
    done = pp(*check, "labgrid:board1", cwd=tmp_path, status=3, **coordinator)
    assert "labgrid:board1: Place board1 is already acquired by bench/ann" in done.stderr
    assert "acquired: bench/ann" in labgrid(coordinator, "-p", "board1", "show")


def ssh_options(sshd: Sshd) -> list[str]:
    key = (sshd.folder / "host_key.pub").read_text()
    known = sshd.folder / "known_by_port"
    known.write_text(f"[127.0.0.1]:{sshd.port} {key}")
    return [
        f"-oIdentityFile={sshd.folder / 'user_key'}",
        "-oIdentitiesOnly=yes",
        f"-oUserKnownHostsFile={known}",
    ]
