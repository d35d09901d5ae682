"""What a backend of onert keeps where, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from pareto_profiler.runtimes.onert.lowering import Lowered

_START: Final = -1


@dataclass(frozen=True, slots=True)
class Life:
    """From when to when a planner keeps a place for a tensor.

    Attributes:
        size: In bytes.
        claimed: Step before which the place is taken; -1 before all steps.
        released: Step after which the place is free; the number of steps where it never is.
    """

    size: int
    claimed: int
    released: int


def _bump(lives: Sequence[Life]) -> list[int]:
    offsets, end = [], 0
    for life in lives:
        offsets.append(end)
        end += life.size
    return offsets


def _first_fit(lives: Sequence[Life]) -> list[int]:
    offsets: list[int] = []
    # Offset → who lies there; as onert's, of two empty ones at an offset it knows the later.
    lying: dict[int, int] = {}
    for i, life in enumerate(lives):
        for offset, other in [*lying.items()]:
            if lives[other].released < life.claimed:
                del lying[offset]
        offset = 0
        for taken in sorted(lying):
            if offset + life.size <= taken:
                break
            offset = taken + lives[lying[taken]].size
        lying[offset] = i
        offsets.append(offset)
    return offsets


def _widest_first(lives: Sequence[Life]) -> list[int]:
    offsets = [0] * len(lives)
    placed: list[tuple[int, int, int, int]] = []
    # Sorting keeps the order of claims among equals, as onert's sorted table does.
    for i in sorted(range(len(lives)), key=lambda i: -lives[i].size):
        life = lives[i]
        size, claimed, released = life.size, life.claimed, life.released
        beside = [
            (offset, end)
            for offset, end, other_claimed, other_released in placed
            if other_released >= claimed and other_claimed <= released
        ]
        offset = 0
        for taken, end in sorted(beside, key=itemgetter(0)):
            if offset + size <= taken:
                break
            offset = max(offset, end)
        offsets[i] = offset
        placed.append((offset, offset + size, claimed, released))
    return offsets


PLANNERS: Final[Mapping[str, Callable[[Sequence[Life]], list[int]]]] = {
    "WIC": _widest_first,
    "FirstFit": _first_fit,
    "Bump": _bump,
}
"""Name → what gives each of the lives, in the order of their claims, an offset."""


class Arena:
    """The memory of one backend, planned from what that backend itself does.

    Args:
        lowered: The graph on its backends.
        backend: Whose memory.
        sizes: Of the file's tensors, in bytes.
        roots: Tensors that lie where another does, with that one.

    Attributes:
        released: Tensor → step after which its place is free, where there is one.
        written: Tensor → step that writes it.
    """

    def __init__(
        self, lowered: Lowered, backend: str, sizes: Sequence[int], roots: Mapping[int, int]
    ) -> None:
        self._lowered, self._backend, self._sizes, self._roots = lowered, backend, sizes, roots
        self.written = {t: at for at, step in enumerate(lowered.steps) for t in step.writes}
        self.released: dict[int, int] = {}
        self._claimed = dict.fromkeys(lowered.copies_in(backend), _START)
        self._plan()

    def root(self, t: int) -> int:
        """The tensor in whose place one lies: mostly itself."""
        return self._roots.get(t, t)

    def _plan(self) -> None:
        lowered, backend, holder = self._lowered, self._backend, self._lowered.holder
        own = [(at, step) for at, step in enumerate(lowered.steps) if step.backend == backend]
        left = Counter(t for _, step in own for t in step.reads if holder.get(t) == backend)
        users = Counter(self._claimed.keys())
        for at, step in own:
            for t in step.writes:
                if holder.get(t) == backend:
                    users[self.root(t)] += 1
                    self._claimed.setdefault(self.root(t), at)
            for t in step.reads:
                if holder.get(t) == backend:
                    left[t] -= 1
                    users[self.root(t)] -= not left[t]
                    if not users[self.root(t)]:
                        self.released.setdefault(self.root(t), at)

    def read_late(self) -> list[tuple[int, int]]:
        """Tensors with the steps of others that read them when their place is free already."""
        never = len(self._lowered.steps)
        return [
            (t, at)
            for at, step in enumerate(self._lowered.steps)
            if step.backend != self._backend
            for t in step.reads
            if self._lowered.holder.get(t) == self._backend
            and self.released.get(self.root(t), never) < at
        ]

    def places(self, planner: str) -> dict[int, tuple[int, int]]:
        """Tensor → where it begins and ends.

        Args:
            planner: Its name; onert takes all that it does not know for FirstFit.
        """
        never = len(self._lowered.steps)
        lives = [
            Life(self._sizes[self._lowered.original.get(t, t)], at, self.released.get(t, never))
            for t, at in self._claimed.items()
        ]
        offsets = PLANNERS.get(planner, _first_fit)(lives)
        return {
            t: (offset, offset + life.size)
            for t, offset, life in zip(self._claimed, offsets, lives, strict=True)
        }
