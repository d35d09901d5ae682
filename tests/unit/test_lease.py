"""A lease keeps a device for one process, and ends with that."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.lease import Lease

HOLDER = """
import sys
from pareto_profiler.shells.lease import Lease
Lease(sys.argv[1], "x")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place() -> str:
    return f"test {uuid.uuid4().hex}"


@pytest.fixture
def holder(place: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has it."""
    words = [sys.executable, "-c", HOLDER, place]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_another_process_does_not_get_it_and_is_told_who_has_it(
    place: str, holder: subprocess.Popen[bytes]
):
    with pytest.raises(TargetError, match=rf"odroid: process {holder.pid} of .*, since .* uses it"):
        Lease(place, "odroid")


def test_it_ends_with_the_process_however_that_ends(place: str, holder: subprocess.Popen[bytes]):
    holder.kill()
    holder.wait()
    Lease(place, "odroid").release()


def test_one_process_has_it_as_often_as_it_likes(place: str):
    first, second = Lease(place, "a"), Lease(place, "a")
    first.release()
    first.release()
    words = [sys.executable, "-c", HOLDER, place]
    refused = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert refused.returncode
    second.release()
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.stdout == b"held\n"


def test_a_link_in_its_place_is_not_followed(place: str, tmp_path: Path):
    lease = Lease(place, "a")
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    path = next(Path(link) for link in links if "pareto-profiler-lease" in link)
    lease.release()
    path.unlink()
    (tmp_path / "mine").write_text("mine")
    path.symlink_to(tmp_path / "mine")
    try:
        with pytest.raises(TargetError, match="odroid: .*, which keeps it from being used twice"):
            Lease(place, "odroid")
        assert (tmp_path / "mine").read_text() == "mine"
    finally:
        path.unlink()
