"""One suite for every shell, on everything that can be reached here."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import pytest
from devices import BOARD, BOARD_ADDRESS, STAND_INS, Cable, Sshd, need, need_board

from pareto_profiler.errors import ConnectionLostError, TargetError
from pareto_profiler.shells import lease
from pareto_profiler.shells.adb import AdbShell
from pareto_profiler.shells.base import Shell
from pareto_profiler.shells.local import LocalShell
from pareto_profiler.shells.remote import RemoteShell
from pareto_profiler.shells.sdb import SdbShell
from pareto_profiler.shells.ssh import SshShell

BOARDS = [pytest.param(f"{k}-board", marks=pytest.mark.board) for k in ("ssh", "adb", "sdb")]
REMOTE = ["ssh", "sdb", *BOARDS]
KINDS = ["local", *REMOTE]


@dataclass
class Reached:
    """A shell, a folder of its own on its device, and how to disturb the connection."""

    shell: Shell
    folder: PurePosixPath
    cut: Callable[[], None] = lambda: None
    plug_out: Callable[[], None] = lambda: None
    plug_in: Callable[[], None] = lambda: None
    is_fast: bool = True

    def run(self, *command: str, time_limit_s: float = 30, **environment: str):
        return self.shell.run(command, environment=environment, time_limit_s=time_limit_s)

    def sh(self, script: str, **environment: str):
        return self.run("sh", "-c", script, **environment)

    def has(self, path: PurePosixPath) -> bool:
        return self.run("test", "-e", str(path)).status == 0


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def _leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of these tests' own: the stand-ins of those that run beside them have the same names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease, "_FOLDER", str(tmp_path_factory.mktemp("leases")))
        yield


@pytest.fixture(scope="module", params=KINDS)
def device(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reached]:
    """One connection for all tests, as in a search; each test may break it."""
    with pytest.MonkeyPatch.context() as patch:
        yield from _devices(request, request.param, tmp_path_factory.mktemp("device"), patch)


def _devices(
    request: pytest.FixtureRequest, kind: str, here: Path, patch: pytest.MonkeyPatch
) -> Iterator[Reached]:
    if kind == "local":
        yield Reached(LocalShell(), PurePosixPath(here))
        return
    folder = PurePosixPath(here)
    if is_board := kind.endswith("board"):
        need_board()
        folder = PurePosixPath(f"/tmp/test-{uuid.uuid4().hex}")
        cable = Cable(5555 if kind == "adb-board" else 2222, BOARD_ADDRESS)
        options = ["-F", str(BOARD / "ssh_config"), "-oHostName=127.0.0.1", f"-oPort={cable.port}"]
        options += [f"-oHostKeyAlias=[{BOARD_ADDRESS}]:2222"]
    else:
        server: Sshd = request.getfixturevalue("sshd")
        cable = Cable(server.port)
        options = server.config(cable.port)
    host = "board" if is_board else "here"
    shell: Shell
    match kind.removesuffix("-board"):
        case "ssh":
            shell = SshShell(host, options, patience_s=20)
            reached = Reached(shell, folder, cable.cut, cable.plug_out, cable.plug_in)
        case "adb":
            need("adb", "adb")
            patch.setenv("ANDROID_ADB_SERVER_PORT", str(5100 + os.getpid() % 400))
            shell = AdbShell(f"127.0.0.1:{cable.port}", patience_s=20)
            reached = Reached(shell, folder, cable.cut, cable.plug_out, cable.plug_in)
        case _:
            gone = here / "gone"
            patch.setenv("PATH", f"{STAND_INS}:{os.environ['PATH']}")
            patch.setenv("SDB_STAND_IN_GONE", str(gone))
            cut = cable.cut
            if is_board:
                options += ["-oControlMaster=auto", f"-oControlPath={_short_path()}"]
                patch.setenv(
                    "SDB_STAND_IN_SSH", json.dumps(["ssh", *options, "-oControlPersist=60", host])
                )
            else:
                cut = partial(_kill_shells, here)
            shell = SdbShell("192.168.0.9", folder if not is_board else PurePosixPath("/tmp"))
            reached = Reached(shell, folder, cut, gone.touch, partial(gone.unlink, missing_ok=True))
    reached.is_fast = kind == "ssh"
    yield reached
    reached.plug_in()
    shell.remove(folder)
    shell.close()
    cable.close()
    if kind == "adb-board":
        subprocess.run(["adb", "kill-server"], check=False, capture_output=True)


def _short_path() -> str:
    return f"/tmp/pp-test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def reached(device: Reached) -> Iterator[Reached]:
    """The device, with a new folder."""
    folder = device.folder / f"test-{uuid.uuid4().hex[:8]}"
    device.run("mkdir", "-p", str(folder))
    yield replace(device, folder=folder)
    device.plug_in()
    if isinstance(device.shell, RemoteShell):
        device.shell._patience_s = 20


def _kill_shells(folder: Path) -> None:
    """End the stand-in's clients that serve this test, as a pulled cable would."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            if b"stand_ins/sdb\0" in words and str(folder).encode() in words:
                os.kill(int(process.name), 9)
        except (OSError, ValueError):
            continue


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_comes_back(reached: Reached, status: int):
    assert reached.sh(f"exit {status}").status == status


def test_a_signal_comes_back_as_its_negative_number(reached: Reached):
    done = reached.sh("echo before; kill -SEGV $$")
    assert (done.status, done.stdout, done.stderr) == (-11, b"before\n", b"")


def test_stdout_and_stderr_come_apart(reached: Reached):
    done = reached.sh("printf out; printf err >&2")
    assert (done.stdout, done.stderr) == (b"out", b"err")


def test_all_bytes_come_back_as_they_are(reached: Reached):
    script = r"""printf '\001\002\r\n\n\033[1m\377\000x\n'"""
    assert reached.sh(script).stdout == b"\1\2\r\n\n\33[1m\377\0x\n"


@pytest.mark.parametrize(
    "argument",
    ["a b", "'", '"', "$HOME", "`id`", "*", "a\nb", ";exit 3", "-n", "ü€", "\\", "", "#x", "~"]
    + ["; touch x", "$(touch x)", "a\r\nb", "\t", "!!", "%s", "ä" * 100, "{a,b}"],
)
def test_hostile_arguments_arrive_as_they_are(reached: Reached, argument: str):
    assert reached.run("printf", "%s", argument).stdout.decode() == argument


def test_a_long_command_line_arrives(reached: Reached):
    words = ["x" * 100_000, *(f"{i}=acl_neon;" * 10 for i in range(1000))]
    done = reached.run("sh", "-c", 'printf "%s|" "$@" | wc -c', "sh", *words)
    assert int(done.stdout) == sum(len(word) + 1 for word in words)


def test_an_argument_with_a_nul_is_a_target_error(reached: Reached):
    with pytest.raises(TargetError):
        reached.run("printf", "a\0b")


def test_environment_is_set_and_the_callers_own_is_not_passed_on(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OP_BACKEND_Conv2D", "stray")
    script = 'printf "%s|%s" "$GIVEN" "$OP_BACKEND_Conv2D"'
    assert reached.sh(script, GIVEN="a 'b' $c\n;d").stdout == b"a 'b' $c\n;d|"


def test_stdin_is_empty(reached: Reached):
    assert reached.sh("cat; echo end").stdout == b"end\n"


def test_a_time_limit_ends_the_command_and_its_children(reached: Reached):
    mark = reached.folder / "late"
    began = time.monotonic()
    done = reached.run("sh", "-c", f"(sleep 5; touch {mark}) & sleep 300", time_limit_s=0.5)
    assert done.timed_out
    assert time.monotonic() - began < 60
    time.sleep(5)
    assert not reached.has(mark)


def test_a_time_limit_ends_children_that_left_the_session(reached: Reached):
    mark = reached.folder / "late"
    began = time.monotonic()
    script = f"setsid sh -c 'sleep 5; touch {mark}' & sleep 300"
    assert reached.run("sh", "-c", script, time_limit_s=1).timed_out
    assert time.monotonic() - began < 60
    if not isinstance(reached.shell, LocalShell):  # here there is no such need
        time.sleep(4)
        assert not reached.has(mark)


def test_a_program_that_leaves_a_child_behind_has_ended(reached: Reached):
    began = time.monotonic()
    done = reached.run("sh", "-c", "sleep 300 & echo done", time_limit_s=100)
    assert (done.status, done.stdout, done.timed_out) == (0, b"done\n", False)
    assert time.monotonic() - began < 60


def test_a_program_of_any_name_runs(reached: Reached):
    program = reached.folder / "a=b; c 'd'"
    reached.run(
        "sh", "-c", 'printf \'#!/bin/sh\necho "ran $1"\n\' >"$0"; chmod +x "$0"', str(program)
    )
    assert reached.run(str(program), "x=y").stdout == b"ran x=y\n"


def test_a_file_does_not_take_the_place_of_a_folder(reached: Reached, tmp_path: Path):
    (tmp_path / "file").touch()
    folder = reached.folder / "is here"
    reached.run("mkdir", str(folder))
    with pytest.raises(TargetError, match="is here"):
        reached.shell.push(tmp_path / "file", folder)
    assert reached.run("ls", "-A", str(folder)).stdout == b""


def test_output_before_the_time_limit_is_kept(reached: Reached):
    done = reached.run("sh", "-c", "echo early; sleep 300", time_limit_s=1.5)
    assert (done.timed_out, done.stdout) == (True, b"early\n")


def test_much_output_on_both_streams_does_not_block(reached: Reached):
    count = 3_000_000 if reached.is_fast else 200_000
    done = reached.sh(f"yes out | head -c {count}; yes err | head -c {count} >&2")
    assert (len(done.stdout), len(done.stderr)) == (count, count)


def test_an_absent_program_is_a_target_error(reached: Reached):
    with pytest.raises(TargetError, match="no-such-program"):
        reached.run("no-such-program-anywhere")


NAMES = ["plain", "with blank", "quote'", '"', "$x", "new\nline", "ü", "; touch x", "-rf", "*"]
NAMES += ["$(touch x)", "`touch x`", "ä€" * 40, "a\\", "\r\n", "~", "!x"]


@pytest.mark.parametrize("name", NAMES)
def test_push_and_pull_keep_bytes_and_mode(reached: Reached, tmp_path: Path, name: str):
    local = tmp_path / "here" / name
    local.parent.mkdir()
    local.write_bytes(bytes(range(256)) * 100)
    local.chmod(0o755)
    folder = reached.folder / f"new folder{name}"
    reached.shell.push(local, folder / name)
    back = tmp_path / "back" / name
    reached.shell.pull(folder / name, back)
    assert back.read_bytes() == local.read_bytes()
    # A name does nothing but name a file.
    listed = reached.sh(
        f"ls -A {reached.folder} | wc -l; ls -A {reached.folder}/*/ | wc -l; ls x; "
        f"find {reached.folder} -type f -perm -100 -exec echo executable ';'"
    )
    lines = b"%d" % (name.count("\n") + 1)
    assert listed.stdout.split() == [lines, lines, b"executable"]


def test_what_cannot_be_copied_is_a_target_error(reached: Reached, tmp_path: Path):
    with pytest.raises(TargetError, match="absent"):
        reached.shell.push(tmp_path / "absent", reached.folder / "x")
    with pytest.raises(TargetError, match="absent"):
        reached.shell.pull(reached.folder / "absent", tmp_path / "x")
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="full"):
        reached.shell.push(tmp_path / "file", PurePosixPath("/proc/full/x"))
    assert not (tmp_path / "x").exists()


def test_remove_takes_a_folder_with_all_in_it_and_minds_no_absence(reached: Reached):
    folder = reached.folder / "work; x"
    reached.run("mkdir", "-p", str(folder / "deep"))
    reached.run("touch", str(folder / "deep" / "file"))
    reached.shell.remove(folder)
    assert not reached.has(folder)
    reached.shell.remove(folder)


def test_an_interrupt_ends_the_command_too(reached: Reached):
    mark = reached.folder / "late"
    reached.run("true")

    def interrupt() -> None:
        time.sleep(1)
        os.kill(os.getpid(), 2)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        reached.sh(f"sleep 3; touch {mark}")
    thread.join()
    time.sleep(3)
    assert not reached.has(mark)


def test_closed_and_used_again_it_connects_again(reached: Reached):
    reached.shell.close()
    assert reached.run("true").status == 0
    reached.shell.close()


remote_only = pytest.mark.parametrize("device", REMOTE, indirect=True)


@remote_only
def test_a_dropped_connection_is_made_again_and_nothing_is_left_running(reached: Reached):
    begun, mark = reached.folder / "begun", reached.folder / "late"

    def cut() -> None:
        time.sleep(1.5)
        reached.cut()

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(ConnectionLostError):
        reached.sh(f": {reached.folder}; touch {begun}; sleep 5; touch {mark}")
    thread.join()
    assert reached.has(begun)
    time.sleep(4)
    assert not reached.has(mark)


@remote_only
def test_a_connection_lost_between_commands_is_not_noticed(reached: Reached):
    assert reached.run("true").status == 0
    reached.cut()
    assert reached.sh("echo x").stdout == b"x\n"


@remote_only
def test_a_device_that_comes_back_in_time_is_waited_for(reached: Reached):
    assert reached.run("true").status == 0
    reached.plug_out()
    threading.Timer(2, reached.plug_in).start()
    assert reached.sh("echo x").stdout == b"x\n"


@remote_only
def test_a_device_that_stays_away_is_a_target_error(reached: Reached):
    assert reached.run("true").status == 0
    reached.shell._patience_s = 1
    reached.plug_out()
    with pytest.raises(TargetError, match="waited 1 s") as error:
        reached.run("true")
    assert not isinstance(error.value, ConnectionLostError)
    reached.plug_in()


@remote_only
def test_a_device_that_was_never_there_is_not_waited_for(reached: Reached):
    reached.shell.close()
    reached.shell._patience_s = 60
    reached.plug_out()
    began = time.monotonic()
    with pytest.raises(TargetError, match="cannot be reached"):
        reached.run("true")
    assert time.monotonic() - began < 30
    reached.plug_in()


def test_a_file_that_is_cut_off_in_transfer_arrives_whole(sshd: Sshd, tmp_path: Path):
    cable = Cable(sshd.port)
    shell = SshShell("here", sshd.config(cable.port))
    source = tmp_path / "source"
    source.write_bytes(os.urandom(200_000_000))
    shell.run(["true"], environment={}, time_limit_s=10)
    threading.Timer(0.4, cable.cut).start()
    shell.push(source, PurePosixPath(tmp_path / "pushed"))
    assert (tmp_path / "pushed").read_bytes() == source.read_bytes()
    threading.Timer(0.4, cable.cut).start()
    shell.pull(PurePosixPath(tmp_path / "pushed"), tmp_path / "pulled")
    assert (tmp_path / "pulled").read_bytes() == source.read_bytes()
    assert cable.connections > 1
    shell.close()


def test_an_unknown_host_key_is_refused(sshd: Sshd):
    shell = SshShell("here", sshd.config(known=False))
    with pytest.raises(TargetError, match="[Hh]ost key"):
        shell.run(["true"], environment={}, time_limit_s=10)
    shell.close()


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch x"])
def test_an_option_is_no_host(host: str):
    with pytest.raises(TargetError, match="expected"):
        SshShell(host)


def test_one_connection_serves_all_commands(sshd: Sshd):
    cable = Cable(sshd.port)
    shell = SshShell("here", sshd.config(cable.port))
    for _ in range(5):
        shell.run(["true"], environment={}, time_limit_s=10)
    assert cable.connections == 1
    shell.close()


def test_sdb_is_asked_for_root_unless_told_not_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", f"{STAND_INS}:{os.environ['PATH']}")
    monkeypatch.delenv("SDB_STAND_IN_SSH", raising=False)
    for root in (True, False):
        log = tmp_path / f"log-{root}"
        monkeypatch.setenv("SDB_STAND_IN_LOG", str(log))
        shell = SdbShell("", PurePosixPath(tmp_path), root=root)
        shell.run(["true"], environment={}, time_limit_s=10)
        assert ('["root", "on"]' in log.read_text()) is root


def test_what_a_login_script_prints_does_no_harm(tmp_path: Path):
    server = Sshd(tmp_path, login="echo hello; echo noise >&2")
    shell = SshShell("here", server.config())
    done = shell.run(["sh", "-c", "echo x; echo y >&2"], environment={}, time_limit_s=10)
    assert (done.stdout, done.stderr) == (b"x\n", b"y\n")
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)))
    shell.push(source, PurePosixPath(tmp_path / "pushed"))
    shell.pull(PurePosixPath(tmp_path / "pushed"), tmp_path / "pulled")
    assert (tmp_path / "pulled").read_bytes() == source.read_bytes()
    shell.close()
    server.stop()


def test_a_users_configuration_for_logins_does_no_harm(sshd: Sshd, tmp_path: Path):
    options = sshd.config()
    config = tmp_path / "config"
    config.write_text(
        Path(options[1]).read_text() + "  RemoteCommand tmux attach\n  RequestTTY yes\n"
        "  StdinNull yes\n  ControlMaster auto\n  ForwardAgent yes\n"
    )
    shell = SshShell("here", ["-F", str(config)])
    assert shell.run(["echo", "x"], environment={}, time_limit_s=10).stdout == b"x\n"
    shell.close()


def test_endless_output_is_cut_in_its_middle(sshd: Sshd):
    for shell in (LocalShell(), SshShell("here", sshd.config())):
        lines = "echo begin; head -c 150000000 /dev/zero; echo; echo end"
        done = shell.run(["sh", "-c", lines], environment={}, time_limit_s=60)
        assert done.stdout.startswith(b"begin\n")
        assert done.stdout.endswith(b"\nend\n")
        assert len(done.stdout) < 100_000_000
        shell.close()


def test_no_connection_outlives_its_shell(sshd: Sshd):
    cable = Cable(sshd.port)
    shell = SshShell("here", sshd.config(cable.port))
    for _ in range(3):
        shell.run(["true"], environment={}, time_limit_s=10)
        shell._connect()
    socket = shell._socket
    shell.close()
    assert not socket.parent.exists()

    def is_alive(process: Path) -> bool:
        with contextlib.suppress(OSError):
            return str(socket).encode() in (process / "cmdline").read_bytes()
        return False

    # A busy machine takes its time to end what was told to end.
    for _ in range(100):
        left = [p for p in Path("/proc").glob("[0-9]*") if is_alive(p)]
        if not left:
            break
        time.sleep(0.05)
    assert left == []
    cable.close()


@pytest.mark.parametrize("name", ["with blank", "100%", "long" * 30])
def test_a_temporary_folder_of_any_name_serves(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
    shell = SshShell("here", sshd.config())
    assert shell.run(["true"], environment={}, time_limit_s=10).status == 0
    shell.close()


def test_what_watches_the_time_does_not_hold_sdbs_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A shell that misses the signal to end watches on, and sdb waits for the terminal's end."""
    monkeypatch.setenv("PATH", f"{STAND_INS}:{os.environ['PATH']}")
    monkeypatch.delenv("SDB_STAND_IN_SSH", raising=False)
    shell = SdbShell("", PurePosixPath(tmp_path))
    found: list[str] = []

    def look() -> None:
        for _ in range(200):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if (process / "cmdline").read_bytes() == b"sleep\x0023.7\0":
                        found.append(str((process / "fd" / "1").readlink()))
                        return
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    shell.run(["sleep", "1"], environment={}, time_limit_s=23.7)
    thread.join()
    assert found == ["/dev/null"]


def test_an_sdb_that_hangs_runs_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SDB_STAND_IN_SSH", raising=False)
    wrapper = tmp_path / "bin" / "sdb"
    wrapper.parent.mkdir()
    hangs = 'case "$*" in *"shell sh "*) sleep 60;; esac'
    wrapper.write_text(f'#!/bin/sh\n{STAND_INS}/sdb "$@"\n{hangs}\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("pareto_profiler.shells.sdb._GRACE_S", 1.0)
    shell = SdbShell("x", PurePosixPath(tmp_path / "scratch"))
    count = tmp_path / "count"
    done = shell.run(["sh", "-c", f"echo x >>{count}"], environment={}, time_limit_s=2)
    assert done.status == 0
    assert count.read_text() == "x\n"
