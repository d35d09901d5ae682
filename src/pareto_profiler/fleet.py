"""Fleet: several boards of a kind that measure one search side by side."""

from __future__ import annotations

import contextlib
import heapq
import logging
import math
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final, Protocol

from pareto_profiler.cooling import Cooling
from pareto_profiler.core.measurement import OBJECTIVES, Measurement, Objective
from pareto_profiler.core.ports import Runner, Sampler
from pareto_profiler.core.rules import ONE_SHOT, Rules
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import AGAIN, ANCHOR, CONFIRM, Failure, Trial
from pareto_profiler.errors import FailureKind, OtherKindError, TargetError
from pareto_profiler.loop import (
    CHECK_AFTER_FAILURES,
    Budget,
    Clock,
    Journal,
    MachineClock,
    baseline_fails,
    check_baseline,
    failure_of,
    rest_if_hot,
    run_trial,
)
from pareto_profiler.schedule import BASELINE, Block, Schedule

_LOG: Final = logging.getLogger(__name__)
_REPEATS: Final = frozenset({AGAIN, CONFIRM})
# How long what is being measured may take to end when a search is interrupted.
_LAST_WORDS_S: Final = 5.0
# A board that is gone is looked for that often.
_LOOK_EVERY_S: Final = 5.0
# Asked for at once: what boards need while the sampler thinks, so many times.
_AHEAD: Final = 2.0
# How often it is looked whether the sampler has done thinking.
_GLANCE_S: Final = 0.01
# Times that a board may be unlike the others until it is left out: one may have been disturbed.
_MAX_UNLIKE: Final = 3
# Boards that may be lost under an assignment before it is what is at fault.
_MAX_LOSSES: Final = 2


@dataclass(frozen=True, slots=True)
class Order:
    """What a board is to measure.

    Attributes:
        source: Why, as trials have it.
        assignment: Which.
    """

    source: str
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Joined:
    """A board is there, or there again."""

    board: str


@dataclass(frozen=True, slots=True)
class Made:
    """A board did what it was asked for.

    Attributes:
        board: Which.
        trials: What came of it: after a rest the baseline may be there twice.
    """

    board: str
    trials: Sequence[Trial]


@dataclass(frozen=True, slots=True)
class Gone:
    """A board cannot measure, or no longer.

    Attributes:
        board: Which.
        error: Why.
        is_for_good: Whether nobody waits for it: it is of another kind.
    """

    board: str
    error: TargetError
    is_for_good: bool = False


Event = Joined | Made | Gone


class Crew(Protocol):
    """Boards that measure at the same time; each says that it joined before it is given orders.

    Attributes:
        is_simulated: Whether time stands still while nobody waits for an event.
    """

    is_simulated: bool

    @property
    def boards(self) -> Sequence[str]:
        """Names of all, there or not."""
        ...

    def give(self, board: str, order: Order) -> None:
        """Let a board measure something; it must not be measuring."""
        ...

    def next_event(self, limit_s: float) -> Event | None:
        """What happens next; None where nothing does within a time."""
        ...

    def dismiss(self, board: str) -> None:
        """Let a board go that is measuring nothing."""
        ...

    def close(self) -> list[Made]:
        """Let all of them go; what was measured meanwhile."""
        ...


class Station:
    """One board's part of the loop: rests where it gets hot, and a look at it where much fails.

    Args:
        runner: Measures.
        default: The baseline.
        clock: Tells time and rests.
    """

    def __init__(self, runner: Runner, default: Assignment, clock: Clock) -> None:
        self._runner = runner
        self._default = default
        self._clock = clock
        self._cooling = Cooling()
        self._failures = 0
        self._check_after = CHECK_AFTER_FAILURES

    def measure(self, order: Order) -> list[Trial]:
        """Carry out an order; trials have no numbers yet.

        Raises:
            TargetError: The board is unusable.
        """
        who, assignment = order.source, order.assignment
        rested_s = 0.0
        if who == ANCHOR:
            rested_s = self._cooling.rest_before_block(self._clock.now())
            self._clock.rest(rested_s)
        trials = []
        while True:
            trial = run_trial(
                self._runner,
                assignment,
                0,
                who,
                is_repeat=who in {ANCHOR, *_REPEATS},
                clock=self._clock,
                rested_s=rested_s,
            )
            trials.append(trial)
            rested_s = 0.0
            if who in {BASELINE, ANCHOR} and isinstance(trial.outcome, Measurement):
                rested_s = rest_if_hot(self._cooling, trial.outcome, self._clock, math.inf)
            if not rested_s:
                break
            who = ANCHOR
        self._failures = self._failures + 1 if failure_of(trials[-1]) else 0
        if self._failures >= self._check_after:
            check_baseline(self._runner, self._default)
            self._check_after *= 2
        return trials


Connect = Callable[[], contextlib.AbstractContextManager[Runner]]
"""Connects with a board. Entering raises OtherKindError where it is of another kind, and another
TargetError where it cannot be reached; nothing is left there after leaving."""


class Fleet:
    """Boards in threads of their own, looked for again while they are gone.

    Args:
        boards: Name → what connects with it.
        default: The baseline.
        look_every_s: How often a board that is gone is looked for.
    """

    is_simulated = False

    def __init__(
        self,
        boards: Mapping[str, Connect],
        default: Assignment,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._default = default
        self._look_every_s = look_every_s
        self._events: queue.Queue[Event | BaseException] = queue.Queue()
        self._orders: dict[str, queue.Queue[Order | None]] = {n: queue.Queue() for n in boards}
        self._is_ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, args=(name, connect), name=name, daemon=True)
            for name, connect in boards.items()
        ]
        for thread in self._threads:
            thread.start()

    @property
    def boards(self) -> Sequence[str]:
        return tuple(self._orders)

    def give(self, board: str, order: Order) -> None:
        self._orders[board].put(order)

    def next_event(self, limit_s: float) -> Event | None:
        try:
            event = self._events.get(timeout=min(limit_s, threading.TIMEOUT_MAX))
        except queue.Empty:
            return None
        if isinstance(event, BaseException):
            raise event
        return event

    def dismiss(self, board: str) -> None:
        self._orders[board].put(None)

    def close(self) -> list[Made]:
        self._is_ending.set()
        for orders in self._orders.values():
            orders.put(None)
        until = time.monotonic() + _LAST_WORDS_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        made = []
        with contextlib.suppress(queue.Empty):
            while True:
                event = self._events.get_nowait()
                made += [event] if isinstance(event, Made) else []
        return made

    def _serve(self, name: str, connect: Connect) -> None:
        said = ""
        try:
            while not self._is_ending.is_set():
                with contextlib.suppress(TargetError), contextlib.ExitStack() as connection:
                    try:
                        runner = connection.enter_context(connect())
                    except OtherKindError as error:
                        self._events.put(Gone(name, error, is_for_good=True))
                        return
                    except TargetError as error:
                        if str(error) != said:
                            self._events.put(Gone(name, error))
                        said = str(error)
                    else:
                        said = ""
                        self._events.put(Joined(name))
                        if not self._work(name, runner):
                            return
                self._is_ending.wait(self._look_every_s)
        except BaseException as error:  # noqa: BLE001 - of a thread: raised where events are read
            self._events.put(error)

    def _work(self, name: str, runner: Runner) -> bool:
        """Carry out orders until the board is lost, or let go: then False."""
        station = Station(runner, self._default, MachineClock())
        while True:
            order = self._orders[name].get()
            if order is None:
                return False
            try:
                self._events.put(Made(name, station.measure(order)))
            except TargetError as error:
                self._events.put(Gone(name, error))
                return True


class TimedRunner(Runner, Clock, Protocol):
    """A runner that is its own clock, as simulated ones are."""


class VirtualFleet:
    """Boards that keep their own time, in one thread: the same events in the same order each time.

    Args:
        boards: Name → what makes a runner on it, raising as :data:`Connect` does.
        default: The baseline.
        look_every_s: As of :class:`Fleet`.
    """

    is_simulated = True

    def __init__(
        self,
        boards: Mapping[str, Callable[[], TimedRunner]],
        default: Assignment,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._connect = dict(boards)
        self._default = default
        self._look_every_s = look_every_s
        self._now = 0.0
        self._stations: dict[str, tuple[TimedRunner, Station]] = {}
        self._coming: list[tuple[float, int, Event | str]] = []
        self._count = 0
        for name in boards:
            self._look_for(name)
        self._now = min((at for at, _, _ in self._coming), default=0.0)

    @property
    def boards(self) -> Sequence[str]:
        return tuple(self._connect)

    def now(self) -> float:
        """When the last event happened."""
        return self._now

    def give(self, board: str, order: Order) -> None:
        runner, station = self._stations[board]
        runner.rest(max(0.0, self._now - runner.now()))
        try:
            event: Event = Made(board, station.measure(order))
        except TargetError as error:
            event = Gone(board, error)
            self._push(runner.now() + self._look_every_s, board)
        self._push(runner.now(), event)

    def next_event(self, limit_s: float) -> Event | None:
        while self._coming and self._coming[0][0] <= self._now + limit_s:
            at, _, event = heapq.heappop(self._coming)
            self._now = max(self._now, at)
            if not isinstance(event, str):
                return event
            self._look_for(event)
        self._now += limit_s
        return None

    def dismiss(self, board: str) -> None:
        del self._stations[board]

    def close(self) -> list[Made]:
        return [event for _, _, event in sorted(self._coming) if isinstance(event, Made)]

    def _look_for(self, name: str) -> None:
        try:
            runner = self._connect[name]()
        except OtherKindError as error:
            self._push(self._now, Gone(name, error, is_for_good=True))
        except TargetError as error:
            self._push(self._now, Gone(name, error))
            self._push(self._now + self._look_every_s, name)
        else:
            self._stations[name] = runner, Station(runner, self._default, runner)
            self._push(max(self._now, runner.now()), Joined(name))

    def _push(self, at: float, event: Event | str) -> None:
        self._count += 1
        heapq.heappush(self._coming, (at, self._count, event))


@dataclass(slots=True)
class _Board:
    """What the loop knows of a board that is there.

    Attributes:
        order: What it measures now.
        is_new: Whether it has not measured the baseline since it joined.
        since_anchor: Trials since it last did.
        is_doubted: Whether another one was not as this one is: which is right, both show again.
        held: What it measured of the baseline that was not as on the others.
    """

    order: Order | None = None
    is_new: bool = True
    since_anchor: int = 0
    is_doubted: bool = False
    held: list[Trial] = field(default_factory=list)


def search_on_boards(
    space: DecisionSpace,
    sampler: Sampler,
    crew: Crew,
    journal: Journal,
    budget: Budget,
    *,
    source: str,
    is_profiling: bool,
    objectives: Sequence[Objective] = (),
    rules: Rules = ONE_SHOT,
    patience_s: float = math.inf,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Trial]:
    """As :func:`~pareto_profiler.loop.search`, on several boards of a kind at once.

    Each board measures the baseline first, and again every ``rules.anchor_every`` trials: by that
    its figures are compared with those of others. Whatever is next goes to whichever board is free,
    a repeat to one that has not measured the same. What a board was measuring when it was lost is
    measured by another; a board whose baseline is off by more than ``rules.alike`` is let go. The
    same trials told again give the same next block, but which board is free first is chance.

    Args:
        space: What may be chosen.
        sampler: Proposes.
        crew: Measures; closed in the end.
        journal: Keeps each trial before it is yielded.
        budget: When to end. Its time is that of the board that worked longest.
        source: The sampler's name, for the record.
        is_profiling: Whether the sampler gets the profiles that it would like.
        objectives: What the front is over, where ``rules`` ask for repeats that confirm it.
        rules: How carefully to measure.
        patience_s: How long to wait where no board is there.
        now: Tells seconds, to see how long the sampler thinks.

    Yields:
        Each new trial.

    Raises:
        TargetError: No board is there any more, or the baseline fails on all of them.
        StoreWriteError: A trial cannot be kept.
    """
    # Boards have anchors of their own.
    calm = replace(rules, anchor_every=0)
    schedule = Schedule(space, sampler, source, objectives, calm, is_profiling=is_profiling)
    loop = _Loop(space.default, schedule, crew, journal, budget, rules, patience_s, now)
    try:
        yield from loop.trials()
    finally:
        for made in crew.close():
            loop.keep(made)


class _Loop:
    def __init__(
        self,
        default: Assignment,
        schedule: Schedule,
        crew: Crew,
        journal: Journal,
        budget: Budget,
        rules: Rules,
        patience_s: float,
        now: Callable[[], float],
    ) -> None:
        self._default = default
        self._schedule = schedule
        self._crew = crew
        self._journal = journal
        self._budget = budget
        self._exploring = budget.without(rules.confirm_share)
        self._rules = rules
        self._patience_s = patience_s
        self._now = now
        self._boards: dict[str, _Board] = {}
        self._absent = set(crew.boards)
        self._waiting: deque[Order] = deque()
        self._is_dry = False
        self._measured_on: dict[Assignment, Counter[str]] = {}
        self._losses = Counter[Assignment]()
        self._levels: dict[str, list[float]] = {}
        self._spent_s: dict[str, float] = {}
        self._made = 0
        self._thought_s = 0.0
        self._thoughts: queue.Queue[Block | BaseException] = queue.Queue()
        self._is_thinking = False
        self._untold: list[Trial] = []
        self._error = TargetError("no board is there")
        for trial in journal.trials:
            self._take_in(trial)

    def trials(self) -> Iterator[Trial]:
        alone_since = self._now()
        while True:
            self._give_orders()
            is_idle = not self._flying() and not self._is_thinking
            if is_idle and (self._boards or self._is_spent()):
                return  # nobody found anything to do
            left_s = alone_since + self._patience_s - self._now()
            if not self._boards and (left_s <= 0 or not self._absent):
                raise self._error
            before = len(self._journal.trials)
            limit_s = math.inf if self._boards else left_s
            match self._crew.next_event(min(limit_s, _GLANCE_S) if self._is_thinking else limit_s):
                case Joined(board):
                    self._boards[board] = _Board()
                    self._absent.discard(board)
                case Made() as made:
                    self.keep(made)
                case Gone() as gone:
                    self._lose(gone)
            if self._boards:
                alone_since = self._now()
            yield from self._journal.trials[before:]

    def keep(self, made: Made) -> None:
        """Keep what a board measured."""
        board = self._boards[made.board]
        order, board.order = board.order, None
        if order is None or (board.is_new and not self._is_alike(made)):
            return
        board.is_new = False
        is_anchor = order.assignment == self._default
        board.is_doubted = board.is_doubted and not is_anchor
        board.since_anchor = 0 if is_anchor else board.since_anchor + 1
        for trial in (*board.held, *made.trials):
            self._append(trial, made.board)
        board.held.clear()

    def _append(self, trial: Trial, board: str) -> None:
        kept = replace(trial, number=self._made, board=board)
        self._journal.append(kept)
        self._take_in(kept)

    def _take_in(self, trial: Trial) -> None:
        if self._is_thinking:
            self._untold.append(trial)
        else:
            self._schedule.tell(trial)
        self._made += 1
        self._is_dry = False
        self._measured_on.setdefault(trial.assignment, Counter())[trial.board] += 1
        spent_s = self._spent_s.get(trial.board, 0.0) + trial.duration_s + trial.rested_s
        self._spent_s[trial.board] = spent_s
        level = _level(trial)
        if trial.assignment == self._default and level is not None:
            self._levels.setdefault(trial.board, []).append(level)

    def _give_orders(self) -> None:
        self._take_thoughts()
        for name, board in self._boards.items():
            if board.order is None and not self._is_spent():
                board.order = self._order_for(name, board)
                if board.order is not None:
                    self._crew.give(name, board.order)

    def _order_for(self, name: str, board: _Board) -> Order | None:
        anchor = Order(ANCHOR, self._default)
        if self._default not in self._measured_on:
            orders = [b.order.source for b in self._boards.values() if b.order]
            return anchor if BASELINE in orders else Order(BASELINE, self._default)
        self._refill()
        if not self._waiting:
            return None
        if board.is_new or board.is_doubted or 0 < self._rules.anchor_every <= board.since_anchor:
            return anchor
        # Of repeats those first that this board has not measured yet.
        times = [
            self._measured_on[o.assignment][name] if o.source in _REPEATS else 0
            for o in self._waiting
        ]
        place = times.index(min(times))
        order = self._waiting[place]
        del self._waiting[place]
        return order

    def _refill(self) -> None:
        """Let the sampler be asked before nothing is left: boards work while it thinks."""
        if self._is_thinking or self._is_dry or len(self._waiting) > self._needed_meanwhile():
            return
        flying = self._flying()
        pending = flying + [o.assignment for o in self._waiting if o.source not in _REPEATS]
        begun = self._made + len(flying) + len(self._waiting)
        left = self._exploring.left(begun, self._longest_s())
        most = self._batch(len(flying))

        def think() -> None:
            began = self._now()
            try:
                block = self._schedule.next_block(left, pending, most)
            except BaseException as error:  # noqa: BLE001 - of a thread: raised where it is taken
                self._thoughts.put(error)
            else:
                self._thought_s = self._now() - began
                self._thoughts.put(block)

        self._is_thinking = True
        if self._crew.is_simulated:
            think()
        else:
            # One that an interrupt leaves behind keeps nobody waiting.
            threading.Thread(target=think, daemon=True).start()
        self._take_thoughts()

    def _take_thoughts(self) -> None:
        """Take what the sampler asks for, if it is done, and tell it what came meanwhile."""
        try:
            block = self._thoughts.get_nowait()
        except queue.Empty:
            return
        if isinstance(block, BaseException):
            raise block
        self._is_thinking = False
        self._is_dry = not block and not self._untold
        self._waiting.extend(Order(who, a) for who, a in block)
        for trial in self._untold:
            self._schedule.tell(trial)
        self._untold.clear()

    def _needed_meanwhile(self) -> int:
        """How many boards get free while the sampler thinks."""
        return int(len(self._boards) * self._thought_s / self._trial_s())

    def _trial_s(self) -> float:
        return max(sum(self._spent_s.values()) / max(1, self._made), 1e-3)

    def _batch(self, flying: int) -> int:
        """How many to ask for: one for each free board, and for those that get free meanwhile."""
        meanwhile = _AHEAD * len(self._boards) * self._thought_s / self._trial_s()
        free = len(self._boards) - flying
        return max(1, free, min(len(self._boards), math.ceil(meanwhile)))

    def _flying(self) -> list[Assignment]:
        return [b.order.assignment for b in self._boards.values() if b.order]

    def _longest_s(self) -> float:
        return max(self._spent_s.values(), default=0.0)

    def _is_spent(self) -> bool:
        return self._budget.is_spent(self._made + len(self._flying()), self._longest_s())

    def _is_alike(self, made: Made) -> bool:
        """Whether a board's baseline is about what the others' is; one that is not is let go."""
        last, board = made.trials[-1], self._boards[made.board]
        if failure := failure_of(last):
            self._let_go(made.board, baseline_fails(failure))
            return False
        level = _level(last)
        # The least: what disturbs a board makes it slow, and only now and then.
        others = [min(x) for name, x in self._levels.items() if name != made.board]
        if level is None or made.board in self._levels or not others:
            return True
        limit = math.log1p(self._rules.alike)
        board.held += made.trials
        levels = [x for x in map(_level, board.held) if x is not None]
        off = min(levels) - median(others)
        if abs(off) <= limit:
            del board.held[-len(made.trials) :]
            return True
        if len(levels) >= _MAX_UNLIKE:
            words = (
                f"its baseline takes {math.exp(off):.2f} times as long as on the others: expected "
                f"at most {100 * self._rules.alike:g} % more or less"
            )
            self._let_go(made.board, OtherKindError(words))
        for name, other in self._boards.items():
            other.is_doubted = other.is_doubted or name != made.board
        return False

    def _let_go(self, board: str, error: TargetError) -> None:
        del self._boards[board]
        self._crew.dismiss(board)
        self._error = error
        _LOG.warning("%s is left out: %s", board, error)

    def _lose(self, gone: Gone) -> None:
        lost = self._boards.pop(gone.board, None)
        self._error = gone.error
        if gone.is_for_good:
            self._absent.discard(gone.board)
            _LOG.warning("%s is left out: %s", gone.board, gone.error)
            return
        self._absent.add(gone.board)
        _LOG.warning("%s is gone: %s", gone.board, gone.error)
        if not lost or not lost.order or lost.order.assignment == self._default:
            return
        order = lost.order
        self._losses[order.assignment] += 1
        if self._losses[order.assignment] < _MAX_LOSSES:
            self._waiting.appendleft(order)
            return
        words = f"the board that measured it was lost, {_MAX_LOSSES} times"
        failure = Failure(FailureKind.CRASHED, words)
        self._append(Trial(0, order.assignment, failure, order.source), gone.board)


def _level(trial: Trial) -> float | None:
    """Logarithm of the time, where nothing disturbed it."""
    outcome, time_ = trial.outcome, OBJECTIVES["exec_time"]
    if not isinstance(outcome, Measurement) or outcome.is_contended or not outcome.has(time_):
        return None
    return math.log(max(outcome.value(time_), 1e-9))
