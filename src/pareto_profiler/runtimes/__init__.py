"""Runtimes by name: a runtime is one folder here and one line below."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pareto_profiler.errors import InputError
from pareto_profiler.models import format_of

if TYPE_CHECKING:
    from pathlib import Path

    from pareto_profiler.core.recording import Header
    from pareto_profiler.runtimes.base import Runtime

RUNTIMES: Final = {
    "onert": "pareto_profiler.runtimes.onert",
    "litert": "pareto_profiler.runtimes.litert",
    "onnxruntime": "pareto_profiler.runtimes.onnxruntime",
    "ncnn": "pareto_profiler.runtimes.ncnn",
}
"""Name → module with a ``RUNTIME``, imported when it is asked for; the first is the default."""

FUNCTION: Final = "function"
"""What stands in a run's header in place of a runtime where a Python function measured it."""

PYTHON_ONLY: Final = "measure from Python, by pareto_profiler.search(…, measure=…)"
"""What to do with such a run, for people."""


def runtime(name: str = "") -> Runtime:
    """The runtime of a name; the default one where there is none.

    Args:
        name: Such as ``onert``; a version behind it, as headers have it, is left alone.

    Raises:
        InputError: There is none.

    Examples:
        >>> runtime("onert 1.30.0").name
        'onert'
    """
    word = name.split(maxsplit=1)[0] if name.strip() else next(iter(RUNTIMES))
    if word not in RUNTIMES:
        raise InputError(f"runtime {word!r}: expected one of {', '.join(RUNTIMES)}")
    made: Runtime = import_module(RUNTIMES[word]).RUNTIME
    return made


def runtime_for(path: Path, name: str = "") -> Runtime:
    """The runtime that runs a model: the one that is named, else the first that reads its format.

    Raises:
        InputError: There is none of that name.
    """
    known = format_of(path)
    rooms = [] if name or not known else [runtime(word) for word in RUNTIMES]
    return next((room for room in rooms if known in room.formats), runtime(name))


def runtime_of(header: Header) -> Runtime:
    """The runtime of a run; the default one where that is not told, or unknown here."""
    word = header.runtime.split()[0] if header.runtime.strip() else ""
    if word == FUNCTION:
        from pareto_profiler.runtimes.function import RUNTIME

        return RUNTIME
    return runtime(word if word in RUNTIMES else "")


def runtime_with(backends: Collection[str]) -> str:
    """The only runtime that has all of these backends; empty where several or none have.

    Examples:
        >>> runtime_with({"packed", "plain"}), runtime_with({"xnnpack"}), runtime_with({"gpu"})
        ('onnxruntime', '', '')
    """
    found = [word for word in RUNTIMES if set(backends) <= set(runtime(word).backends)]
    return found[0] if len(found) == 1 else ""


@cache
def settings() -> dict[str, tuple[str, ...]]:
    """The settings of all runtimes, each with its values, to tell them from figures in tables."""
    return {name: tuple(v) for word in RUNTIMES for name, v in runtime(word).settings.items()}
