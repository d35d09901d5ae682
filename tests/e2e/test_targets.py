"""Measuring on a device, over a real ssh: one command from here, cuts, and cleaning up."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from build_model import build, dense
from devices import ROOT, STAND_INS, Cable, Sshd
from e2e.command import command, pp, pp_error, pp_json, run
from rooms import ONERT, onert_problem, onert_space
from stand_ins.onert_run import ERAS, install

from pareto_profiler import drivers
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Granularity
from pareto_profiler.core.trial import Failure
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.runners.inputs import random_inputs
from pareto_profiler.runtimes.onert import installation
from pareto_profiler.runtimes.onert.engine import OnertEngine, wheel_library
from pareto_profiler.samplers.random import RandomSampler
from pareto_profiler.shells.base import Completed
from pareto_profiler.shells.ssh import SshShell

QUICK = ("--repeats", 3, "--warmups", 0)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "on the device"


@pytest.fixture
def folder(tmp_path: Path, sshd: Sshd, work: Path) -> Path:
    """A folder with a targets.toml: the device is this machine, behind ssh."""
    here = tmp_path / "here"
    here.mkdir()
    write_targets(here, sshd.config(), work)
    return here


def write_targets(here: Path, options: list[str], work: Path, more: str = "") -> None:
    (here / "targets.toml").write_text(
        f'[lab]\nshell = "ssh"\naddress = "here"\noptions = {json.dumps(options)}\n'
        f'library = "{wheel_library().parent}"\nwork = "{work}"\n{more}\n'
        f'[odroid]\naddress = "here"\noptions = {json.dumps(options)}\nwork = "{work}"\n'
    )


def test_one_command_searches_on_the_device(dense_file: Path, folder: Path, work: Path):
    options = ("search", dense_file, "--target", "lab", "--output", "run", *QUICK)
    found = pp_json(*options, cwd=folder)
    assert found["front"]
    header = json.loads((folder / "run" / "journal.jsonl").read_text().splitlines()[0])
    assert (header["target"], header["runtime"]) == ("lab", "onert 1.30.0")
    assert header["machine"]["architecture"] == os.uname().machine
    # Placements were read back over there, and of the search nothing is left but the driver.
    assert '"record":"placement"' in (folder / "run" / "journal.jsonl").read_text()
    assert [path.name.split("-")[0] for path in work.iterdir()] == ["driver"]
    again = pp(*options, cwd=folder)
    assert "going on in run" in again.stderr
    assert "cleaned" not in again.stderr
    pp("target", "clean", "lab", cwd=folder)
    assert not work.exists()


def test_of_litert_one_library_is_pushed(dense_file: Path, folder: Path, work: Path):
    options = ("search", dense_file, "--runtime", "litert", "--target", "lab", *QUICK)
    found = pp_json(*options, "--output", "run", cwd=folder)
    assert found["front"]
    header = json.loads((folder / "run" / "journal.jsonl").read_text().splitlines()[0])
    assert header["target"] == "lab"
    assert header["runtime"].startswith("litert 2.")
    there = {path.name.split("-")[0]: path for path in work.iterdir()}
    assert set(there) == {"driver", "library"}
    pushed = there["library"].stat().st_mtime_ns
    pp("target", "check", "lab", dense_file, "--runtime", "litert", cwd=folder)
    assert there["library"].stat().st_mtime_ns == pushed
    pp("target", "clean", "lab", cwd=folder)
    assert not work.exists()


def test_the_same_figures_as_here(dense_file: Path, folder: Path):
    here = pp_json("search", dense_file, "--output", "a", *QUICK, cwd=folder)
    there = pp_json("search", dense_file, "--target", "lab", "--output", "b", *QUICK, cwd=folder)
    a, b = (found["baseline"]["values"]["max_rss"] for found in (here, there))
    assert b == pytest.approx(a, rel=0.05)


def test_a_run_of_one_target_is_not_continued_on_another(dense_file: Path, folder: Path):
    pp("search", dense_file, "--output", "run", "--budget", 2, *QUICK, cwd=folder)
    done = pp(
        *("search", dense_file, "--output", "run", "--target", "lab", *QUICK), cwd=folder, status=2
    )
    assert "target local → lab" in done.stderr


def test_the_plan_of_a_target_counts_unless_an_option_says_otherwise(
    dense_file: Path, tmp_path: Path, sshd: Sshd, work: Path
):
    plan = "[lab.plan]\nrepeats = 4\nwarmups = 2\ncpus = '0'\npause_s = 0.25\n"
    write_targets(tmp_path, sshd.config(), work, plan)
    options = ("search", dense_file, "--target", "lab", "--budget", 1)
    began = time.monotonic()
    pp(*options, "--warmups", 1, "--output", "run", cwd=tmp_path)
    assert time.monotonic() - began > 0.25
    lines = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
    kept = json.loads(lines[0])["plan"]
    assert (kept["repeats"], kept["warmups"], kept["cpus"], kept["pause_s"]) == (4, 1, "0", 0.25)
    trial = json.loads(lines[1])
    assert (len(trial["samples"]["exec_time"]), len(trial["warmups"]["exec_time"])) == (4, 1)


def test_processors_and_pauses_do_something(dense_file: Path, tmp_path: Path):
    began = time.monotonic()
    pp("search", dense_file, "--output", "a", "--pause", "1s", "--budget", 2, cwd=tmp_path)
    assert time.monotonic() - began > 2
    done = pp("search", dense_file, "--cpus", "999", cwd=tmp_path, status=3)
    assert "cpus 999: there are no such processors here" in done.stderr
    done = pp("search", dense_file, "--cpus", "four", cwd=tmp_path, status=2)
    assert "expected something like 0,4-7" in done.stderr


def test_check_tells_what_the_target_can_do(dense_file: Path, folder: Path, tmp_path: Path):
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    found = pp_json("target", "check", "lab", dense_file, cwd=folder, **cache)
    assert found["runtime"] == "onert 1.30.0"
    assert found["loading"] == {"cpu": True, "ruy": True}
    assert found["refusals"]["cpu"] == {"FullyConnected": "", "ElementwiseActivation": ""}
    assert found["refusals"]["ruy"]["FullyConnected"] == ""
    assert "NYI" in found["refusals"]["ruy"]["ElementwiseActivation"]
    assert found["remarks"] == []
    # What was found out is not asked for again.
    (kept,) = (tmp_path / "cache" / "pareto-profiler").iterdir()
    known = json.loads(kept.read_text())
    known["ruy:FullyConnected"] = "from the cache"
    kept.write_text(json.dumps(known))
    done = pp("target", "check", "lab", dense_file, cwd=folder, **cache)
    assert "from the cache" in done.stdout
    assert "--forbid ruy:FullyConnected" in done.stdout


def test_check_looks_at_the_backends_of_the_file(
    dense_file: Path, tmp_path: Path, sshd: Sshd, work: Path
):
    write_targets(tmp_path, sshd.config(), work, 'backends = ["ruy", "acl_cl"]')
    done = pp("target", "check", "lab", dense_file, cwd=tmp_path, status=3)
    assert "backend acl_cl, which lab is to have, is not there: there are cpu, ruy" in done.stdout
    assert "ready to measure" not in done.stdout
    done = pp("search", dense_file, "--target", "lab", cwd=tmp_path, status=2)
    assert "target lab has no backend acl_cl, it has cpu, ruy" in done.stderr


def test_check_takes_a_library(folder: Path):
    library = ("--onert-library", wheel_library().parent)
    done = pp("target", "check", "odroid", *library, cwd=folder)
    assert "ready to measure" in done.stdout
    done = pp("target", "clean", "odroid", cwd=folder)
    assert "removed driver-" in done.stdout
    assert "nothing, it is clean" in pp("target", "clean", "odroid", cwd=folder).stdout


def test_what_ssh_refuses_comes_with_advice(folder: Path, sshd: Sshd, work: Path):
    write_targets(folder, sshd.config(known=False), work)
    done = pp("target", "check", "lab", cwd=folder, status=3)
    assert "connect once with ssh" in done.stderr
    write_targets(folder, [*sshd.config(), "-oPubkeyAuthentication=no"], work)
    done = pp("target", "check", "lab", cwd=folder, status=3)
    assert "let your key in with ssh-copy-id" in done.stderr


def test_options_undo_the_plan_of_the_file(
    dense_file: Path, tmp_path: Path, sshd: Sshd, work: Path
):
    write_targets(tmp_path, sshd.config(), work, "[lab.plan]\npause_s = 5\ncpus = '0'\n")
    options = ("--cpus", "all", "--pause", "0s", "--budget", 1, "--output", "run", *QUICK)
    pp("search", dense_file, "--target", "lab", *options, cwd=tmp_path)
    kept = json.loads((tmp_path / "run" / "journal.jsonl").read_text().splitlines()[0])["plan"]
    assert (kept["cpus"], kept["pause_s"]) == ("", 0.0)


def test_check_says_what_is_wrong(folder: Path, sshd: Sshd, work: Path):
    done = pp("target", "check", "odroid", cwd=folder, status=3)
    assert "no libonert.so or libnnfw-dev.so in the usual places" in done.stdout
    write_targets(folder, sshd.config(port=1), work)
    done = pp("target", "check", "lab", cwd=folder, status=3)
    assert "cannot be reached" in done.stderr


def test_targets_are_listed(folder: Path):
    assert "lab" in pp("target", "list", cwd=folder).stdout
    known = pp_json("target", "list", cwd=folder)
    assert known["lab"]["address"] == "here"
    assert {"local", "odroid", "tizen", "android"} <= set(known)


def test_brackets_are_no_markup(folder: Path):
    (folder / "targets.toml").write_text(
        '[lab]\nlike = "odroid"\naddress = "[/foo]"\nlibrary = "/tmp/[/b]/x"\n'
    )
    assert "[/foo]" in pp("target", "list", cwd=folder).stdout


@pytest.mark.parametrize("cpus", ["0-3000000000", "5-2", "", ","])
def test_processors_are_checked_here(dense_file: Path, tmp_path: Path, cpus: str):
    done = pp("search", dense_file, f"--cpus={cpus or 'x'}", cwd=tmp_path, status=2)
    assert "expected something like 0,4-7" in done.stderr


def test_a_device_that_restarts_between_two_trials_gets_its_files_again(
    dense_file: Path, tmp_path: Path, sshd: Sshd, work: Path
):
    cable = Cable(sshd.port)
    write_targets(tmp_path, sshd.config(cable.port), work, "patience_s = 20")
    journal = tmp_path / "run" / "journal.jsonl"

    def restart() -> None:
        while not journal.exists() or '"number":2' not in journal.read_text():
            time.sleep(0.05)
        cable.plug_out()
        shutil.rmtree(work)
        cable.plug_in()

    thread = threading.Thread(target=restart)
    thread.start()
    options = ("--granularity", "operation", "--pause", "0.5s", "--output", "run", "--no-confirm")
    options += ("--anchor-every", 0, "--retries", 0, "--sampler", "random", *QUICK)
    pp("search", dense_file, "--target", "lab", *options, cwd=tmp_path)
    thread.join()
    cable.close()
    failed = [line for line in journal.read_text().splitlines() if '"failure"' in line]
    assert all("NYI" in line for line in failed)
    assert journal.read_text().count('"record":"trial"') == 9


def test_cleaning_takes_only_what_this_tool_left(folder: Path, work: Path):
    work.mkdir()
    token = "0123456789abcdef" * 2
    own = ["driver-0123456789ab", "run-0123456789ab", f"pareto-profiler-{token}.d"]
    others = ["check", "driver-notes", "mine", "run-my-thesis"]
    for name in (*own, *others):
        (work / name).mkdir()
    pp("target", "clean", "lab", cwd=folder)
    assert sorted(path.name for path in work.iterdir()) == others
    for name in others:
        (work / name).rmdir()
    pp("target", "clean", "lab", cwd=folder)
    assert not work.exists()
    pp("target", "clean", "lab", cwd=folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lab", "no TOML"),
        ("[lab]\n", "expected shell = one of"),
        ("lab = 3\n", "expected a table"),
        ('[lab]\nshell = "telnet"\n', "expected one of local, ssh"),
        ('[lab]\nlike = "odroid"\nhost = "x"\n', "unknown key 'host'"),
        ('[lab]\nlike = "xu4"\n', "expected one of local, odroid"),
        ('[lab]\nlike = "odroid"\nwork = "tmp"\n', "expected an absolute path"),
        ('[lab]\nlike = "odroid"\nwork = "/"\n', "expected an absolute path"),
        ('[lab]\nlike = "odroid"\n[lab.plan]\nrepeats = "5"\n', "expected an integer"),
        ('[lab]\nlike = "odroid"\n[lab.plan]\nspeed = 5\n', "unknown key 'speed'"),
        ('[lab]\nlike = "odroid"\n[lab.plan]\nrepeats = -5\n', "expected 1 to"),
        ('["a b"]\nlike = "odroid"\n', "letters, digits"),
        ('[local]\naddress = "me@there"\n', "expected no address"),
        ('[lab]\nlike = "odroid"\n[lab.plan]\npause_s = nan\n', "expected 0.0 to"),
        ('[lab]\nlike = "odroid"\n[lab.plan]\ntime_limit_s = inf\n', "expected 0.1 to"),
        ('[lab]\nlike = "odroid"\n[lab.plan]\nrepeats = 0\n', "expected 1 to"),
        ('[lab]\nlike = "odroid"\n[lab.plan]\nthreads = 100000\n', "expected 1 to 1024"),
        ('[lab]\nlike = "odroid"\n[lab.plan]\ncpus = "four"\n', "something like 0,4-7"),
        ('[lab]\nlike = "odroid"\naddress = "a\\u0000b"\n', "expected a text"),
    ],
)
def test_a_wrong_targets_file_is_one_line(tmp_path: Path, text: str, words: str):
    (tmp_path / "targets.toml").write_text(text)
    done = pp("target", "list", cwd=tmp_path, status=2)
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_example_of_the_docs_is_a_targets_file(tmp_path: Path):
    page = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "targets.toml").write_text(example)
    lab = pp_json("target", "list", cwd=tmp_path)["lab"]
    assert lab["shell"] == "ssh"
    assert lab["plan"] == {"repeats": 20, "cpus": "4-7", "pause_s": 2.0}
    # Every key of the file is explained there.
    explained = set(re.findall(r"^(\w+) =", example, re.MULTILINE))
    assert set(lab) - {"name", "shell", "root", "plan"} <= explained


def test_a_target_that_nobody_knows_is_one_line(dense_file: Path, tmp_path: Path):
    done = pp("search", dense_file, "--target", "moon", cwd=tmp_path, status=2)
    assert "target 'moon': expected one of local, odroid, tizen, android" in done.stderr
    done = pp("search", dense_file, "--address", "me@there", cwd=tmp_path, status=2)
    assert "target local is this machine" in done.stderr
    done = pp("search", dense_file, "--targets", "none.toml", cwd=tmp_path, status=2)
    assert "none.toml: cannot be read" in done.stderr


def test_a_device_that_goes_away_ends_the_search_with_all_that_was_measured(
    dense_file: Path, tmp_path: Path, sshd: Sshd, work: Path
):
    cable = Cable(sshd.port)
    write_targets(tmp_path, sshd.config(cable.port), work, "patience_s = 1")
    options = ("search", dense_file, "--target", "lab", "--output", "run", "--allow", "ruy:*")
    options += ("--granularity", "operation", "--pause", "0.2s", *QUICK)
    journal = tmp_path / "run" / "journal.jsonl"

    def plug_out_after_some() -> None:
        while not journal.exists() or journal.read_text().count('"record":"trial"') < 3:
            time.sleep(0.05)
        cable.plug_out()

    threading.Thread(target=plug_out_after_some).start()
    done = pp(*options, cwd=tmp_path, status=3)
    assert "waited 1 s" in done.stderr
    assert "To go on: pareto-profiler search" in done.stderr
    kept = journal.read_text().count('"record":"trial"')
    assert kept
    cable.plug_in()
    again = pp(*options, "--budget", kept + 3, cwd=tmp_path)
    assert f"{kept} trials are there" in again.stderr
    cable.close()


def running_on_the_device(work: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
            if words.startswith(str(work)):
                found.append(words)
    return found


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)],
)
def test_what_a_killed_search_had_started_on_the_device_ends_too(
    dense_file: Path, folder: Path, work: Path, number: signal.Signals
):
    options = ("search", dense_file, "--target", "lab", "--output", "run", "--repeats", 100_000)
    process = subprocess.Popen(
        command("pareto-profiler", *options),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while not running_on_the_device(work):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    process.wait()
    end = time.monotonic() + 5
    while running_on_the_device(work):
        assert time.monotonic() < end
        time.sleep(0.05)


class Counting(SshShell):
    """Counts measurements, connections, and commands of any kind that came to their end."""

    measured = connected = answered = 0

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], time_limit_s: float
    ) -> Completed:
        done = super().run(command, environment=environment, time_limit_s=time_limit_s)
        if any('"warmups"' in word for word in command):
            self.measured += 1
        return done

    def _connect(self) -> None:
        super()._connect()
        self.connected += 1

    def _attempt(self, *arguments: Any) -> tuple[Completed | None, bool]:
        answer, began = super()._attempt(*arguments)
        self.answered += answer is not None
        return answer, began


def test_ten_cuts_cost_nothing_but_what_was_in_flight(tmp_path: Path, sshd: Sshd):
    file = tmp_path / "model.tflite"
    file.write_bytes(build(dense(layers=8)))
    model = ONERT.read(file)
    graph = model.graph
    space = onert_space(graph, ("cpu", "ruy"), Granularity.OPERATION)
    cable = Cable(sshd.port)
    shell = Counting("here", sshd.config(cable.port), patience_s=20)
    work = PurePosixPath(tmp_path / "device")
    driver = installation.install(shell, work=work, library=str(wheel_library()))
    plan = Plan(repeats=20, pause_s=0.05)
    inputs = random_inputs(graph, 0)
    runner = OnertEngine(driver, work / "run", space, plan, model=model, inputs=inputs)
    journal, cuts, stop = MemoryJournal(), 0, threading.Event()

    def cut_at_random() -> None:
        nonlocal cuts
        generator, seen, answered, in_a_row = random.Random(0), 0, 0, 0
        while cuts < 10 and not stop.wait(generator.uniform(0.1, 0.7)):
            if shell.answered > answered:
                answered, in_a_row = shell.answered, 0
            # However slow this machine: five losses in a row are the device's fault.
            if shell.connected > seen and in_a_row < 3:
                seen = shell.connected
                cable.cut()
                cuts += 1
                in_a_row += 1

    thread = threading.Thread(target=cut_at_random)
    thread.start()
    made = search(
        space,
        RandomSampler(onert_problem(space, seed=0)),
        runner,
        journal,
        Budget(60),
        source="random",
    )
    trials = list(made)
    stop.set()
    thread.join()
    runner.close()
    shell.close()
    cable.close()
    assert cuts == 10
    assert len(trials) == len(journal.trials) == 60
    assert len({trial.assignment for trial in trials}) == 60
    assert not [t.outcome.message for t in trials if isinstance(t.outcome, Failure)]
    # Each measurement that was not cut short is a trial: none was made twice.
    assert shell.measured == 60


@pytest.mark.parametrize(
    "era",
    ["head", *(pytest.param(n, marks=pytest.mark.thorough) for n in ("2021", "1.26", "1.29"))],
)
def test_the_seeds_commands_drive_a_devices_own_tool(
    dense_file: Path, folder: Path, tmp_path: Path, era: str
):
    tools = tmp_path / "out" / "bin"
    install(tools, era, drivers.binary("onert"), wheel_library())
    done = run("gen_oplist", dense_file, "odroid", "--auth", "here", cwd=folder)
    assert "copied to here:/tmp/oplist.json" in done.stdout
    assert json.loads(Path("/tmp/oplist.json").read_text()) == json.loads(
        (folder / "oplist.json").read_text()
    )
    options = ("--backends", "cpu,ruy")
    run("brute_force_profiler", dense_file, "odroid", tools, *options, cwd=folder)
    dump = json.loads((folder / "brute_force_profile.json").read_text())
    assert [s["id"] for s in dump["solutions"]]
    journal = folder / "brute_force_profile.json.run" / "journal.jsonl"
    assert f"onert {ERAS[era]['version']} ({ERAS[era]['tool']})" in journal.read_text()
    target = ("--target", "odroid", "--dumpfile", "random.json")
    run("random_sampler", dense_file, tools, *options, *target, "--iterations", 2, cwd=folder)
    assert json.loads((folder / "random.json").read_text())["solutions"]


def test_on_the_device_itself_the_target_is_local(dense_file: Path, tmp_path: Path):
    tools = tmp_path / "out" / "bin"
    install(tools, "1.26", drivers.binary("onert"), wheel_library())
    run("gen_oplist", dense_file, "local", cwd=tmp_path)
    options = ("--backends", "cpu,ruy")
    run("brute_force_profiler", dense_file, "local", tools, *options, cwd=tmp_path)
    assert json.loads((tmp_path / "brute_force_profile.json").read_text())["solutions"]
    done = run("random_sampler", dense_file, tmp_path, cwd=tmp_path, status=3)
    assert "none of onert_run, nnpackage_run, libonert.so, libnnfw-dev.so there" in done.stderr


def test_a_run_folder_with_a_library_is_measured_with_the_probe(
    dense_file: Path, folder: Path, tmp_path: Path
):
    (tmp_path / "product" / "bin").mkdir(parents=True)
    (tmp_path / "product" / "lib").symlink_to(wheel_library().parent)
    run_folder = tmp_path / "product" / "bin"
    run("brute_force_profiler", dense_file, "odroid", run_folder, cwd=folder)
    dump = json.loads((folder / "brute_force_profile.json").read_text())
    assert len(dump["solutions"]) == 2


def test_gen_oplist_copies_to_a_tizen_device(
    dense_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", f"{STAND_INS}:{os.environ['PATH']}")
    monkeypatch.delenv("SDB_STAND_IN_SSH", raising=False)
    Path("/tmp/oplist.json").unlink(missing_ok=True)
    done = run("gen_oplist", dense_file, "tizen", cwd=tmp_path)
    assert "copied to tizen:/tmp/oplist.json" in done.stdout
    assert Path("/tmp/oplist.json").read_bytes() == (tmp_path / "oplist.json").read_bytes()
    Path("/tmp/oplist.json").unlink()


def test_gen_oplist_needs_to_know_where_the_odroid_is(dense_file: Path, tmp_path: Path):
    done = run("gen_oplist", dense_file, "odroid", cwd=tmp_path, status=2)
    assert "--address user@host" in done.stderr or "--auth" in done.stderr


def test_a_search_on_tizen_measures_through_sdb(
    dense_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", f"{STAND_INS}:{os.environ['PATH']}")
    monkeypatch.delenv("SDB_STAND_IN_SSH", raising=False)
    (tmp_path / "targets.toml").write_text(
        f'[tizen]\nlibrary = "{wheel_library().parent}"\nwork = "{tmp_path / "work"}"\n'
    )
    options = ("search", dense_file, "--target", "tizen", "--output", "run", *QUICK)
    found = pp_json(*options, cwd=tmp_path)
    assert found["front"]


def test_the_doctor_looks_at_a_device(folder: Path):
    found = pp_json("doctor", "--target", "lab", "--processes", 6, cwd=folder)
    assert found["noise_floor"]["processes"] == 6
    elsewhere = ("--target", "lab", "--targets", "nowhere.toml")
    assert "nowhere.toml" in pp_error("doctor", *elsewhere, cwd=folder)


def test_confirming_goes_to_the_device_the_run_was_made_on(
    folder: Path, mobilenet_file: Path, tmp_path: Path
):
    options = ("--vary", "memory_planner", "--margin", 0, "--anchor-every", 3, "--no-confirm")
    pp(
        *("search", mobilenet_file, "--target", "lab", "--output", "run", "--budget", 14),
        *(*QUICK, *options),
        cwd=folder,
    )
    (folder / "targets.toml").rename(tmp_path / "moved.toml")
    assert "lab" in pp_error("confirm", "run", cwd=folder)
    pp(
        *("confirm", "run", "--targets", tmp_path / "moved.toml", "--budget", 4),
        *("--address", "here", "--anchor-every", 2),
        cwd=folder,
    )
    journal = (folder / "run" / "journal.jsonl").read_text()
    assert 14 < journal.count('"record":"trial"') <= 18


def test_an_objective_that_a_target_does_not_tell_ends_in_one_line(
    dense_file: Path, tmp_path: Path
):
    tools = tmp_path / "bin"
    install(tools, "1.26", drivers.binary("onert"), wheel_library())
    (tmp_path / "targets.toml").write_text(
        f'[mine]\nshell = "local"\ntool = "{tools}"\nrunner = "tool"\n'
    )
    options = ("--target", "mine", "--backends", "cpu", "--budget", 3)
    options = (*options, "--objectives", "exec_time,anon_rss")
    said = pp_error("search", dense_file, *options, "--output", "run", cwd=tmp_path)
    assert "objective anon_rss: this target does not tell it; it tells exec_time" in said
