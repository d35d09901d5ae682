"""One suite for every shell."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import Shell
from pareto_profiler.shells.local import LocalShell

SHELLS: dict[str, Callable[[], Shell]] = {"local": LocalShell}


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest) -> Shell:
    return SHELLS[request.param]()


def run(shell: Shell, *command: str, **environment: str):
    return shell.run(command, environment=environment, time_limit_s=20)


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_comes_back(shell: Shell, status: int):
    assert run(shell, "sh", "-c", f"exit {status}").status == status


def test_a_signal_comes_back_as_its_negative_number(shell: Shell):
    assert run(shell, "sh", "-c", "kill -SEGV $$").status == -11


def test_stdout_and_stderr_come_apart(shell: Shell):
    done = run(shell, "sh", "-c", "printf out; printf err >&2")
    assert (done.stdout, done.stderr) == (b"out", b"err")


@pytest.mark.parametrize(
    "argument",
    ["a b", "'", '"', "$HOME", "`id`", "*", "a\nb", ";exit 3", "-n", "ü€", "\\", "", "#x", "~"],
)
def test_hostile_arguments_arrive_as_they_are(shell: Shell, argument: str):
    assert run(shell, "printf", "%s", argument).stdout.decode() == argument


def test_environment_is_set_and_the_callers_own_is_not_passed_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OP_BACKEND_Conv2D", "stray")
    script = 'printf "%s|%s" "$GIVEN" "$OP_BACKEND_Conv2D"'
    assert run(shell, "sh", "-c", script, GIVEN="a 'b' $c").stdout == b"a 'b' $c|"


def test_a_time_limit_ends_the_command_and_its_children(shell: Shell, tmp_path: Path):
    mark = tmp_path / "late"
    script = f"(sleep 2; touch {mark}) & sleep 30"
    began = time.monotonic()
    done = shell.run(["sh", "-c", script], environment={}, time_limit_s=0.3)
    assert done.timed_out
    assert time.monotonic() - began < 10
    time.sleep(2.2)
    assert not mark.exists()


def test_output_before_the_time_limit_is_kept(shell: Shell):
    done = shell.run(["sh", "-c", "echo early; sleep 30"], environment={}, time_limit_s=0.5)
    assert (done.timed_out, done.stdout) == (True, b"early\n")


def test_much_output_on_both_streams_does_not_block(shell: Shell):
    done = run(shell, "sh", "-c", "yes out | head -c 3000000; yes err | head -c 3000000 >&2")
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


def test_an_absent_program_is_a_target_error(shell: Shell):
    with pytest.raises(TargetError, match="no-such-program"):
        run(shell, "no-such-program-anywhere")


@pytest.mark.parametrize("name", ["plain", "with blank", "quote'", "$x", "new\nline", "ü"])
def test_push_and_pull_keep_bytes_and_mode(shell: Shell, tmp_path: Path, name: str):
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(bytes(range(256)) * 100)
    source.chmod(0o755)
    remote = PurePosixPath(tmp_path / "new folder" / name)
    shell.push(source, remote)
    assert run(shell, "test", "-x", str(remote)).status == 0
    shell.pull(remote, back)
    assert back.read_bytes() == source.read_bytes()


def test_what_cannot_be_copied_is_a_target_error(shell: Shell, tmp_path: Path):
    with pytest.raises(TargetError, match="absent"):
        shell.push(tmp_path / "absent", PurePosixPath(tmp_path / "x"))
    with pytest.raises(TargetError, match="absent"):
        shell.pull(PurePosixPath(tmp_path / "absent"), tmp_path / "x")


def test_remove_takes_a_folder_with_all_in_it_and_minds_no_absence(shell: Shell, tmp_path: Path):
    folder = tmp_path / "work"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").touch()
    shell.remove(PurePosixPath(folder))
    assert not folder.exists()
    shell.remove(PurePosixPath(folder))


def test_an_interrupt_ends_the_command_too(tmp_path: Path):
    mark = tmp_path / "late"

    def interrupt() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), 2)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        LocalShell().run(["sh", "-c", f"sleep 1; touch {mark}"], environment={}, time_limit_s=20)
    thread.join()
    time.sleep(1.2)
    assert not mark.exists()
