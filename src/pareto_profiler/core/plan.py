"""Plan: how each assignment is measured."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pareto_profiler.errors import InputError

_MAX_CPUS: Final = 1024
LARGEST: Final = "largest"
"""The kind of tolerance that counts the largest difference, as a fraction of the output's range."""

TOLERANCE_KINDS: Final = {
    LARGEST: (0.0, 1e6, 1e-3),
    "l2": (0.0, 1e6, 1e-2),
    "cosine": (-1.0, 1.0, 0.999),
    "top1": (1.0, 1.0, 1.0),
    "kl": (0.0, 1e6, 1e-2),
}
"""Kind of tolerance → least, most, and what it is where no number is given."""

# What recordings have always called them.
_RECORDED: Final = {"min_repeats": "least_repeats", "max_repeats": "most_repeats"}


def cpus_of(text: str) -> tuple[int, ...]:
    """The processors that a list such as ``0,4-7`` names.

    Raises:
        InputError: It is no such list.

    Examples:
        >>> cpus_of("0,4-6")
        (0, 4, 5, 6)
    """
    named: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < _MAX_CPUS:
            raise InputError(f"processors {text!r}: expected something like 0,4-7")
        named += range(first, last + 1)
    return tuple(named)


def tolerance_of(text: str) -> tuple[str, float]:
    """Kind and size of a tolerance such as ``0.01``, ``cosine:0.999`` or ``top1``.

    Raises:
        InputError: It is none.

    Examples:
        >>> tolerance_of("0.01"), tolerance_of("cosine:0.99"), tolerance_of("top1")
        (('largest', 0.01), ('cosine', 0.99), ('top1', 1.0))
    """
    kind, _, number = text.partition(":")
    if kind not in TOLERANCE_KINDS:
        kind, number = LARGEST, text
    least, most, usual = TOLERANCE_KINDS[kind]
    try:
        value = float(number) if number else usual
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise InputError(
            f"tolerance {text!r}: expected a fraction of an output's range such as 0.01, or "
            f"l2:0.01, cosine:0.999, top1, kl:0.01"
        )
    return kind, value


@dataclass(frozen=True, slots=True)
class Plan:
    """How each assignment is measured; figures of different plans are not compared.

    Attributes:
        repeats: Timed runs per process; None for as many as ``precision`` takes.
        warmups: Runs before them, kept apart; None for as many as it takes until a block of runs is
            no faster than the one before it.
        precision: Standard error of the median that is precise enough, as a fraction of it.
        min_repeats: At least that many timed runs, whatever the precision.
        max_repeats: At most that many.
        run_time_s: Seconds of timed runs after which no more than ``min_repeats`` are made.
        time_limit_s: Seconds after which a process is ended.
        threads: Threads each backend may use, where that is not varied.
        tolerance: Largest accepted difference from the baseline's output, as a fraction of the
            range of that output; of another kind where ``tolerance_kind`` says so.
        tolerance_kind: ``largest``; ``l2`` (length of the difference over that of the output);
            ``cosine`` (at least that); ``top1`` (the largest number is in the same place); ``kl``
            (Kullback-Leibler divergence of probabilities, in nats).
        memory_limit_kib: Most data memory a process may take, in KiB; 0 for no limit.
        load_every_backend: Whether every backend of the space is loaded, as the seed does, or only
            those an assignment uses.
        cpus: Processors that a process may run on, such as ``0,4-7``; empty for all.
        pause_s: Seconds of rest before each process, for a device that heats up.
        input_digest: SHA-256 of the input tensors.
    """

    repeats: int | None = None
    warmups: int | None = None
    precision: float = 0.005
    min_repeats: int = 10
    max_repeats: int = 200
    run_time_s: float = 1.0
    time_limit_s: float = 60.0
    threads: int = 1
    tolerance: float = 1e-3
    memory_limit_kib: int = 0
    load_every_backend: bool = False
    cpus: str = ""
    pause_s: float = 0.0
    input_digest: str = ""
    tolerance_kind: str = LARGEST

    @property
    def in_words(self) -> str:
        """How often an assignment runs in one process.

        Examples:
            >>> Plan(repeats=10, warmups=3).in_words
            '10 runs after 3 warm-ups'
            >>> Plan().in_words
            '10 to 200 runs (to 0.5 %, 1 s) after warming up'
        """
        runs = (
            f"{self.min_repeats} to {self.max_repeats} runs "
            f"(to {100 * self.precision:g} %, {self.run_time_s:g} s)"
            if self.repeats is None
            else f"{self.repeats} run{'s' * (self.repeats != 1)}"
        )
        if self.warmups is None:
            return f"{runs} after warming up"
        return f"{runs} after {self.warmups} warm-up{'s' * (self.warmups != 1)}"

    def to_json(self) -> dict[str, Any]:
        """As plain data, see :meth:`from_json`."""
        told = {_RECORDED.get(name, name): getattr(self, name) for name in Plan.__slots__}
        if told["tolerance_kind"] == LARGEST:  # as in recordings of before there were others
            del told["tolerance_kind"]
        return told

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Back from :meth:`to_json`.

        Raises:
            TypeError: The data has other members.
        """
        names = {recorded: name for name, recorded in _RECORDED.items()}
        return cls(**{names.get(key, key): value for key, value in data.items()})
