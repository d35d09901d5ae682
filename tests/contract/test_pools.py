"""What every pool does for a bench: processes of this machine, and Dask's scheduler and workers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pareto_profiler.bench import Effort, Run, judged, run_one, subject_of
from pareto_profiler.cells import (
    TRIES,
    Cell,
    Cluster,
    Died,
    Kept,
    Pool,
    Workers,
    cells_of,
    compute,
    digest_of,
    done,
)
from pareto_profiler.errors import InputError, StoreError
from pareto_profiler.samplers import SAMPLERS

TABLE = "simulated:tiny-8x2:1"
SEED_TABLE = Path(__file__).parents[1] / "data" / "seed_brute_force.json"
CELLS = cells_of(TABLE, {"local": Effort(12, 2), "random": Effort(9, 3)})


@pytest.fixture(scope="module", params=["processes", "dask"])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    with closing(Workers(2) if request.param == "processes" else Cluster("local", 2)) as made:
        yield made


def alone(cell: Cell) -> Run:
    """The same, done here."""
    name, seed = cell.sampler, cell.seed
    return run_one(subject_of(cell.table), name, SAMPLERS[name], seed, cell.evaluations)


def test_results_are_the_same_to_the_last_digit(pool: Pool):
    assert dict(pool.run(CELLS)) == {cell: alone(cell) for cell in CELLS}


def test_tables_of_files_are_searched_too(pool: Pool):
    cells = cells_of(str(SEED_TABLE), {"random": Effort(7, 2)})
    assert dict(pool.run(cells)) == {cell: alone(cell) for cell in cells}


def test_nothing_to_do_is_done(pool: Pool):
    assert list(pool.run([])) == []


def test_a_cell_that_fails_is_told_and_the_others_are_done(pool: Pool):
    bad = Cell(TABLE, "no such sampler", 0, 9)
    answers = dict(pool.run([CELLS[0], bad, CELLS[1]]))
    assert isinstance(answers.pop(bad), Died)
    assert set(answers) == set(CELLS[:2])
    assert all(isinstance(answer, Run) for answer in answers.values())


def deadly(cell: Cell, *_: object) -> Run:
    """What a worker does with a cell; it ends with those whose seed is 1, for good or once."""
    once = Path(os.environ["DEADLY_ONCE"])
    if cell.seed == 1 and cell.sampler == "random":
        os.kill(os.getpid(), signal.SIGKILL)
    if cell.seed == 1 and not once.exists():
        once.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return compute(cell, digest_of(cell.table))


@pytest.mark.parametrize(
    "start",
    [
        lambda n: Workers(n, deadly),
        pytest.param(lambda n: Cluster("local", n, deadly), marks=pytest.mark.thorough),
    ],
)
def test_what_dies_with_its_worker_is_tried_again_and_then_given_up(
    start: Callable[[int], Pool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEADLY_ONCE", str(tmp_path / "once"))
    with closing(start(2)) as pool:
        answers = dict(pool.run(CELLS))
    given_up = {cell for cell, answer in answers.items() if isinstance(answer, Died)}
    assert given_up == {Cell(TABLE, "random", 1, 9)}
    assert set(answers) == set(CELLS)
    words = answers[given_up.pop()]
    assert isinstance(words, Died)
    assert str(TRIES) in words.words


@pytest.mark.parametrize("address", ["nonsense", "ftp://a:1", "tcp://a b:1", "a"])
def test_what_is_no_schedulers_address_is_one_line(address: str):
    with pytest.raises(InputError, match=r"expected something like tcp://HOST:8786, or local"):
        Cluster(address, 1)


def test_what_is_kept_is_not_done_again(tmp_path: Path):
    file = tmp_path / "cells.jsonl"
    first = Counting()
    with Kept(file) as kept:
        assert len(dict(done(CELLS[:3], first, kept))) == 3
    second = Counting()
    with Kept(file) as kept:
        assert dict(done(CELLS, second, kept)) == {cell: alone(cell) for cell in CELLS}
    assert (first.cells, second.cells) == (list(CELLS[:3]), list(CELLS[3:]))
    # Another budget, sampler or table is another cell.
    with Kept(file) as kept:
        assert kept[CELLS[0]] is not None
        assert kept[Cell(TABLE, CELLS[0].sampler, 0, 13)] is None
        assert kept[Cell("simulated:tiny-8x2:2", CELLS[0].sampler, 0, 12)] is None


def test_a_line_that_was_cut_short_is_done_again(tmp_path: Path):
    file = tmp_path / "cells.jsonl"
    with Kept(file) as kept:
        list(done(CELLS, Counting(), kept))
    data = file.read_bytes()
    for cut in (len(data) - 1, len(data) - 40, data.index(b"\n") + 1, data.index(b"\n"), 3, 0):
        file.write_bytes(data[:cut])
        with Kept(file) as kept:
            assert len(dict(done(CELLS, Counting(), kept))) == len(CELLS)
        # The same cells, whichever were done again last.
        assert sorted(file.read_bytes().splitlines()) == sorted(data.splitlines())


def test_a_table_that_changed_is_done_again(tmp_path: Path):
    table, file = tmp_path / "table.json", tmp_path / "cells.jsonl"
    told = json.loads(SEED_TABLE.read_text())
    table.write_text(json.dumps(told))
    cell = Cell(str(table), "random", 0, 5)
    with Kept(file) as kept:
        list(done([cell], Counting(), kept))
    table.write_text(json.dumps(told, indent=1))
    with Kept(file) as kept:
        assert kept[cell] is None


@pytest.mark.parametrize("text", ["what\n", '{"format": "pareto-profiler bench", "version": 2}\n'])
def test_another_file_is_not_written_to(tmp_path: Path, text: str):
    file = tmp_path / "mine.txt"
    file.write_text(text)
    with pytest.raises(StoreError, match="expected a file that bench --keep wrote"):
        Kept(file)
    assert file.read_text() == text


def test_a_damaged_line_is_named(tmp_path: Path):
    file = tmp_path / "cells.jsonl"
    with Kept(file) as kept:
        list(done(CELLS[:2], Counting(), kept))
        with pytest.raises(StoreError, match="another bench writes there"):
            Kept(file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b'{"tool": 1}\n' + lines[2])
    with pytest.raises(StoreError, match=r"cells.jsonl:2: damaged: expected a cell"):
        Kept(file)


def test_judging_does_not_depend_on_who_finished_first():
    subject = subject_of(TABLE)
    runs = [alone(cell) for cell in CELLS]
    assert judged(subject, runs, ["local"]) == judged(subject, runs[::-1], ["local"])


class Counting:
    """A pool that does cells here, and remembers which."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []

    def run(self, cells: list[Cell]) -> Iterator[tuple[Cell, Run | Died]]:
        self.cells += cells
        for cell in cells:
            yield cell, alone(cell)

    def close(self) -> None:
        """Nothing was begun."""
