"""Features: the design matrix, which has as many entries in each row, few of all columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pareto_profiler.samplers.structured.structure import CACHED, Digits, Flags, Vector, chunks

# What is spread out over columns takes that many numbers at a time: 32 MB.
_DENSE: Final = 4_000_000


@dataclass(frozen=True)
class Features:
    """Features of assignments; what is not an entry is zero.

    Own code, since of SciPy's 143 MB nothing else was needed, and a fixed number of entries in
    each row takes no more than NumPy.

    Attributes:
        columns: Where the entries are, each at most once in a row; shape ``(rows, entries)``.
        values: What they are; the same shape.
        width: Number of columns.

    Examples:
        >>> features = Features(np.array([[0, 2], [1, 2]]), np.array([[1.0, 2.0], [1.0, 3.0]]), 4)
        >>> features.dense().tolist()
        [[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 3.0, 0.0]]
        >>> features.times(np.array([10.0, 20.0, 1.0, 0.0])).tolist()
        [12.0, 23.0]
        >>> features.back(np.array([1.0, 2.0])).tolist()
        [1.0, 2.0, 8.0, 0.0]
    """

    columns: Digits
    values: Vector
    width: int

    @classmethod
    def of_rows(cls, rows: Vector) -> Features:
        """Of rows with all their columns."""
        return cls(np.broadcast_to(np.arange(rows.shape[1]), rows.shape), rows, rows.shape[1])

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, rows: slice) -> Features:
        return Features(self.columns[rows], self.values[rows], self.width)

    def above(self, other: Features) -> Features:
        """These rows and then another's, which has as many entries in each."""
        columns = np.vstack([self.columns, other.columns])
        return Features(columns, np.vstack([self.values, other.values]), self.width)

    def scaled(self, factors: Vector) -> Features:
        """Each column times a factor of its own."""
        return Features(self.columns, self.values * factors.take(self.columns), self.width)

    def times(self, weights: Vector) -> Vector:
        """Product with weights, shape ``(rows,)``; with several, ``(sets, width)``, for each set.

        O(rows · entries · sets), results of shape ``(sets, rows)``.
        """
        if weights.ndim == 1:
            return np.asarray(np.einsum("nk,nk->n", self.values, weights.take(self.columns)))
        by_column = np.ascontiguousarray(weights.T)
        found = np.empty((len(self), len(weights)))
        for rows in chunks(len(self), self.columns.shape[1] * len(weights), CACHED):
            own = by_column.take(self.columns[rows], axis=0)
            np.matmul(self.values[rows, None, :], own, out=found[rows, None, :])
        return found.T

    def back(self, amounts: Vector) -> Vector:
        """Sum of rows, each times its amount; of several sets of amounts one sum for each."""
        places = self.columns.ravel()
        sums = [
            np.bincount(places, (self.values * own[:, None]).ravel(), minlength=self.width)
            for own in np.atleast_2d(amounts)
        ]
        return np.asarray(sums[0] if amounts.ndim == 1 else np.stack(sums))

    def squares(self, weights: Vector) -> Vector:
        """Sum of squares in each row, each column's weighed."""
        return np.asarray(np.einsum("nk,nk,nk->n", self.values, self.values, weights[self.columns]))

    def squares_apart(self, one: Features, weights: Vector) -> Vector:
        """Sum of squares of what each row differs by from the only one of another."""
        theirs = one.dense()[0]
        mine = Features(self.columns, self.values - theirs.take(self.columns), self.width)
        # What only the other has: all that it has, but for what stands where this has an entry.
        alone = one.squares(weights) - Features(
            self.columns, theirs.take(self.columns), self.width
        ).squares(weights)
        return np.asarray(mine.squares(weights) + np.maximum(alone, 0.0))

    def column(self, position: int) -> Vector:
        """One of them, shape ``(rows,)``."""
        return np.asarray(np.where(self.columns == position, self.values, 0.0).sum(axis=1))

    def dense(self) -> Vector:
        """All of it, shape ``(rows, width)``."""
        return self.spread(np.arange(self.width), self.width)

    def gram(self, is_part: Flags) -> Vector:
        """Product with itself, of some entries only, shape ``(rows, rows)``."""
        is_part = is_part & (self.values != 0)
        part = Features(np.where(is_part, self.columns, 0), self.values * is_part, self.width)
        return part.across(part)

    def across(self, other: Features, weights: Vector | None = None) -> Vector:
        """Products of these rows with another's, each column's weighed.

        Shape ``(rows, other's rows)``; O(rows · other's rows · columns that the other has).
        """
        counts = np.bincount(other.columns[other.values != 0], minlength=self.width)
        used = np.flatnonzero(counts)
        places = np.full(self.width, len(used))
        places[used] = np.arange(len(used))
        found = np.zeros((len(self), len(other)))
        for rows in chunks(len(self), len(used), _DENSE):
            mine = self[rows].spread(places, len(used))
            if weights is not None:
                mine *= weights[used]
            for others in chunks(len(other), len(used), _DENSE):
                is_same = other is self and rows == others and weights is None
                theirs = mine if is_same else other[others].spread(places, len(used))
                found[rows, others] = mine @ theirs.T
        return found

    def spread(self, places: Digits, count: int) -> Vector:
        """All columns that have a place below a count, at theirs; shape ``(rows, count)``."""
        rows = np.arange(len(self))[:, None] * (count + 1)
        # Not by assignment: what is zero may stand at the place of what is not.
        flat = np.bincount(
            (rows + places.take(self.columns)).ravel(),
            self.values.ravel(),
            minlength=len(self) * (count + 1),
        )
        return np.asarray(flat.reshape(len(self), count + 1)[:, :count])
