"""Decision space: the variables of a model, its assignments, and the integer each one is."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product
from operator import contains, getitem
from typing import TYPE_CHECKING, Any

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.support import Support
from pareto_profiler.errors import SpaceError

if TYPE_CHECKING:
    import numpy as np

Assignment = tuple[str, ...]
"""One choice per variable, in the order of the space's variables."""


class Granularity(StrEnum):
    """How operations are grouped; ``name`` and ``index`` are the seed's two modes."""

    NAME = "name"
    """All operations of one name share a backend."""
    INDEX = "index"
    """All operations of one ⟨name, data size⟩ share a backend."""
    OPERATION = "operation"
    """Each operation has its own backend."""


@dataclass(frozen=True, slots=True)
class Variable:
    """Operations that share one backend, or one runtime setting.

    Attributes:
        name: ``Conv2D`` · ``Conv2D/401408`` (name and data size) · ``Conv2D@3`` (name and index) ·
            the name of a setting.
        choices: Every choice, in the order that gives it its digit.
        feasible: The choices worth trying, in the same order.
        operations: Indices of the operations it decides; empty for a setting.
        is_setting: Whether it is a runtime setting and not a backend.
        is_fixed: Whether nobody wants it decided: it stays at its default.
    """

    name: str
    choices: tuple[str, ...]
    feasible: tuple[str, ...]
    operations: tuple[int, ...] = ()
    is_setting: bool = False
    is_fixed: bool = False

    def __post_init__(self) -> None:
        if not self.feasible or not set(self.feasible) <= set(self.choices):
            raise SpaceError(
                f"variable {self.name}: feasible choices {self.feasible} "
                f"are not some of {self.choices}"
            )


@dataclass(frozen=True, slots=True)
class DecisionSpace:
    """All assignments of a model to backends and settings.

    The **id** of an assignment is the integer whose digits, least significant first, are the
    positions of its choices: base is the number of backends for every variable of operations,
    as the seed defines it, and the number of values for a setting. Settings stand behind the
    operations, so they never change the id of a backend assignment.

    Attributes:
        backends: In the order that gives the digits; the first is the baseline's.
        variables: Operation variables by first appearance in the file, then settings.
        granularity: How the operations were grouped.

    Examples:
        >>> space = DecisionSpace.by_names(("cpu", "acl_cl"), ["Pool2D", "Conv2D"])
        >>> space.id_of(("cpu", "acl_cl")), space.assignment_of(3), space.size
        (2, ('acl_cl', 'acl_cl'), 4)
    """

    backends: tuple[str, ...]
    variables: tuple[Variable, ...]
    granularity: Granularity
    _digits: tuple[Mapping[str, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(set(self.backends)) != len(self.backends) or not self.backends:
            raise SpaceError(f"backends {self.backends}: expected one or more, each once")
        if not self.variables:
            raise SpaceError("nothing to decide: every operation is placed by the runtime itself")
        digits = tuple({c: d for d, c in enumerate(v.choices)} for v in self.variables)
        object.__setattr__(self, "_digits", digits)

    @classmethod
    def of(
        cls,
        graph: Graph,
        backends: Sequence[str],
        granularity: Granularity,
        *,
        support: Support | None = None,
        settings: Mapping[str, Sequence[str]] | None = None,
    ) -> DecisionSpace:
        """The space of a model.

        Args:
            graph: The model.
            backends: What may be chosen, the baseline's first.
            granularity: How operations are grouped.
            support: Which backend can run what, and what nobody decides; by default all is trusted.
            settings: Runtime settings to vary, each with its values, the default first.

        Raises:
            SpaceError: Some operations have no feasible backend, the runtime cannot be told
                assignments of this granularity, or nothing is left to decide.
        """
        support = support or Support()
        support.table.check_granularity(graph, granularity)
        groups: dict[str, list[Operation]] = {}
        # What runs in bodies shares a variable by name; no index tells one of it.
        is_by_name = granularity is Granularity.NAME
        for operation in graph.all_operations if is_by_name else graph.operations:
            if not support.table.is_fixed(operation):
                groups.setdefault(_group_name(operation, granularity), []).append(operation)
        return cls.by_groups(
            backends, granularity, groups, support=support, settings=settings or {}
        )

    @classmethod
    def by_groups(
        cls,
        backends: Sequence[str],
        granularity: Granularity,
        groups: Mapping[str, Sequence[Operation]],
        *,
        support: Support | None = None,
        settings: Mapping[str, Sequence[str]] | None = None,
    ) -> DecisionSpace:
        """A space whose operations are grouped already: variable name → its operations."""
        support = support or Support()
        variables = [
            Variable(
                name=name,
                choices=tuple(backends),
                feasible=_feasible(name, operations, backends, support),
                operations=tuple(o.index for o in operations if not o.subgraph),
            )
            for name, operations in groups.items()
        ]
        variables += [
            Variable(name, tuple(values), tuple(values), is_setting=True)
            for name, values in (settings or {}).items()
        ]
        return cls(tuple(backends), tuple(variables), granularity)

    @classmethod
    def by_names(cls, backends: Sequence[str], names: Sequence[str]) -> DecisionSpace:
        """A space known by its operation names only, as the seed's result files give it."""
        choices = tuple(backends)
        variables = tuple(Variable(name, choices, choices) for name in names)
        return cls(choices, variables, Granularity.NAME)

    def limited_to(self, operations: Collection[int]) -> DecisionSpace:
        """The same space with only these operations to be decided: others stay at their defaults.

        Ids mean what they meant. A variable is decided if one of its operations is named.

        Raises:
            SpaceError: None of the variables has any of them, or one is in no variable.
        """
        known = {o for v in self.variables for o in v.operations}
        if unknown := sorted(set(operations) - known):
            there = f"@{min(known)} to @{max(known)}" if known else "none"
            raise SpaceError(
                f"operation @{unknown[0]}: no variable decides it; they decide {there}"
            )
        variables = tuple(
            v
            if v.is_setting or not set(operations).isdisjoint(v.operations)
            else replace(v, feasible=v.feasible[:1], is_fixed=True)
            for v in self.variables
        )
        return replace(self, variables=variables)

    @property
    def size(self) -> int:
        """Number of feasible assignments, exact however large."""
        return math.prod(len(v.feasible) for v in self.variables)

    @property
    def id_limit(self) -> int:
        """One more than the largest id: the number of assignments, infeasible ones included."""
        return math.prod(len(v.choices) for v in self.variables)

    @property
    def default(self) -> Assignment:
        """The baseline: every variable on its first feasible choice."""
        return tuple(v.feasible[0] for v in self.variables)

    def uniforms(self) -> tuple[Assignment, ...]:
        """For each backend but the baseline's: on it everything, then everything it can run.

        Settings and what is fixed stay at their defaults. The first form may be infeasible; trying
        it once, when there is time, shows whether the support tables hold. Duplicates and the
        baseline itself are left out.
        """
        found: dict[Assignment, None] = {}
        for backend in self.backends:
            for strict in (True, False):
                found[
                    tuple(
                        v.feasible[0]
                        if v.is_setting or v.is_fixed or not (strict or backend in v.feasible)
                        else backend
                        for v in self.variables
                    )
                ] = None
        found.pop(self.default, None)
        return tuple(found)

    def __contains__(self, assignment: object) -> bool:
        return (
            isinstance(assignment, tuple)
            and len(assignment) == len(self.variables)
            and all(map(contains, self._digits, assignment))
        )

    def check(self, assignment: Assignment) -> None:
        """Raise ``SpaceError`` unless the assignment is of this space."""
        if assignment not in self:
            raise SpaceError(
                f"{assignment!r} is not in this space of {len(self.variables)} variables"
            )

    def is_feasible(self, assignment: Assignment) -> bool:
        """Whether each choice is among those worth trying."""
        return len(assignment) == len(self.variables) and all(
            c in v.feasible for c, v in zip(assignment, self.variables, strict=True)
        )

    def encode(self, assignment: Assignment) -> tuple[int, ...]:
        """The digits of an assignment, first variable first."""
        self.check(assignment)
        return tuple(map(getitem, self._digits, assignment))

    def decode(self, digits: Sequence[int]) -> Assignment:
        """The assignment with these digits.

        Raises:
            SpaceError: There are more or fewer digits than variables, or one is out of range.
        """
        if len(digits) != len(self.variables) or any(
            not 0 <= d < len(v.choices) for d, v in zip(digits, self.variables, strict=True)
        ):
            raise SpaceError(f"digits {tuple(digits)} do not fit {len(self.variables)} variables")
        return tuple(v.choices[d] for d, v in zip(digits, self.variables, strict=True))

    def id_of(self, assignment: Assignment) -> int:
        """The integer of an assignment. O(v²) bit operations for v variables."""
        number = 0
        for digit, variable in zip(
            reversed(self.encode(assignment)), reversed(self.variables), strict=True
        ):
            number = number * len(variable.choices) + digit
        return number

    def assignment_of(self, number: int) -> Assignment:
        """The assignment of an id.

        Raises:
            SpaceError: The id is negative or beyond the largest one.
        """
        if not 0 <= number < self.id_limit:
            raise SpaceError(f"id {readable(number)} is not in 0 … {readable(self.id_limit - 1)}")
        choices = []
        for variable in self.variables:
            number, digit = divmod(number, len(variable.choices))
            choices.append(variable.choices[digit])
        return tuple(choices)

    def __iter__(self) -> Iterator[Assignment]:
        """Every feasible assignment by increasing id, lazily."""
        for choices in product(*(v.feasible for v in reversed(self.variables))):
            yield tuple(reversed(choices))

    def draw(self, generator: np.random.Generator, count: int) -> list[Assignment]:
        """``count`` independent uniform feasible assignments.

        Each variable is drawn by itself with an unbiased bounded generator, so the size of the
        space does not matter.
        """
        highs = [len(v.feasible) for v in self.variables]
        rows = generator.integers(0, highs, size=(count, len(highs))).tolist()
        feasible = [v.feasible for v in self.variables]
        return [tuple([f[d] for f, d in zip(feasible, row, strict=True)]) for row in rows]

    def backend_by_operation(self, assignment: Assignment) -> dict[int, str]:
        """Operation index → backend, for the operations that are decided, by index."""
        self.check(assignment)
        return dict(
            sorted(
                (operation, choice)
                for choice, variable in zip(assignment, self.variables, strict=True)
                for operation in variable.operations
            )
        )

    def settings(self, assignment: Assignment) -> dict[str, str]:
        """Setting → value, for the settings that are varied."""
        self.check(assignment)
        return {v.name: c for c, v in zip(assignment, self.variables, strict=True) if v.is_setting}

    def to_json(self) -> dict[str, Any]:
        """As plain data, see :meth:`from_json`."""
        return {
            "granularity": str(self.granularity),
            "backends": list(self.backends),
            "variables": [
                {
                    "name": v.name,
                    "choices": list(v.choices),
                    "feasible": list(v.feasible),
                    "operations": list(v.operations),
                    "is_setting": v.is_setting,
                    **({"is_fixed": True} if v.is_fixed else {}),
                }
                for v in self.variables
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DecisionSpace:
        """Back from :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: The data is not what :meth:`to_json` gives.
        """
        variables = tuple(
            Variable(
                name=str(v["name"]),
                choices=tuple(map(str, v["choices"])),
                feasible=tuple(map(str, v["feasible"])),
                operations=tuple(map(int, v["operations"])),
                is_setting=bool(v["is_setting"]),
                is_fixed=bool(v.get("is_fixed", False)),
            )
            for v in data["variables"]
        )
        return cls(tuple(map(str, data["backends"])), variables, Granularity(data["granularity"]))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that gives ids their meaning, in hex."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _group_name(operation: Operation, granularity: Granularity) -> str:
    match granularity:
        case Granularity.NAME:
            return operation.name
        case Granularity.INDEX:
            return f"{operation.name}/{operation.data_bytes}"
        case Granularity.OPERATION:
            return f"{operation.name}@{operation.index}"


def _feasible(
    name: str, operations: Iterable[Operation], backends: Sequence[str], support: Support
) -> tuple[str, ...]:
    reasons = {
        backend: next(filter(None, (support.why_not(backend, o) for o in operations)), "")
        for backend in backends
    }
    feasible = tuple(backend for backend, reason in reasons.items() if not reason)
    if not feasible:
        raise SpaceError(
            f"{name}: no backend can run it: {'; '.join(reasons.values())} "
            f"(add a backend, try another --runtime, --adapt, which rewrites some operations, or "
            f"--allow BACKEND:OPERATION to try it)"
        )
    return feasible


def readable(number: int) -> str:
    """A count or an id for people: exact while it can be read, else its magnitude.

    Examples:
        >>> readable(36), readable(7_200), readable(2**65)
        ('36', '7,200', 'about 10^19')
    """
    # Not by its decimal text, which takes quadratic time: ids have thousands of digits.
    return f"{number:,}" if number < 10**9 else f"about 10^{int(math.log10(number))}"
