"""The formats of ONE's pareto_profiler, read and written: ``oplist.json`` and result dumps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pareto_profiler.core.estimate import Estimate, Estimates
from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import DecisionSpace, Granularity, Variable
from pareto_profiler.core.support import Support
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError, SpaceError
from pareto_profiler.files import LARGEST_TEXT_BYTES, first_bytes, read_regular
from pareto_profiler.runtimes.onert import RUNTIME
from pareto_profiler.runtimes.onert.configuration import OnertConfiguration

MODES: Final = (Granularity.NAME, Granularity.INDEX)
DUMP_OBJECTIVES: Final = ("exec_time", "max_rss")
# The original's name of an operation → the one that onert has had since 1.12.
_RENAMED: Final = {"ArgMax": "ArgMinMax"}
# JsonCpp, with which ONE's scheduler reads a dump, has no whole numbers beyond 64 bits.
_LARGEST_NUMBER: Final = 2**64 - 1
# No time or size that exists is larger.
_MOST: Final = 1e18
# The digits' meaning is fixed in the original: 0 cpu, 1 acl_cl, 2 acl_neon.
_BACKENDS: Final = ("cpu", "acl_cl", "acl_neon")


@dataclass(frozen=True, slots=True)
class Oplist:
    """The content of an ``oplist.json``: which digit decides what.

    Attributes:
        names: onert operation names; in name mode their order is the order of the digits.
        classes: Index mode: for each operation of the model its class, which is the position of
            its digit; -1 where the runtime places it itself. Empty in name mode.
        operation_names: Index mode: onert's name of each operation. Empty in name mode.
    """

    names: tuple[str, ...]
    classes: tuple[int, ...] = ()
    operation_names: tuple[str, ...] = ()

    @property
    def mode(self) -> Granularity:
        """``name`` or ``index``."""
        return Granularity.INDEX if self.classes else Granularity.NAME

    @classmethod
    def of(cls, graph: Graph, mode: Granularity) -> Oplist:
        """The list of a model, by first appearance in the file.

        Raises:
            SpaceError: The mode is neither ``name`` nor ``index``, or nothing can be decided.
        """
        if mode not in MODES:
            raise SpaceError(f"oplist.json knows the modes name and index, not {mode}")
        decided = [o for o in graph.operations if _is_decided(o)]
        if not decided:
            raise SpaceError("nothing to decide: every operation is placed by the runtime itself")
        names = tuple(dict.fromkeys(o.name for o in decided))
        if mode is Granularity.NAME:
            return cls(names)
        keys: dict[tuple[str, int], int] = {}
        for o in decided:
            keys.setdefault((o.name, o.data_bytes), len(keys))
        return cls(
            names,
            tuple(keys[o.name, o.data_bytes] if _is_decided(o) else -1 for o in graph.operations),
            tuple(o.name for o in graph.operations),
        )

    @classmethod
    def read(cls, path: Path) -> Oplist:
        """Read a file that this package or the original wrote.

        Raises:
            InputError: It cannot be read or is no operation list.
        """
        return cls._of(path, _load(path))

    @classmethod
    def _of(cls, path: Path, data: Mapping[str, Any]) -> Oplist:
        try:
            names = tuple(_names(data["oplist"]))
            if data.get("opmap") is None:
                return cls(names)
            classes = tuple(_whole(c) for c in data["opmap"])
            operation_names = tuple(_names(data["opname_by_indx"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: no operation list: {_fault(error)}") from error
        if not _are_classes(classes):
            raise InputError(f"{path}: opmap does not number its classes 0, 1, 2, …")
        if len(operation_names) != len(classes):
            raise InputError(
                f"{path}: opmap has {len(classes)} entries, opname_by_indx {len(operation_names)}"
            )
        return cls(names, classes, operation_names)

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        data: dict[str, Any] = {"oplist": list(self.names)}
        if self.classes:
            data |= {"opmap": list(self.classes), "opname_by_indx": list(self.operation_names)}
        return data

    def space(
        self,
        graph: Graph,
        backends: Sequence[str],
        *,
        support: Support | None = None,
        settings: Mapping[str, Sequence[str]] | None = None,
    ) -> DecisionSpace:
        """The decision space of a model in this list's order.

        Raises:
            InputError: The list is of another model.
            SpaceError: As :meth:`DecisionSpace.of`.
        """
        support = support or Support(RUNTIME)
        support.table.check_granularity(graph, self.mode)
        return DecisionSpace.by_groups(
            backends, self.mode, self.groups(graph), support=support, settings=settings
        )

    def groups(self, graph: Graph) -> dict[str, list[Operation]]:
        """What each digit decides in a model: variable → its operations.

        Raises:
            InputError: The list is of another model.
        """
        groups: dict[str, list[Operation]] = {}
        if self.mode is Granularity.NAME:
            groups = {name: [] for name in self.names}
            for operation in filter(_is_decided, graph.operations):
                if operation.name not in groups:
                    raise InputError(
                        f"the operation list has no {operation.name}, which the model has"
                    )
                groups[operation.name].append(operation)
            absent = [name for name, operations in groups.items() if not operations]
            if absent:
                raise InputError(f"the operation list has {absent[0]}, which the model has not")
        else:
            names = tuple(o.name for o in graph.operations)
            if self.operation_names != names:
                raise InputError(
                    f"the operation list is of another model: it has "
                    f"{len(self.operation_names)} operations, the model {len(names)}"
                    + ("" if len(self.operation_names) != len(names) else " of other names")
                )
            by_class: dict[int, list[Operation]] = {}
            for operation, number in zip(graph.operations, self.classes, strict=True):
                if number >= 0 and _is_decided(operation):
                    by_class.setdefault(number, []).append(operation)
            groups = {
                f"{by_class[c][0].name}/{by_class[c][0].data_bytes}#{c}": by_class[c]
                for c in sorted(by_class)
            }
            if sorted(by_class) != list(range(len(by_class))):
                raise InputError("the operation list has a class that decides nothing")
        return groups


def _is_decided(operation: Operation) -> bool:
    return not RUNTIME.is_fixed(operation)


def oplist_of(space: DecisionSpace) -> list[str]:
    """The variables' names, for a dump."""
    return [v.name for v in space.variables if not v.is_setting]


def brute_force_dump(
    space: DecisionSpace, trials: Iterable[Trial], graph: Graph | None = None
) -> str:
    """All measured assignments, as ``brute_force_profiler`` dumps them: ms and KiB, by id.

    In index mode with the class and the name of each operation. Those that the runtime places
    itself have the class -1 and, without the graph, no name.
    """
    measured = Estimates.of(trials, objectives_of(DUMP_OBJECTIVES), space.default)
    rows = sorted(_points(space, measured.items))
    solutions = [{"memory": kib, "id": _id(number), "time": ms} for number, ms, kib in rows]
    lists: dict[str, Sequence[object]] = {"oplist": oplist_of(space)}
    if space.granularity is Granularity.INDEX:
        names = _operation_names(space, graph)
        classes = _classes_of(space)
        classes += [-1] * (len(names) - len(classes))
        decided = [n for n, c in zip(names, classes, strict=True) if c >= 0]
        lists = {"oplist": list(dict.fromkeys(decided)), "opmap": classes, "opname_by_indx": names}
    head = ",\n".join(f'"{name}": {json.dumps(values)}' for name, values in lists.items())
    return f'{{{head},\n"solutions": [\n{_lines(solutions)}]}}\n'


def check_dumpable(space: DecisionSpace) -> None:
    """See that the seed's format can express the assignments of a space.

    Raises:
        InputError: It varies settings, or its granularity is not one of the seed's.
    """
    settings = [v.name for v in space.variables if v.is_setting]
    if settings:
        raise InputError(f"the seed's format knows no settings, this search varies {settings[0]}")
    if space.granularity not in MODES:
        raise InputError(
            f"the seed's format knows the modes name and index, not {space.granularity}"
        )


def sampler_dump(
    space: DecisionSpace, front: Sequence[Estimate], *, threads: int | None = None
) -> str:
    """A front, as ``random_sampler`` dumps it: ms and KiB, with the configuration of each id.

    Args:
        space: Of the assignments.
        front: Of ``DUMP_OBJECTIVES``: the format has no others.
        threads: To name in the configurations; the original names none.

    Raises:
        InputError: The format cannot express the space.
    """
    check_dumpable(space)
    points = _points(space, front)
    configs = [
        f"{json.dumps(str(space.id_of(assignment)))}: "
        + json.dumps(
            OnertConfiguration.of(space, assignment, load_every_backend=True, threads=threads).text
        )
        for assignment in sorted({e.assignment for e in front}, key=space.id_of)
    ]
    solutions = [{"exec_time": ms, "max_rss": kib, "id": _id(number)} for number, ms, kib in points]
    is_index = space.granularity is Granularity.INDEX
    oplist: Sequence[object] = _classes_of(space) if is_index else oplist_of(space)
    return (
        f'{{"configs": {{\n{_joined(configs)}}},\n"oplist": {json.dumps(oplist)},\n'
        f'"solutions": [\n{_lines(solutions)}], "mode": "{space.granularity}"}}\n'
    )


def _classes_of(space: DecisionSpace) -> list[int]:
    classes = {o: c for c, v in enumerate(space.variables) for o in v.operations}
    return [classes.get(i, -1) for i in range(max(classes, default=-1) + 1)]


def _operation_names(space: DecisionSpace, graph: Graph | None) -> list[str]:
    if graph is not None:
        return [o.name for o in graph.operations]
    names = {o: re.split("[/#]", v.name)[0] for v in space.variables for o in v.operations}
    return [names.get(i, "") for i in range(max(names, default=-1) + 1)]


def _id(number: int) -> int | str:
    return number if number <= _LARGEST_NUMBER else str(number)


def _points(space: DecisionSpace, items: Iterable[Estimate]) -> list[tuple[int, float, int]]:
    exec_time, max_rss = objectives_of(DUMP_OBJECTIVES)
    return [
        (
            space.id_of(item.assignment),
            round(exec_time.shown(item.values[0]), 3),
            round(max_rss.shown(item.values[1])),
        )
        for item in items
    ]


def _lines(solutions: Sequence[Mapping[str, object]]) -> str:
    return _joined([json.dumps(solution) for solution in solutions])


def _joined(lines: Sequence[str]) -> str:
    return ",\n".join(lines)


def is_dump(path: Path) -> bool:
    """Whether a file looks like a result dump and not like a journal."""
    start = first_bytes(path, 200).lstrip()
    return start.startswith(b"{") and not re.match(rb'\{\s*"record"', start)


def is_of(path: Path, space: DecisionSpace) -> bool:
    """Whether a dump's operation list is that of a space.

    Raises:
        InputError: It cannot be read.
    """
    data = _load(path)
    return data.get("opmap", data.get("oplist")) in (oplist_of(space), _classes_of(space))


def named_backends(path: Path) -> tuple[str, ...]:
    """The backends that a dump's configurations name, in digit order; empty where it has none.

    Raises:
        InputError: It cannot be read.
    """
    configs = _load(path).get("configs")
    return _backends_of(map(str, configs.values())) if isinstance(configs, dict) else ()


def read_dump(path: Path, backends: Sequence[str] = ()) -> Recording:
    """Read a result dump of either kind as a recording.

    Args:
        path: The file.
        backends: In digit order. A dump with configurations names them itself; one without does
            not, then the original's fixed order is taken: cpu, acl_cl and, where an id needs a
            third, acl_neon.

    Raises:
        InputError: It cannot be read, is no dump, or an id does not fit its operation list.
    """
    data = _load(path)
    try:
        oplist = data["oplist"]
        solutions = [_solution(solution) for solution in data["solutions"]]
        configs = {int(number): str(text) for number, text in data.get("configs", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{path}: no result dump: {_fault(error)}") from error
    if not isinstance(oplist, list) or not oplist:
        raise InputError(f'{path}: expected a list under "oplist"')
    names: Sequence[str] = ()
    if data.get("opmap") is not None:
        listed = Oplist._of(path, data)  # noqa: SLF001 - its own kind of content
        classes: Sequence[Any] = listed.classes
        names = listed.operation_names
    else:
        classes = oplist if all(type(entry) is int for entry in oplist) else ()
    if classes and not _are_classes(classes):
        raise InputError(f"{path}: oplist does not number its classes 0, 1, 2, …")
    variables = max(classes) + 1 if classes else len(oplist)
    if not backends:
        backends = _backends_of(configs.values())
    if not backends:
        largest = max((number for number, _, _ in solutions), default=0)
        backends = _BACKENDS[: 2 if largest < 2**variables else 3]
    try:
        if classes:
            space = _space_of_classes(classes, names, tuple(backends))
        else:
            space = DecisionSpace.by_names(tuple(backends), _names(oplist))
        trials = tuple(
            Trial(
                number=i,
                assignment=space.assignment_of(number),
                outcome=Measurement({"exec_time": (ms / 1e3,), "max_rss": (kib * 1024.0,)}),
            )
            for i, (number, ms, kib) in enumerate(solutions)
        )
    except (SpaceError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"{path}: {error}") from error
    return Recording(
        Header(model_name=path.stem, model_digest="", space=space, objectives=DUMP_OBJECTIVES),
        trials,
    )


def _space_of_classes(
    classes: Sequence[int], names: Sequence[str], backends: tuple[str, ...]
) -> DecisionSpace:
    members: dict[int, list[int]] = {}
    for operation, number in enumerate(classes):
        if number >= 0:
            members.setdefault(number, []).append(operation)
    return DecisionSpace(
        backends,
        tuple(
            Variable(
                f"{names[members[c][0]] if names else ''}#{c}",
                backends,
                backends,
                tuple(members[c]),
            )
            for c in range(max(classes) + 1)
        ),
        Granularity.INDEX,
    )


def _solution(solution: Mapping[str, Any]) -> tuple[int, float, float]:
    given = solution["id"]
    number = int(given) if isinstance(given, str) and given.isdecimal() else _whole(given)
    if "time" in solution:
        time, memory = solution["time"], solution["memory"]
    else:
        time, memory = solution["exec_time"], solution["max_rss"]
    if _amount(time) == 0:
        raise ValueError(f"id {number}: a time of 0 is none: the clock that told it is coarse")
    return number, _amount(time), _amount(memory)


def _amount(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise TypeError(f"expected a number from 0 to less than {_MOST:g}, got {str(value)[:30]}")
    return float(value)


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"expected a whole number, got {str(value)[:30]}")
    return value


def _are_classes(numbers: Sequence[int]) -> bool:
    """Whether they number the classes of operations: 0, 1, 2, … each at least once, else -1."""
    used = set(numbers) - {-1}
    # Not range(max(…)): a hostile file may name class 10^12.
    return bool(used) and min(used) == 0 and max(used) == len(used) - 1


def _backends_of(configs: Iterable[str]) -> tuple[str, ...]:
    """Digit order from a configuration: the last of ``BACKENDS`` is digit 0, the others follow."""
    for text in configs:
        found = re.search(r'BACKENDS="([^"]+)"', text)
        if found:
            *others, first = found.group(1).split(";")
            return (first, *others)
    return ()


def _load(path: Path) -> dict[str, Any]:
    text = read_regular(path, InputError, limit_bytes=LARGEST_TEXT_BYTES)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a JSON object")
    return data


def _names(values: Any) -> list[str]:
    """Names of operations, as onert has them today."""
    return [_RENAMED.get(name, name) for name in _texts(values)]


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise TypeError(f"expected a list of names, got {str(values)[:60]}")
    return values


def _fault(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
