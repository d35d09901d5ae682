"""FunctionRunner: a Python function in place of a device; and the space of what it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pareto_profiler.core.graph import Graph, Operation, Tensor
from pareto_profiler.core.measurement import METRIC_UNITS, Measurement, Objective
from pareto_profiler.core.space import Assignment, DecisionSpace, Granularity, Variable
from pareto_profiler.core.trial import OperationTime, Placement, Profile
from pareto_profiler.errors import FailureKind, InputError, RunError

Choices = dict[str, str]
"""Name of each operation and setting → what was chosen for it."""

Measure = Callable[[Choices], Mapping[str, Any]]
"""Choices → objective → its figure, or the figures of several runs, in seconds and bytes."""

Profiled = Callable[[Choices], Mapping[str, float]]
"""Choices → operation → seconds."""


@dataclass(frozen=True, slots=True)
class FunctionSpace:
    """What a function chooses among, and how its operations are joined.

    Attributes:
        space: The decision space.
        graph: Operations and the tensors between them; None where none were told.
    """

    space: DecisionSpace
    graph: Graph | None

    @classmethod
    def of(
        cls,
        operations: Mapping[str, Sequence[str]],
        *,
        settings: Mapping[str, Sequence[str]] | None = None,
        edges: Sequence[tuple[str, str, int]] = (),
        weight_bytes: Mapping[str, int] | None = None,
    ) -> FunctionSpace:
        """The space of operations and settings by name.

        Args:
            operations: Name → backends that it can run on, the baseline's first, in the order in
                which they run. What comes before an ``@`` is the kind, and operations of a kind are
                expected to be alike: ``conv@0``, ``conv@1``.
            settings: Name → values, the default first.
            edges: Tensors: who makes one, who takes it, its bytes. Edges of one maker with the same
                bytes are one tensor.
            weight_bytes: Operation → bytes of its constants.

        Raises:
            InputError: A name is unknown or comes twice, or there is nothing to choose.

        Examples:
            >>> both = ["cpu", "npu"]
            >>> found = FunctionSpace.of({"a": both, "b": both}, edges=[("a", "b", 4096)])
            >>> found.space.size, [e.size_bytes for e in found.graph.edges]
            (4, [4096])
        """
        settings, weights = settings or {}, weight_bytes or {}
        both = {**operations, **settings}
        if len(both) < len(operations) + len(settings):
            raise InputError("an operation and a setting have the same name")
        for name, choices in both.items():
            if isinstance(choices, str) or not choices or len(set(choices)) < len(choices):
                raise InputError(f"{name}: {choices!r}: expected a list of choices, each once")
        for name in (*weights, *(n for edge in edges for n in edge[:2])):
            if name not in operations:
                raise InputError(f"{name!r}: is none of the operations {', '.join(operations)}")
        backends = tuple(dict.fromkeys(c for choices in operations.values() for c in choices))
        variables = [
            Variable(name, backends, tuple(b for b in backends if b in choices), (i,))
            for i, (name, choices) in enumerate(operations.items())
        ]
        for name, choices in operations.items():
            first = next(b for b in backends if b in choices)
            if choices[0] != first:
                raise InputError(
                    f"{name}: {choices[0]!r} comes before {first!r}, elsewhere behind it: "
                    f"expected one order of backends for all operations"
                )
        variables += [
            Variable(name, tuple(values), tuple(values), is_setting=True)
            for name, values in settings.items()
        ]
        space = DecisionSpace(backends or ("",), tuple(variables), Granularity.OPERATION)
        is_joined = bool(edges or weights)
        return cls(space, _graph(list(operations), edges, weights) if is_joined else None)


def _graph(
    names: Sequence[str], edges: Sequence[tuple[str, str, int]], weights: Mapping[str, int]
) -> Graph:
    places = {name: i for i, name in enumerate(names)}
    takers: dict[tuple[str, int], list[str]] = {}
    for maker, taker, size in edges:
        takers.setdefault((maker, size), []).append(taker)
    made: list[list[int]] = [[] for _ in names]
    taken: list[list[int]] = [[] for _ in names]
    tensors = []
    for t, ((maker, size), others) in enumerate(takers.items()):
        tensors.append(Tensor(t, f"{maker}:{t}", (size,), "uint8", size, 0))
        made[places[maker]].append(t)
        for other in others:
            taken[places[other]].append(t)
    operations = []
    for i, name in enumerate(names):
        size = sum(tensors[t].size_bytes for t in (*made[i], *taken[i]))
        kind, weight = name.split("@")[0], weights.get(name, 0)
        inputs, outputs = tuple(taken[i]), tuple(made[i])
        operations.append(Operation(i, kind, 1, kind, "", "", inputs, outputs, size, weight))
    return Graph("function", "", tuple(tensors), tuple(operations), (), ())


class FunctionRunner:
    """Measures by calling a function.

    Args:
        space: What it chooses among.
        objectives: What its answers have to hold.
        measure: The function.
        profile: Another one that says how long each operation takes; None where nobody can tell.
        catch: Exceptions of it that are failures of the assignment, as ``RunError`` is. Others end
            the search.
    """

    def __init__(
        self,
        space: DecisionSpace,
        objectives: Sequence[Objective],
        measure: Measure,
        profile: Profiled | None = None,
        catch: tuple[type[Exception], ...] = (),
    ) -> None:
        for objective in objectives:
            if objective.name not in METRIC_UNITS:
                raise InputError(f"objective {objective.name}: no function can tell it")
        self._space, self._objectives = space, objectives
        self._measure, self._profile, self._catch = measure, profile, catch

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        del is_repeat
        told = self._called(self._measure, assignment)
        samples = {}
        for objective in self._objectives:
            expected = f"expected {objective.name} as a number, or several, in {objective.unit}"
            if not isinstance(told, Mapping) or objective.name not in told:
                raise InputError(f"measure returned {told!r}: {expected}")
            value = told[objective.name]
            try:
                samples[objective.name] = tuple(map(float, _several(value)))
            except (TypeError, ValueError) as error:
                raise InputError(f"measure returned {value!r}: {expected}") from error
        try:
            return Measurement(samples)
        except ValueError as error:
            raise InputError(f"measure: {error}") from error

    def placement(self, assignment: Assignment) -> Placement | None:
        self._space.check(assignment)
        return None

    @property
    def can_profile(self) -> bool:
        return self._profile is not None

    def profile(self, assignment: Assignment) -> Profile:
        if self._profile is None:
            raise RunError(FailureKind.NOT_RECORDED, "nobody tells how long operations take")
        told = self._called(self._profile, assignment)
        places = {v.name: v.operations for v in self._space.variables}
        pairs = zip(self._space.variables, assignment, strict=True)
        backends = {v.name: choice for v, choice in pairs}
        if not isinstance(told, Mapping) or not all(places.get(name) for name in told):
            raise InputError(f"profile returned {told!r}: expected operations with their seconds")
        return Profile(
            tuple(
                OperationTime(places[name][0], backends[name], float(seconds))
                for name, seconds in told.items()
            )
        )

    def close(self) -> None:
        """Nothing to leave."""

    def _called(self, function: Callable[[Choices], Any], assignment: Assignment) -> Any:
        self._space.check(assignment)
        pairs = zip(self._space.variables, assignment, strict=True)
        try:
            return function({v.name: choice for v, choice in pairs})
        except self._catch as error:
            words = " ".join(str(error).split())
            raise RunError(FailureKind.REJECTED, f"{type(error).__name__}: {words}") from error


def _several(value: Any) -> Sequence[Any]:
    return list(value) if hasattr(value, "__iter__") else [value]
