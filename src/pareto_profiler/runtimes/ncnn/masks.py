"""Masks: an assignment as a .param file, in which layers switch some of ncnn's kernels off."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.models.param_reader import INPUT
from pareto_profiler.runtimes import allocator
from pareto_profiler.runtimes.configured import Configured

DEFAULT: Final = "default"
NO_WINOGRAD: Final = "no-winograd"
NO_SGEMM: Final = "no-sgemm"
DIRECT: Final = "direct"
ONE_THREAD: Final = "one-thread"

_SGEMM, _WINOGRAD, _THREADS = 32, 64, 128
BACKENDS: Final[Mapping[str, int]] = {
    DEFAULT: 0,
    NO_WINOGRAD: _WINOGRAD,
    DIRECT: _WINOGRAD | _SGEMM,
    NO_SGEMM: _SGEMM,
    ONE_THREAD: _THREADS,
}
"""Backend → what a layer's mask switches off."""

ON_REQUEST: Final = frozenset({ONE_THREAD})
"""Backends that are used only where they are named."""

# Of the net, since no layer says it: which sizes of transforms a convolution may take.
_WINOGRAD_SIZES: Final = ("63", "43", "23")
SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "threads": (),
    "winograd": ("63-43-23", "43-23", "23"),
    "packing": ("on", "off"),
    "bf16": ("off", "on"),
    allocator.SETTING: allocator.VALUES,
}
"""Settings that can be varied, each with its values, the default first."""

_CONVOLUTION: Final = "Convolution"
_TRANSFORMED_KIND: Final = "3x3s1"
_TRANSFORMED: Final = "Convolution3x3"
_MASK: Final = re.compile(r"(?<=\s)31=(-?\d+)")


def named(graph: Graph) -> Graph:
    """A graph in which convolutions that can take Winograd's way have a name of their own."""
    return replace(
        graph,
        operations=tuple(
            replace(o, name=_TRANSFORMED)
            if (o.builtin, o.kind) == (_CONVOLUTION, _TRANSFORMED_KIND)
            else o
            for o in graph.operations
        ),
    )


def why_not(backend: str, operation: Operation) -> str:
    """Why a mask changes nothing for a layer; empty where it may."""
    if backend in {DEFAULT, ONE_THREAD}:
        return ""
    is_transformed = operation.name == _TRANSFORMED
    if backend == NO_SGEMM:
        return "" if not is_transformed else "a 3×3 convolution takes Winograd's way first"
    return "" if is_transformed else "Winograd's way is for 3×3 convolutions of stride 1"


def is_decided(operation: Operation) -> bool:
    """Whether masks can change how a layer is computed."""
    return operation.builtin == _CONVOLUTION


class NcnnConfiguration(Configured):
    """One assignment in ncnn's words."""

    __slots__ = ()

    @property
    def options(self) -> dict[str, int]:
        """Options of the net that differ from the default, by their names there.

        Examples:
            >>> NcnnConfiguration({}, 1, {"winograd": "43-23", "bf16": "on"}).options
            {'use_winograd63_convolution': 0, 'use_bf16_storage': 1}
        """
        sizes = self.settings.get("winograd", "-".join(_WINOGRAD_SIZES)).split("-")
        found = {f"use_winograd{s}_convolution": 0 for s in _WINOGRAD_SIZES if s not in sizes}
        if self.settings.get("packing") == "off":
            found["use_packing_layout"] = 0
        if self.settings.get("bf16") == "on":
            found["use_bf16_storage"] = 1
        return found


def masked(text: str, backend_by_operation: Mapping[int, str]) -> str:
    r"""A .param file's text in which layers have the masks of their backends.

    A mask that the file has already stays, and more is switched off.

    Examples:
        >>> masked("7767517\n2 2\nInput in 0 1 a\nConvolution c 1 1 a b 0=8\n", {0: "direct"})
        '7767517\n2 2\nInput in 0 1 a\nConvolution c 1 1 a b 0=8 31=96\n'
    """
    lines = text.splitlines()
    number = 0
    for i, line in enumerate(lines[2:], 2):
        words = line.split()
        if not words or words[0] == INPUT:
            continue
        bits = BACKENDS[backend_by_operation.get(number, DEFAULT)]
        number += 1
        if bits:
            there = _MASK.search(line)
            bits |= int(there[1]) if there else 0
            lines[i] = f"{_MASK.sub('', line).rstrip()} 31={bits}"
    return "\n".join(lines) + "\n"
