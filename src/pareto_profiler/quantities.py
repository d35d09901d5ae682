"""Quantities as people write them: durations, sizes, fractions, lists of numbers."""

from __future__ import annotations

import re
from typing import Final

from pareto_profiler.errors import InputError

_MIN_CONFIDENCE: Final = 0.5
_WHOLE: Final = 100
_LONGEST_S: Final = 3_600_000.0
_LARGEST_KIB: Final = 2**30
_UNIT_SECONDS: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def split(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated option.

    Examples:
        >>> split("cpu, ruy")
        ('cpu', 'ruy')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers_of(text: str) -> tuple[int, ...]:
    """Numbers given as ``3``, ``3,5`` or ``3-8,10``, in order.

    Raises:
        InputError: They are not.

    Examples:
        >>> numbers_of("3-5,8")
        (3, 4, 5, 8)
    """
    found: set[int] = set()
    for part in split(text):
        ends = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if first > last:
            raise InputError(f"operations {text!r}: expected something like 3-8,10")
        found |= set(range(first, last + 1))
    if not found:
        raise InputError(f"operations {text!r}: expected something like 3-8,10")
    return tuple(sorted(found))


def seconds_of(text: str) -> float:
    """Seconds of a duration such as ``90``, ``90s``, ``200ms``, ``10m`` or ``1h30m``.

    Raises:
        InputError: It is no duration.

    Examples:
        >>> seconds_of("1h30m"), seconds_of("200ms")
        (5400.0, 0.2)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smh]|)", text)
    seconds = sum(float(number) * _UNIT_SECONDS[unit or "s"] for number, unit in parts)
    if "".join(map("".join, parts)) != text or not 0 < seconds <= _LONGEST_S:
        raise InputError(
            f"duration {text!r}: expected something like 90s, 200ms or 1h30m, at most 1000h"
        )
    return seconds


def fraction_of(text: str, most: float = 1.0) -> float:
    """A fraction given as ``1%`` or ``0.01``.

    Raises:
        InputError: It is none, or beyond ``most``.

    Examples:
        >>> fraction_of("0.5%")
        0.005
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text)
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value <= most:
        hint = f"; did you mean {text}%?" if found and not found[2] and 1 < value <= _WHOLE else ""
        raise InputError(
            f"fraction {text!r}: expected something like 1% or 0.01, at most {most:g}{hint}"
        )
    return value


def confidence_of(text: str) -> float:
    """A confidence given as ``95%`` or ``0.95``.

    Raises:
        InputError: It is none.

    Examples:
        >>> confidence_of("99%")
        0.99
    """
    value = fraction_of(text)
    if not _MIN_CONFIDENCE <= value < 1:
        raise InputError(f"confidence {text!r}: expected 50% or more, less than 100%")
    return value


def kib_of(text: str) -> int:
    """KiB of a size such as ``300MB``, ``1.5GiB`` or ``200000KiB``; 0 for an empty text.

    Raises:
        InputError: It is no size.

    Examples:
        >>> kib_of("1GiB"), kib_of("1MB")
        (1048576, 976)
    """
    if not text:
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMG])(i?)B?", text)
    if not found:
        raise InputError(f"size {text!r}: expected something like 300MB, 1.5GiB or 200000KiB")
    power = "KMG".index(found.group(2).upper()) + 1
    kib = float(found.group(1)) * (1024 if found.group(3) else 1000) ** power / 1024
    if not 1 <= kib <= _LARGEST_KIB:
        raise InputError(f"size {text!r}: expected 1 KiB to 1 TiB")
    return int(kib)
