"""Which backend can run which operation: a runtime's tables, and what the user knows better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.errors import InputError


class SupportTable(Protocol):
    """What a runtime knows beforehand: a first guess that saves measurements."""

    def why_not(self, backend: str, operation: Operation) -> str:
        """Why a backend cannot run an operation; empty when nothing says so."""
        ...

    def is_fixed(self, operation: Operation) -> bool:
        """Whether nobody decides it: the runtime places it itself, or does not know it."""
        ...

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        """See that assignments of a granularity can be told to the runtime.

        Raises:
            SpaceError: They cannot.
        """
        ...


class Trusting:
    """A table that denies nothing."""

    def why_not(self, backend: str, operation: Operation) -> str:
        del backend, operation
        return ""

    def is_fixed(self, operation: Operation) -> bool:
        del operation
        return False

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        del graph, granularity


TRUSTING: Final[SupportTable] = Trusting()
"""One for all."""


@dataclass(frozen=True, slots=True)
class Support:
    """A support table with the user's corrections.

    Args:
        table: The runtime's.
        allowed: Pairs ⟨backend, operation name⟩ to try whatever the tables say; ``*`` as a name
            stands for every operation.
        forbidden: Pairs never to try; stronger than ``allowed``.
    """

    table: SupportTable = TRUSTING
    allowed: frozenset[tuple[str, str]] = field(default=frozenset())
    forbidden: frozenset[tuple[str, str]] = field(default=frozenset())

    @classmethod
    def of(
        cls,
        allow: Iterable[str] = (),
        forbid: Iterable[str] = (),
        table: SupportTable = TRUSTING,
    ) -> Support:
        """From texts of the form ``BACKEND:OPERATION``.

        Raises:
            InputError: A text has another form.

        Examples:
            >>> Support.of(allow=["ruy:*"]).allowed
            frozenset({('ruy', '*')})
        """
        return cls(table, frozenset(map(_pair, allow)), frozenset(map(_pair, forbid)))

    def why_not(self, backend: str, operation: Operation) -> str:
        """Why a backend cannot run an operation; empty when nothing says so."""
        for name in (operation.name, "*"):
            if (backend, name) in self.forbidden:
                return f"{backend} is forbidden for {name}"
        if (backend, operation.name) in self.allowed or (backend, "*") in self.allowed:
            return ""
        return self.table.why_not(backend, operation)

    def check(self, backends: Iterable[str], names: Iterable[str]) -> None:
        """See that every correction names a backend and an operation that are there.

        Raises:
            InputError: One does not: it would have no effect.
        """
        backends, names = tuple(backends), {*names, "*"}
        for backend, name in sorted(self.allowed | self.forbidden):
            if backend not in backends:
                raise InputError(f"{backend}:{name}: the backends are {', '.join(backends)}")
            if name not in names:
                raise InputError(
                    f"{backend}:{name}: the model's operations are "
                    f"{', '.join(sorted(names - {'', '*'}))}"
                )


def _pair(text: str) -> tuple[str, str]:
    backend, colon, name = text.partition(":")
    if not backend or not colon or not name:
        raise InputError(f"{text!r}: expected BACKEND:OPERATION, such as ruy:Conv2D or ruy:*")
    return backend, name
