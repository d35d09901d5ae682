"""The order in which onert walks its tables: that of libstdc++'s hash containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

# How many places such a container has, growth by growth.
_SIZES: Final = (1, 13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 84467, 169339)


class HashOrder:
    """Numbers in a hash container of libstdc++, to be walked as that walks them.

    A number goes before all others, but where its place is taken: then before those of that place.
    """

    __slots__ = ("_backwards", "_first", "_growth")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        # New ones mostly go to the front, and lists grow at their end.
        self._backwards: list[int] = []
        self._first: dict[int, int] = {}
        self._growth = 0
        for number in numbers:
            self.add(number)

    def __iter__(self) -> Iterator[int]:
        return reversed(self._backwards)

    def __len__(self) -> int:
        return len(self._backwards)

    def copy(self) -> HashOrder:
        """One that is walked alike, as copies of such containers are."""
        other = HashOrder()
        other._backwards = self._backwards.copy()
        other._first = self._first.copy()
        other._growth = self._growth
        return other

    def add(self, number: int) -> None:
        """Put a number in, unless it is there."""
        size = _SIZES[self._growth]
        # Only a taken place can be its own.
        if number % size in self._first and number in self._backwards:
            return
        if len(self._backwards) >= (size if self._growth else 0):
            before = [*self]
            self._growth += 1
            self._backwards, self._first = [], {}
            for old in before:
                self._place(old)
        self._place(number)

    def remove(self, number: int) -> None:
        """Take a number out."""
        at = self._backwards.index(number)
        del self._backwards[at]
        size = _SIZES[self._growth]
        place = number % size
        if self._first[place] == number:
            following = self._backwards[at - 1] if at else -1
            if following >= 0 and following % size == place:
                self._first[place] = following
            else:
                del self._first[place]

    def _place(self, number: int) -> None:
        place = number % _SIZES[self._growth]
        first = self._first.get(place)
        if first is None:
            self._backwards.append(number)
        else:
            self._backwards.insert(self._backwards.index(first) + 1, number)
        self._first[place] = number
