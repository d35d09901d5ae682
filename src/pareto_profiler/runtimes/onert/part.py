"""Part: the file by which ONE's partitioner cuts a model, and which operation it puts where."""

from __future__ import annotations

import configparser
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import InputError
from pareto_profiler.runtimes.base import Artifact

# What the partitioner's reader takes for the name of a key, and gives back: up to the first =.
_NAME: Final = re.compile(r"[^\s=;#\[\\]([^=\r\n\\]*[^\s=\\])?")


def part_of(artifact: Artifact) -> str:
    """The file: by kinds of operations where each is on one backend, else by operations' names.

    An operation's name is that of the tensor that it makes, as the partitioner reads it.

    Raises:
        InputError: The run does not hold the model's graph, or names do not tell operations apart.
    """
    graph, where = artifact.header.graph, _backends_of(artifact)
    if graph is None:
        raise InputError("a part file names operations: this run does not hold the model's graph")
    default = Counter(where.values()).most_common(1)[0][0]
    kinds: dict[str, set[str]] = {}
    for index, backend in where.items():
        kinds.setdefault(graph.operations[index].builtin, set()).add(backend)
    by_kind = all(len(backends) == 1 for backends in kinds.values())
    if by_kind:
        keys = {kind: min(backends) for kind, backends in kinds.items()}
    else:
        keys = {_names(graph)[index]: backend for index, backend in where.items()}
    lines = [*(f"# {line}" for line in artifact.facts), "[partition]"]
    lines += [f"backends={','.join(dict.fromkeys((default, *where.values())))}"]
    lines += [f"default={default}", f"comply={'opcode' if by_kind else 'opname'}", ""]
    lines += [f"[{'OPCODE' if by_kind else 'OPNAME'}]"]
    lines += [f"{key}={backend}" for key, backend in keys.items() if backend != default]
    return "\n".join(lines) + "\n"


def placed_by(text: str, graph: Graph) -> dict[int, str]:
    """Operation → backend, as a part file says."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    default = parser["partition"]["default"]
    if parser.has_section("OPCODE"):
        named = dict(parser["OPCODE"])
        return {o.index: named.get(o.builtin, default) for o in graph.operations}
    named = dict(parser["OPNAME"])
    return {index: named.get(name, default) for index, name in _names(graph).items()}


def _backends_of(artifact: Artifact) -> Mapping[int, str]:
    space = artifact.header.space
    return {
        operation: choice
        for variable, choice in zip(space.variables, artifact.assignment, strict=True)
        if not variable.is_setting
        for operation in variable.operations
    }


def _names(graph: Graph) -> dict[int, str]:
    names = {o.index: graph.tensors[o.outputs[0]].name for o in graph.operations if o.outputs}
    bad = next((name for name in names.values() if not _NAME.fullmatch(name)), None)
    repeated = next((name for name, count in Counter(names.values()).items() if count > 1), None)
    if bad is not None or repeated is not None:
        named = f"{bad!r} cannot stand in it" if bad is not None else f"{repeated!r} is there twice"
        raise InputError(
            f"a part file names operations by the tensors that they make, and {named}: "
            f"search by --granularity name, or ship another form"
        )
    return names
