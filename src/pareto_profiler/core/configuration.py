"""Configuration: what a runtime is told to realise an assignment; and the settings to vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from pareto_profiler.errors import InputError

THREADS: Final = "threads"
"""The setting that every runtime calls so; its values depend on the machine."""


class Configuration(Protocol):
    """One assignment in the words of its runtime."""

    @property
    def text(self) -> str:
        """As one line for people."""
        ...


def settings_to_vary(
    known: Mapping[str, Sequence[str]], names: Sequence[str], cores: int, threads: int
) -> dict[str, tuple[str, ...]]:
    """Setting → its values, the default first.

    Args:
        known: The runtime's settings, each with its values, the default first; none for threads,
            whose values are 1, 2, 4 … up to the number of cores.
        names: Settings to vary.
        cores: Cores of the target.
        threads: The default number of threads.

    Raises:
        InputError: A name is unknown or comes twice.

    Examples:
        >>> known = {"threads": (), "executor": ("Linear", "Parallel")}
        >>> settings_to_vary(known, ["threads", "executor"], cores=4, threads=2)
        {'threads': ('2', '1', '4'), 'executor': ('Linear', 'Parallel')}
    """
    varied: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name in varied:
            raise InputError(f"setting {name!r} is named twice")
        if name not in known:
            raise InputError(f"setting {name!r}: expected one of {', '.join(known)}")
        varied[name] = tuple(known[name])
        if name == THREADS:
            counts = {threads, cores} | {2**i for i in range(cores.bit_length()) if 2**i <= cores}
            others = sorted(counts - {threads})
            varied[name] = tuple(map(str, (threads, *others)))
    return varied
