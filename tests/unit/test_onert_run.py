"""Reading what the device's own tool says of itself and reports, in all its dialects."""

from __future__ import annotations

import pytest
from conftest import DATA

from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.drivers.answer import NO_MEMORY
from pareto_profiler.errors import TargetError
from pareto_profiler.runtimes.onert.configuration import OnertConfiguration
from pareto_profiler.runtimes.onert.log import read_placement
from pareto_profiler.runtimes.onert.tool import Dialect, Report, read_csv_report, read_report

FILES = DATA / "onert"
BOOST = "  --nnpackage arg\n  -m [ --mem_poll ] arg (=0)\n  -p [ --write_report ] arg\n"
ARSER = "usage: onert_run [--mem_poll] [--write_report] [--load:raw X] [--dump:raw X] path\n"
MEMORY = Report(mean_ms=96.053, load_ms=5.433, prepare_ms=13.035, peak_kib=15348, before_kib=9508)


@pytest.mark.parametrize(
    ("help_text", "version_text", "dialect"),
    [
        (BOOST, "nnpkg_run (nnfw runtime: v1.14.0)", Dialect("1.14.0", True, False, True)),
        (BOOST + "  --dump:raw arg\n", "v1.26.0", Dialect("1.26.0", True, True, True)),
        (ARSER, "onert_run (nnfw runtime: v1.29.0)", Dialect("1.29.0", False, True, True)),
        (ARSER, "", Dialect("", False, True, True)),
        ("--mem_poll", "v1.31.0", Dialect("1.31.0", False, False, False)),
    ],
)
def test_a_dialect_is_told_by_what_the_tool_says(
    help_text: str, version_text: str, dialect: Dialect
):
    assert Dialect.of(help_text, version_text) == dialect
    assert dialect.flag("-m") == (["-m", "1"] if dialect.flags_take_values else ["-m"])


def test_another_program_is_no_such_tool():
    with pytest.raises(TargetError, match="no onert_run: its help is 'ls: unrecognized option'"):
        Dialect.of("ls: unrecognized option", "")


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("report-2020-11.txt", Report(101.629, 41.292, 95.675)),
        ("report-acl_cl.txt", Report(19.613, 22.913, 1334.244)),
        ("report-2021-memory.txt", MEMORY),
        ("report-1.29-memory.txt", MEMORY),
    ],
)
def test_a_report_of_any_layout_is_read(name: str, report: Report):
    text = (FILES / name).read_text()
    assert read_report(text) == report
    # On a terminal, behind a log, and after another report.
    assert read_report("[  Compiler  ] x\n" + text.replace("\n", "\r\n")) == report
    assert read_report((FILES / "report-2020-11.txt").read_text() + text) == report


@pytest.mark.parametrize(
    ("words", "is_lack"),
    [
        ("Cannot allocate memory for a tensor. It was already allocated.", False),
        ("Cannot allocate memory for 3 tensors", False),
        ("not_bad_allocator", False),
        ("Resource temporarily unavailable_now", False),
        ("mmap: Cannot allocate memory", True),
        ("mmap: Cannot allocate memory | aborted", True),
        ("pthread_create: Resource temporarily unavailable", True),
        ("what():  std::bad_alloc", True),
    ],
)
def test_words_of_a_runtime_are_matched_whole(*, words: str, is_lack: bool):
    assert bool(NO_MEMORY.search(words)) == is_lack


def test_the_csv_report_is_read():
    text = (FILES / "report-memory.csv").read_text()
    assert read_csv_report(text) == Report(96.053, 5.433, 13.035, 15348)
    for broken in ("", "a\n", "Execute_Time_Mean\nfast\n", "\0\n\0"):
        assert read_csv_report(broken).mean_ms is None


@pytest.mark.parametrize("kib", ["0", "4294967290"])
def test_an_absurd_memory_is_none(kib: str):
    assert read_report(f"- MEAN     :  1.0 ms\n- HWM after run  : {kib} kb\n").peak_kib is None


@pytest.mark.parametrize("text", ["", "nan", "- MEAN     :  nan ms", "- MEAN     :  inf ms\0"])
def test_no_report_has_no_mean(text: str):
    assert read_report(text).mean_ms is None


@pytest.mark.parametrize(("version", "backend"), [("1.26.0", "acl_neon"), ("1.30.0", "ruy")])
def test_the_log_of_every_version_tells_the_placement(version: str, backend: str):
    names = ["a", "b", "c", "d", "e", "f"]
    space = DecisionSpace.by_names(("cpu", backend), names)
    text = (FILES / f"log-{version}.txt").read_text()
    placement = read_placement(text, space, space.default)
    assert placement is not None
    assert placement.backend_by_operation == (
        (0, backend),
        *((i, "cpu") for i in range(1, 6)),
    )
    assert OnertConfiguration.of(space, space.default).backends == ("cpu",)
    assert read_placement("Default backend for all ops: cpu", space, space.default) is None
