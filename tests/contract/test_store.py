"""The store: nothing is lost, nothing foreign is taken, damage is named."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pareto_profiler.core.measurement import METRIC_UNITS, Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.trial import Failure, Placement, Trial
from pareto_profiler.errors import FailureKind, StoreError, StoreWriteError
from pareto_profiler.storage.journal import Store, read

SPACE = DecisionSpace.by_names(("cpu", "ruy"), ["Conv2D", "Pool2D", "Softmax"])
HEADER = Header(
    model_name="net",
    model_digest="ab" * 32,
    space=SPACE,
    objectives=("exec_time", "max_rss"),
    plan=Plan(),
    target="local",
    runtime="onert 1.30.0",
    machine={"architecture": "x86_64", "cpu": "A processor", "cores": 2},
    sampler="random",
    seed=3,
    tool_version="0.1.0",
    created_at="2026-01-01T00:00:00+00:00",
)
MEASURED = Measurement(
    {"exec_time": (0.1, 0.30000000000000004), "max_rss": (1024.0,)},
    {"exec_time": (0.5,)},
    output_error=1e-7,
    notes=("a note",),
)


def trial(number: int, outcome: Measurement | Failure = MEASURED) -> Trial:
    assignment = SPACE.assignment_of(number % 8)
    return Trial(number, assignment, outcome, "random", "2026-01-01T00:00:00+00:00", 0.25)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


@pytest.fixture
def filled(path: Path) -> Path:
    store = Store(path, HEADER)
    for number in range(3):
        store.append(trial(number))
    store.close()
    return path


def opened(path: Path, header: Header = HEADER) -> list[int]:
    store = Store(path, header)
    store.close()
    return [t.number for t in store.trials]


def test_what_is_appended_is_read_back_exactly(path: Path):
    store = Store(path, HEADER)
    failed = trial(1, Failure(FailureKind.CRASHED, 'ended by SIGSEGV | "quoted" \n ü'))
    placement = Placement(trial(0).assignment, ((0, "cpu"), (1, "ruy")), ("operation 1: …",))
    for entry in (trial(0), failed, placement):
        store.append(entry)
    store.close()
    recording = read(path)
    assert recording.header == HEADER
    assert tuple(recording.trials) == (trial(0), failed)
    assert recording.trials[0].started_at == "2026-01-01T00:00:00+00:00"
    assert recording.trials[0].duration_s == 0.25
    assert tuple(recording.placements) == (placement,)
    assert read(path.parent) == recording
    again = Store(path, HEADER)
    assert (again.trials, again.placements) == ((trial(0), failed), (placement,))
    again.close()


def test_several_at_once_are_written_as_one_by_one_but_synchronised_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    synchronised: list[int] = []
    monkeypatch.setattr(os, "fsync", synchronised.append)
    entries = [trial(0), Placement(trial(0).assignment, ((0, "cpu"),), ()), trial(1), trial(2)]
    at_once = Store(path, HEADER)
    began = len(synchronised)
    at_once.extend(entries)
    assert len(synchronised) == began + 1
    one_by_one = Store(path.parent / "other.jsonl", HEADER)
    began = len(synchronised)
    for entry in entries:
        one_by_one.append(entry)
    assert len(synchronised) == began + len(entries)
    assert one_by_one.path.read_bytes() == path.read_bytes()
    assert one_by_one.recording == at_once.recording
    at_once.close()
    one_by_one.close()


def test_of_several_that_do_not_fit_none_is_kept(filled: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = Store(filled, HEADER)
    resource.setrlimit(resource.RLIMIT_FSIZE, (filled.stat().st_size + 400, before[1]))
    try:
        with pytest.raises(StoreWriteError, match="the 3 trials before are intact"):
            store.extend(trial(number) for number in range(3, 30))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(store.trials) == 3
    store.append(trial(3))
    store.close()
    assert opened(filled) == [0, 1, 2, 3]


floats = st.floats(0, 9e4, allow_nan=False, width=64)
measurements = st.builds(
    Measurement,
    st.dictionaries(
        st.sampled_from(sorted(METRIC_UNITS)),
        st.lists(floats, min_size=1, max_size=4).map(tuple),
        max_size=4,
    ),
    st.dictionaries(
        st.sampled_from(sorted(METRIC_UNITS)), st.lists(floats, max_size=4).map(tuple), max_size=2
    ),
    st.none() | floats,
    st.lists(st.text(max_size=20), max_size=2).map(tuple),
)
failures = st.builds(Failure, st.sampled_from(FailureKind), st.text(max_size=40))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(outcomes=st.lists(measurements | failures, max_size=6))
def test_any_outcome_survives_the_journal(tmp_path: Path, outcomes: list):
    path = tmp_path / "any.jsonl"
    path.unlink(missing_ok=True)
    store = Store(path, HEADER)
    for number, outcome in enumerate(outcomes):
        store.append(trial(number, outcome))
    store.close()
    assert [t.outcome for t in read(path).trials] == outcomes


def test_a_torn_tail_is_cut_and_written_over(filled: Path):
    whole = filled.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for cut in (last + 1, last + 40, len(whole) - 2):
        filled.write_bytes(whole[:cut])
        assert len(read(filled).trials) == 2
        store = Store(filled, HEADER)
        assert len(store.trials) == 2
        store.append(trial(2))
        store.close()
        assert filled.read_bytes() == whole


def test_a_last_line_that_lacks_only_its_newline_is_kept(filled: Path):
    whole = filled.read_bytes()
    filled.write_bytes(whole[:-1])
    assert len(read(filled).trials) == 3
    assert opened(filled) == [0, 1, 2]
    assert filled.read_bytes() == whole


def test_a_journal_with_other_line_ends_is_left_alone(filled: Path):
    changed = filled.read_bytes().replace(b"\n", b"\r")
    filled.write_bytes(changed)
    with pytest.raises(StoreError, match="no journal"):
        Store(filled, HEADER)
    assert filled.read_bytes() == changed


@pytest.mark.parametrize("content", [b"my notes", b"my notes\nand more\n", b"{}\n", b"[1]"])
def test_a_file_that_is_no_journal_is_left_alone(path: Path, content: bytes):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"journal|object"):
        Store(path, HEADER)
    assert path.read_bytes() == content


def test_a_torn_tail_of_another_search_is_left_alone(filled: Path):
    torn = filled.read_bytes()[:-5]
    filled.write_bytes(torn)
    with pytest.raises(StoreError, match="another search"):
        Store(filled, replace(HEADER, target="odroid"))
    assert filled.read_bytes() == torn


def test_a_journal_that_was_removed_meanwhile_is_told(path: Path):
    store = Store(path, HEADER)
    path.unlink()
    with pytest.raises(StoreWriteError, match="was removed while the search was running"):
        store.append(trial(0))
    store.close()


@pytest.mark.parametrize("content", ["fifo", "/dev/zero"])
def test_what_never_ends_is_not_read(path: Path, content: str):
    path.parent.mkdir()
    if content == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(content)
    for use in (lambda: read(path), lambda: Store(path, HEADER)):
        with pytest.raises(StoreError, match=r"not a regular file|cannot be"):
            use()


def test_a_torn_header_is_begun_anew(path: Path):
    path.parent.mkdir()
    path.write_bytes(b'{"record":"header","schema"')
    assert opened(path) == []
    path.write_bytes(b"")
    assert opened(path) == []
    assert read(path).header == HEADER


@pytest.mark.parametrize(
    "damage",
    [
        b"not json\n",
        b"[]\n",
        b'{"record":"trial"}\n',
        b'{"record":"other"}\n',
        b'{"record":"trial","number":1,"assignment":[0,0,9],"source":"","started_at":"",'
        b'"duration_s":0,"failure":["crashed",""]}\n',
        b'{"record":"trial","number":7,"assignment":[0,0,0],"source":"","started_at":"",'
        b'"duration_s":0,"failure":["crashed",""]}\n',
        b"\0\0\0\0\n",
        b"\xff\xfe\n",
        b'{"record":"trial","number":Infinity,"assignment":[0,0,0],"source":"",'
        b'"started_at":"","duration_s":0,"failure":["crashed",""]}\n',
        b'{"record":"trial","number":1,"assignment":[0,0,0],"source":"","started_at":"",'
        b'"duration_s":NaN,"failure":["crashed",""]}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_damaged_middle_is_named_with_its_line(filled: Path, damage: bytes):
    lines = filled.read_bytes().splitlines(keepends=True)
    lines[2] = damage
    before = b"".join(lines)
    filled.write_bytes(before)
    for use in (lambda: read(filled), lambda: Store(filled, HEADER)):
        with pytest.raises(StoreError, match=rf"{filled.name}:3: "):
            use()
    assert filled.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"model_digest": "cd" * 32}, "model abababababab → cdcdcdcdcdcd"),
        ({"space": DecisionSpace.by_names(("cpu", "ruy"), ["Conv2D"])}, "backend choices"),
        (
            {"space": DecisionSpace.by_names(("ruy", "cpu"), ["Conv2D"])},
            "backends cpu,ruy → ruy,cpu",
        ),
        ({"plan": Plan(repeats=99)}, "plan: repeats (none) → 99"),
        ({"runtime": "onert 1.31.0"}, "runtime onert 1.30.0 → onert 1.31.0"),
        ({"target": "odroid"}, "target local → odroid"),
        ({"machine": {"architecture": "armv7l"}}, "processor"),
    ],
)
def test_a_store_of_another_search_is_refused(filled: Path, change: dict, found: str):
    with pytest.raises(StoreError, match="another search") as caught:
        Store(filled, replace(HEADER, **change))
    assert found in str(caught.value)
    assert opened(filled) == [0, 1, 2]


def test_sampler_seed_and_objectives_may_change(filled: Path):
    other = replace(HEADER, sampler="exhaustive", seed=9, objectives=("cpu_time", "max_rss"))
    assert opened(filled, other) == [0, 1, 2]


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("schema", 99, "schema 99, this version reads schema 1"),
        ("record", "trial", "expected the header"),
        ("space_fingerprint", "00", "fingerprint"),
        ("plan", {"repeat": 1}, "damaged header"),
        ("space", {}, "damaged header"),
    ],
)
def test_a_header_that_cannot_be_used_is_named(filled: Path, key: str, value: object, found: str):
    lines = filled.read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | {key: value})
    filled.write_text("\n".join(lines) + "\n")
    with pytest.raises(StoreError, match=found):
        read(filled)


def test_absent_and_empty_journals_are_named(tmp_path: Path):
    with pytest.raises(StoreError, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "journal.jsonl").touch()
    with pytest.raises(StoreError, match="no journal"):
        read(tmp_path)


def _hold(path: Path, ready: multiprocessing.synchronize.Event, done: object) -> None:
    store = Store(path, HEADER)
    ready.set()
    done.wait(30)  # type: ignore[attr-defined]
    store.close()


def test_a_second_process_is_refused_and_reading_is_not(filled: Path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(filled, ready, done))
    holder.start()
    assert ready.wait(30)
    try:
        with pytest.raises(StoreError, match="another process is searching here"):
            Store(filled, HEADER)
        assert len(read(filled).trials) == 3
    finally:
        done.set()
        holder.join()
    assert opened(filled) == [0, 1, 2]


def _fill_until_refused(path: Path) -> int:
    store = Store(path, HEADER)
    try:
        for number in range(10_000):
            store.append(trial(number))
    except StoreWriteError as error:
        assert "trials before are intact" in str(error)
        return len(store.trials)
    finally:
        store.close()
    raise AssertionError("nothing stopped the writing")


def test_a_file_size_limit_keeps_all_before_it(path: Path):
    # As in a quota: EFBIG in the middle of a line.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, before[1]))
    try:
        kept = _fill_until_refused(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept > 3
    assert opened(path) == list(range(kept))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
            check=False,
            capture_output=True,
        ).returncode
    )
    if not mounted:
        pytest.skip("mounting needs root; the file size limit is tested above")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_all_before_it(tiny_disk: Path):
    path = tiny_disk / "run" / "journal.jsonl"
    kept = _fill_until_refused(path)
    assert kept > 3
    assert opened(path) == list(range(kept))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be a journal"):
        Store(tmp_path / "file" / "journal.jsonl", HEADER)
    with pytest.raises(StoreWriteError, match="cannot be opened"):
        Store(Path("/proc/nowhere/journal.jsonl"), HEADER)


def test_each_append_is_on_the_disk_before_it_returns(path: Path):
    # A process that ends without any clean-up leaves every trial it appended.
    code = (
        "import os, sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from contract.test_store import HEADER, Store, trial\n"
        "store = Store(Path(sys.argv[1]), HEADER)\n"
        "for number in range(5): store.append(trial(number))\n"
        "os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), *sys.path], check=False)
    assert done.returncode == 9
    assert opened(path) == [0, 1, 2, 3, 4]
