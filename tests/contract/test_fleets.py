"""What every crew of boards has to do for a search: threads of their own, and simulated ones."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import pytest
from rooms import onert_problem

from pareto_profiler.core.measurement import OBJECTIVES, Measurement
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.recording import Header
from pareto_profiler.core.rules import ONE_SHOT, Rules
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import ANCHOR, CONFIRM, Failure, Placement, Profile, Trial
from pareto_profiler.errors import FailureKind, OtherKindError, RunError, TargetError
from pareto_profiler.fleet import Connect, Crew, Fleet, TimedRunner, VirtualFleet, search_on_boards
from pareto_profiler.loop import Budget, MemoryJournal
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.samplers.random import RandomSampler
from pareto_profiler.storage.journal import Store, read
from pareto_profiler.storage.tables import pack, unpack

SPACE = DecisionSpace.by_names(("cpu", "ruy"), list("abcdefg"))
OBJECTIVES_ = (OBJECTIVES["exec_time"], OBJECTIVES["max_rss"])


@dataclass
class Bench:
    """What a board does, and what befalls it: shared by all its connections."""

    name: str
    factor: float = 1.0
    lost_at: set[int] = field(default_factory=set)
    absent_for: int = 0
    never_back: bool = False
    kills: Assignment | None = None
    fails_baseline: bool = False
    other_kind: str = ""
    measured: list[Assignment] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    misses: int = 0
    jitter: float = 0.0
    slow_for: int = 0


class Board:
    """Measures in a moment of its own time; lost when its bench says so."""

    def __init__(self, bench: Bench, start_s: float, pause_s: float = 0.0) -> None:
        self._bench = bench
        self._now = start_s
        self._pause_s = pause_s

    def now(self) -> float:
        return self._now

    def rest(self, seconds: float) -> None:
        self._now += seconds

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        del is_repeat
        bench = self._bench
        time.sleep(self._pause_s)
        self._now += 1.0 + 0.01 * len(bench.measured) * bench.factor
        if assignment == bench.kills or len(bench.measured) in bench.lost_at:
            bench.lost_at.discard(len(bench.measured))
            bench.misses = 10**9 if bench.never_back else bench.absent_for
            raise TargetError(f"{bench.name} does not answer")
        if bench.fails_baseline and assignment == SPACE.default:
            raise RunError(FailureKind.REJECTED, "no such kernel")
        bench.measured.append(assignment)
        number = SPACE.id_of(assignment)
        seconds = (300.0 - number) * bench.factor
        seconds *= 2 if len(bench.measured) <= bench.slow_for else 1
        seconds *= 1 + bench.jitter * math.sin(7 * len(bench.measured))
        return Measurement({"exec_time": (seconds,), "max_rss": (10_000.0 + 300 * number,)})

    def placement(self, assignment: Assignment) -> Placement | None:
        del assignment
        return None

    @property
    def can_profile(self) -> bool:
        return False

    def profile(self, assignment: Assignment) -> Profile:
        raise RunError(FailureKind.REJECTED, f"this board does not trace {assignment}")

    def close(self) -> None:
        self._bench.closed += 1


Boards = Mapping[str, Callable[[], TimedRunner]]


def boards_of(benches: Sequence[Bench], pause_s: float = 0.0) -> Boards:
    def connecting(bench: Bench) -> Callable[[], Board]:
        def connect() -> Board:
            if bench.other_kind:
                raise OtherKindError(bench.other_kind)
            if bench.misses > 0:
                bench.misses -= 1
                raise TargetError(f"{bench.name} cannot be reached")
            bench.connections += 1
            return Board(bench, float(bench.connections), pause_s)

        return connect

    return {bench.name: connecting(bench) for bench in benches}


def in_threads(boards: Boards) -> Crew:
    def entering(connect: Callable[[], TimedRunner]) -> Connect:
        @contextlib.contextmanager
        def connected() -> Iterator[TimedRunner]:
            with contextlib.closing(connect()) as runner:
                yield runner

        return connected

    opened = {name: entering(connect) for name, connect in boards.items()}
    return Fleet(opened, SPACE.default, look_every_s=0.01)


def simulated(boards: Boards) -> Crew:
    return VirtualFleet(boards, SPACE.default, look_every_s=3.0)


CREWS = {"threads": in_threads, "simulated": simulated}


@pytest.fixture(params=CREWS)
def crew_of(request: pytest.FixtureRequest) -> Callable[[Boards], Crew]:
    return CREWS[request.param]


UNLIMITED = Budget()


def go(
    crew: Crew,
    journal: MemoryJournal,
    budget: Budget = UNLIMITED,
    *,
    rules: Rules = ONE_SHOT,
    name: str = "random",
    patience_s: float = math.inf,
) -> list[Trial]:
    problem: Problem = onert_problem(SPACE)
    now = crew.now if isinstance(crew, VirtualFleet) else time.monotonic
    return list(
        search_on_boards(
            SPACE,
            SAMPLERS[name](problem),
            crew,
            journal,
            budget,
            source=name,
            is_profiling=False,
            objectives=OBJECTIVES_,
            rules=rules,
            patience_s=patience_s,
            now=now,
        )
    )


def new_ones(trials: Sequence[Trial]) -> Counter[Assignment]:
    return Counter(t.assignment for t in trials if t.assignment != SPACE.default)


def test_all_is_measured_once_and_each_board_begins_with_the_baseline(crew_of):
    benches = [Bench("a"), Bench("b"), Bench("c")]
    journal = MemoryJournal()
    trials = go(crew_of(boards_of(benches)), journal)
    assert trials == journal.trials
    assert [t.number for t in trials] == list(range(len(trials)))
    assert set(new_ones(trials)) | {SPACE.default} == set(SPACE)
    assert set(new_ones(trials).values()) == {1}
    for bench in benches:
        mine = [t for t in trials if t.board == bench.name]
        assert mine[0].assignment == SPACE.default
        assert [t.assignment for t in mine] == bench.measured
    assert [t.source for t in trials].count("baseline") == 1


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"qnehvi"}))
@pytest.mark.thorough
def test_every_sampler_keeps_several_boards_busy(crew_of, name: str):
    benches = [Bench("a"), Bench("b", 1.01), Bench("c", 0.99)]
    crew = crew_of(boards_of(benches))
    trials = go(crew, MemoryJournal(), Budget(trials=40), name=name)
    assert len(trials) == 40 or name == "structured"
    assert set(new_ones(trials).values()) == {1}
    counts = Counter(t.board for t in trials)
    # In threads a board may be done before the others have begun.
    assert min(counts.values()) >= len(trials) / 6 or not isinstance(crew, VirtualFleet)


def test_the_baseline_is_measured_again_on_each_board(crew_of):
    benches = [Bench("a"), Bench("b")]
    rules = Rules(anchor_every=5, confirm_share=0.0)
    trials = go(crew_of(boards_of(benches)), MemoryJournal(), Budget(trials=60), rules=rules)
    for bench in benches:
        mine = [t.assignment == SPACE.default for t in trials if t.board == bench.name]
        places = [i for i, is_anchor in enumerate(mine) if is_anchor]
        gaps = {b - a for a, b in itertools.pairwise(places)}
        assert len(places) > 2
        assert gaps == {6}


def test_a_lost_board_returns_its_work_and_goes_on_when_it_is_back(crew_of):
    benches = [Bench("a"), Bench("b", lost_at={5, 9}, absent_for=2), Bench("c")]
    trials = go(crew_of(boards_of(benches, 0.002)), MemoryJournal())
    assert set(new_ones(trials)) | {SPACE.default} == set(SPACE)
    assert set(new_ones(trials).values()) == {1}
    assert benches[1].connections == 3
    # What it measures first is the baseline, each time.
    assert benches[1].measured[0] == benches[1].measured[5] == SPACE.default
    assert not any(isinstance(t.outcome, Failure) for t in trials)


def test_one_that_never_comes_back_costs_nothing(crew_of):
    benches = [Bench("a", lost_at={3}, never_back=True), Bench("b")]
    trials = go(crew_of(boards_of(benches)), MemoryJournal())
    assert set(new_ones(trials)) | {SPACE.default} == set(SPACE)
    assert set(new_ones(trials).values()) == {1}


def test_the_last_one_lost_ends_the_search(crew_of):
    benches = [Bench("a", lost_at={3}, never_back=True), Bench("b", lost_at={6}, never_back=True)]
    journal = MemoryJournal()
    with pytest.raises(TargetError, match=r"^[ab] (does not answer|cannot be reached)$"):
        go(crew_of(boards_of(benches)), journal, patience_s=0.2)
    assert {b.name: len(b.measured) for b in benches} == {"a": 3, "b": 6}
    kept = [t for t in journal.trials if not isinstance(t.outcome, Failure)]
    assert len(kept) == 9
    # With one of them there again it goes on, and measures nothing twice.
    more = go(crew_of(boards_of([Bench("b")])), journal)
    assert set(new_ones(journal.trials)) | {SPACE.default} == set(SPACE)
    assert set(new_ones(journal.trials).values()) == {1}
    assert more[0].assignment == SPACE.default


def test_an_assignment_under_which_two_boards_are_lost_is_what_fails(crew_of):
    bad = ("cpu", "cpu", "ruy", "cpu", "cpu", "cpu", "cpu")
    benches = [Bench("a", kills=bad, absent_for=1), Bench("b", kills=bad, absent_for=1)]
    trials = go(crew_of(boards_of(benches)), MemoryJournal())
    (failed,) = [t for t in trials if isinstance(t.outcome, Failure)]
    assert failed.assignment == bad
    assert failed.outcome == Failure(
        FailureKind.CRASHED, "the board that measured it was lost, 2 times"
    )
    assert set(new_ones(trials)) | {SPACE.default} == set(SPACE)


def test_a_board_of_another_kind_is_left_out_and_said(crew_of, caplog):
    benches = [Bench("a"), Bench("b", other_kind="its processor is X, not Y"), Bench("c", 1.3)]
    # The slow one must not be the first.
    trials = go(crew_of(boards_of(benches)), MemoryJournal(), rules=Rules(confirm_share=0.0))
    text = caplog.text
    assert "b is left out: its processor is X, not Y" in text
    assert "is left out: its baseline takes" in text
    assert len({t.board for t in trials}) == 1
    assert set(new_ones(trials)) | {SPACE.default} == set(SPACE)


@pytest.mark.parametrize("disturbed", ["a", "b"])
def test_one_disturbed_baseline_leaves_no_board_out(crew_of, disturbed: str, caplog):
    """Whichever of the two is compared with the other."""
    benches = [Bench(name, slow_for=int(name == disturbed)) for name in "ab"]
    journal = MemoryJournal()
    go(crew_of(boards_of(benches, 0.01)), journal, Budget(trials=30))
    assert "is left out" not in caplog.text
    counts = Counter(t.board for t in journal.trials)
    assert min(counts[name] for name in "ab") > 3
    assert [t.number for t in journal.trials] == list(range(30))
    baselines = [t for t in journal.trials if t.assignment == SPACE.default]
    assert Counter(t.board for t in baselines)[disturbed] >= 2


def test_a_board_that_may_differ_more_is_taken(crew_of):
    benches = [Bench("a"), Bench("c", 1.3)]
    rules = Rules(confirm_share=0.0, alike=0.4)
    trials = go(crew_of(boards_of(benches)), MemoryJournal(), rules=rules)
    assert {t.board for t in trials} == {"a", "c"}


def test_a_board_whose_baseline_fails_is_left_out(crew_of, caplog):
    benches = [Bench("a", fails_baseline=True), Bench("b")]
    trials = go(crew_of(boards_of(benches)), MemoryJournal())
    assert {t.board for t in trials} == {"b"}
    assert "a is left out: the baseline itself fails: rejected: no such kernel" in caplog.text


def test_where_it_fails_on_all_the_search_ends(crew_of):
    benches = [Bench("a", fails_baseline=True), Bench("b", fails_baseline=True)]
    journal = MemoryJournal()
    with pytest.raises(TargetError, match="baseline itself fails"):
        go(crew_of(boards_of(benches)), journal)
    assert journal.trials == []


def test_a_budget_counts_what_is_being_measured(crew_of):
    benches = [Bench(name) for name in "abcdefgh"]
    trials = go(crew_of(boards_of(benches, 0.005)), MemoryJournal(), Budget(trials=23))
    assert len(trials) == 23


def test_a_spent_budget_needs_no_board():
    journal = MemoryJournal()
    go(simulated(boards_of([Bench("a")])), journal, Budget(trials=3))
    absent = Bench("a", misses=10**9)
    assert go(simulated(boards_of([absent])), journal, Budget(trials=3)) == []


@pytest.mark.parametrize("stop", [1, 2, 7, 30, 90])
def test_it_goes_on_with_fewer_or_more_boards(crew_of, stop: int):
    journal = MemoryJournal()
    go(crew_of(boards_of([Bench(n) for n in "abc"])), journal, Budget(trials=stop))
    assert len(journal.trials) == stop
    go(crew_of(boards_of([Bench("b")])), journal, Budget(trials=stop + 10))
    go(crew_of(boards_of([Bench(n) for n in "abcd"])), journal)
    assert [t.number for t in journal.trials] == list(range(len(journal.trials)))
    assert set(new_ones(journal.trials)) | {SPACE.default} == set(SPACE)
    assert set(new_ones(journal.trials).values()) == {1}


def test_repeats_go_to_another_board_than_the_first(crew_of):
    factors = zip("abc", (1.0, 1.02, 0.98), strict=True)
    benches = [Bench(n, f, jitter=0.01) for n, f in factors]
    rules = Rules(anchor_every=8, confirm_share=0.5, max_repeats=3, margin=0.0)
    journal = MemoryJournal()
    go(crew_of(boards_of(benches)), journal, Budget(trials=120), rules=rules)
    first: dict[Assignment, str] = {}
    elsewhere = []
    for trial in journal.trials:
        if trial.source == CONFIRM and trial.assignment != SPACE.default:
            elsewhere.append(trial.board != first[trial.assignment])
        first.setdefault(trial.assignment, trial.board)
    assert len(elsewhere) > 10
    assert sum(elsewhere) > 0.8 * len(elsewhere)


def test_stopping_early_keeps_what_boards_were_measuring():
    benches = [Bench("a"), Bench("b"), Bench("c")]
    journal = MemoryJournal()
    crew = in_threads(boards_of(benches, 0.05))
    running = search_on_boards(
        SPACE,
        SAMPLERS["random"](onert_problem(SPACE)),
        crew,
        journal,
        Budget(),
        source="random",
        is_profiling=False,
    )
    for _ in range(10):
        next(running)
    running.close()
    measured = sum(len(b.measured) for b in benches)
    assert measured == len(journal.trials)
    assert all(b.closed == b.connections for b in benches)
    assert not [t for t in threading.enumerate() if t.name in {"a", "b", "c"}]


def test_a_defect_in_a_board_is_not_swallowed():
    def broken() -> TimedRunner:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        go(in_threads({"a": broken}), MemoryJournal())


def test_figures_of_boards_are_compared_through_the_baseline(crew_of):
    from pareto_profiler.core.estimate import Estimates

    benches = [Bench("a"), Bench("b", 1.05), Bench("c", 0.95)]
    rules = Rules(anchor_every=4, confirm_share=0.0)
    journal = MemoryJournal()
    go(crew_of(boards_of(benches)), journal, rules=rules)
    found = Estimates.of(journal.trials, OBJECTIVES_, SPACE.default)
    middle = median(item.values[0] / (300.0 - SPACE.id_of(item.assignment)) for item in found.items)
    for item in found.items:
        assert item.values[0] == pytest.approx(
            middle * (300.0 - SPACE.id_of(item.assignment)), rel=1e-6
        )
    assert {t.source for t in journal.trials} == {"baseline", ANCHOR, "uniform", "random"}


def test_a_journal_names_the_boards(tmp_path):
    header = Header("fleet", "", SPACE, ("exec_time", "max_rss"))
    store = Store(tmp_path / "journal.jsonl", header)
    crew = simulated(boards_of([Bench("me@10.0.0.7"), Bench("me@10.0.0.8")]))
    sampler = SAMPLERS["random"](onert_problem(SPACE))
    made = list(
        search_on_boards(
            SPACE, sampler, crew, store, Budget(trials=9), source="random", is_profiling=False
        )
    )
    store.close()
    again = read(tmp_path)
    assert [t.board for t in again.trials] == [t.board for t in made]
    assert {t.board for t in again.trials} == {"me@10.0.0.7", "me@10.0.0.8"}
    (tmp_path / "table.parquet").write_bytes(pack(again))
    assert unpack(tmp_path / "table.parquet").trials == again.trials


class Thinking(RandomSampler):
    """Thinks for long, and sees how much boards measure meanwhile."""

    def __init__(self, problem: Problem, benches: Sequence[Bench]) -> None:
        super().__init__(problem)
        self._benches = benches
        self.meanwhile: list[int] = []

    def ask(self, count: int = 1) -> list[Assignment]:
        before = sum(len(b.measured) for b in self._benches)
        time.sleep(0.2)
        self.meanwhile.append(sum(len(b.measured) for b in self._benches) - before)
        return super().ask(count)


def test_boards_work_while_the_sampler_thinks():
    benches = [Bench("a"), Bench("b"), Bench("c")]
    sampler = Thinking(onert_problem(SPACE), benches)
    made = search_on_boards(
        SPACE,
        sampler,
        in_threads(boards_of(benches, pause_s=0.03)),
        MemoryJournal(),
        Budget(trials=24),
        source="random",
        is_profiling=False,
    )
    trials = list(made)
    assert [t.number for t in trials] == list(range(24))
    assert len({t.assignment for t in trials if t.source == "random"}) == sum(
        t.source == "random" for t in trials
    )
    assert sum(sampler.meanwhile) > 0
