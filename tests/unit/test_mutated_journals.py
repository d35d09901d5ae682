"""Every mutation of a valid journal is read, or refused in one line with its number."""

from __future__ import annotations

import copy
import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from pareto_profiler.errors import InputError, StoreError
from pareto_profiler.report.selection import Goal, Selection
from pareto_profiler.report.summary import Summary
from pareto_profiler.report.terminal import summary_text
from pareto_profiler.storage.journal import is_journal, read
from pareto_profiler.storage.seed_formats import is_dump

JOURNAL = ROOT / "examples" / "tables" / "mobilenet_v2_035_96-x86_64" / "journal.jsonl"
MUTATIONS = 300
TRIALS = 24
NONSENSE: tuple[Any, ...] = (
    *(None, "", "12", "x", -1, 1.5, 1e308, 1e300, 5e-324, 10**25, 10**400, True, False),
    *([], {}, [[[[]]]], {"a": 1}, math.nan, math.inf, 0, -0.0),
)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside."""
    yield way
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*way, key))
    elif isinstance(value, list):
        for i in range(min(6, len(value))):
            yield from places(value[i], (*way, i))


def mutated(record: Any, way: tuple[Any, ...], chance: random.Random) -> Any:
    changed = copy.deepcopy(record)
    holder = changed
    for key in way[:-1]:
        holder = holder[key]
    if chance.random() < 0.15:
        del holder[way[-1]]
    else:
        holder[way[-1]] = chance.choice(NONSENSE)
    return changed


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from numbers(one)
    elif isinstance(value, float):
        yield value


def records() -> list[Any]:
    lines = JOURNAL.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[: 1 + TRIALS]]


@pytest.mark.thorough
def test_mutations_are_read_or_refused_with_their_line(tmp_path: Path):
    chance = random.Random(20261128)
    written = records()
    ways = [[w for w in places(r) if w] for r in written]
    path = tmp_path / "journal.jsonl"
    outcomes = {"read": 0, "refused": 0}
    for _ in range(MUTATIONS):
        i = 0 if chance.random() < 0.3 else chance.randrange(len(written))
        way = chance.choice(ways[i])
        lines = [json.dumps(r) for r in written]
        changed = mutated(written[i], way, chance)
        try:
            lines[i] = json.dumps(changed)
        except ValueError:  # Python does not write numbers of so many digits
            continue
        path.write_text("\n".join(lines) + "\n")
        try:
            recording = read(path)
        except StoreError as error:
            outcomes["refused"] += 1
            assert re.search(rf"jsonl:{i + 1}: ", str(error)), (way, str(error))
            assert "\n" not in str(error)
            assert not str(error).endswith(":")
            continue
        outcomes["read"] += 1
        try:
            summary = Summary.of(recording)
        except InputError:
            continue
        said = summary.to_json()
        json.dumps(said, allow_nan=False)
        assert all(abs(number) < 1e16 for number in numbers(said)), way
        assert summary_text(summary)
        if summary.measured:
            Selection.of(summary, Goal.smallest(summary.objectives, ()))
    assert min(outcomes.values()) > MUTATIONS // 20, outcomes


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("samples", "exec_time"), "123"),
        (("samples", "exec_time", 0), "0.1"),
        (("samples", "exec_time", 0), True),
        (("samples", "exec_time", 0), 1e308),
        (("samples",), None),
        (("assignment", 0), 1.0),
        (("assignment", 0), "1"),
        (("number",), 1.9),
        (("source",), None),
        (("notes",), "so"),
        (("duration_s",), "1"),
        (("duration_s",), 10**25),
        (("started_at",), "yesterday"),
        (("output_error",), -1),
    ],
)
def test_what_reads_as_something_else_is_refused(tmp_path: Path, way: tuple[Any, ...], value: Any):
    written = records()
    holder = written[1]
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = value
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(map(json.dumps, written)) + "\n")
    with pytest.raises(StoreError, match=r"journal\.jsonl:2: damaged record"):
        read(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("objectives", ["exec_time", "joy"]),
        ("objectives", ["exec_time"]),
        ("margin", -0.1),
        ("confidence", 1.5),
        ("seed", -1),
        ("machine", {"cores": "2"}),
        ("plan", {"repeats": "5"}),
        ("graph", {}),
    ],
)
def test_a_header_out_of_range_is_refused(tmp_path: Path, name: str, value: Any):
    written = records()
    if name == "plan":
        value = {**written[0]["plan"], **value}
    written[0][name] = value
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(map(json.dumps, written)) + "\n")
    with pytest.raises(StoreError, match=r"journal\.jsonl:1: damaged header"):
        read(path)


def test_a_journal_that_was_written_anew_is_one(tmp_path: Path):
    """By another program, with blanks and in another order."""
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(json.dumps(r, indent=None) for r in records()) + "\n")
    assert is_journal(tmp_path)
    assert not is_dump(path)
    assert len(read(path).trials) == TRIALS


def test_names_cannot_command_a_terminal(tmp_path: Path):
    written = records()
    written[0]["model"]["name"] = "a\x1b[31mred"
    written[1]["notes"] = ["so\x1b[2J"]
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(map(json.dumps, written)) + "\n")
    shown = summary_text(Summary.of(read(path)))
    assert "a?[31mred: " in shown
    assert "note: so?[2J" in shown
    assert "\x1b" not in shown
    written[0]["space"]["backends"][1] = "r\x1b[2J"
    path.write_text("\n".join(map(json.dumps, written)) + "\n")
    with pytest.raises(StoreError, match=r"jsonl:1: .* control characters"):
        read(path)
