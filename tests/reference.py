"""The definitions, naive: what the fast code is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

Point = Sequence[float]


def dominates(a: Point, b: Point) -> bool:
    """Nowhere larger, somewhere smaller."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(
        x < y for x, y in zip(a, b, strict=True)
    )


def nondominated(points: Sequence[Point]) -> list[bool]:
    """By double loop."""
    return [not any(dominates(other, point) for other in points) for point in points]


def hypervolume(points: Sequence[tuple[int, ...]], reference: tuple[int, ...]) -> int:
    """By counting the unit cells that some point dominates; integers only."""
    return sum(
        any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points)
        for cell in product(*(range(r) for r in reference))
    )


def id_of(digits: Sequence[int], bases: Sequence[int]) -> int:
    """Mixed radix, first digit least significant."""
    total, weight = 0, 1
    for digit, base in zip(digits, bases, strict=True):
        total += digit * weight
        weight *= base
    return total
