"""Providers: execution providers that share a session with the CPU's, operation by operation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

CPU: Final = "CPUExecutionProvider"
OLDEST: Final = (1, 27)
"""The first version of ONNX Runtime that gives nodes to providers by a key of theirs."""

LAYER: Final = "layer_ann"
"""Key of a node's metadata that says which provider is to have it."""

ON_CPU: Final = "cpu"
"""What it says of nodes that stay on the CPU; else it is the backend's name."""

_LAYERS: Final = "session.layer_assignment_settings"
_RECORD: Final = "session.record_ep_graph_assignment_info"


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider that brings kernels, as the CPU's does.

    One that compiles parts of the graph instead (OpenVINO, TensorRT, QNN, CoreML) cannot be here:
    ONNX Runtime gives it whatever it takes, or fails on an assertion of its own.

    Attributes:
        backend: As users name it.
        name: As a library lists it, and nodes are given to it.
        registered: As options of a session take it.
        cpp: The call on ``Ort::SessionOptions`` that adds it.
    """

    backend: str
    name: str
    registered: str
    cpp: str


PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {
        p.backend: p
        for p in (
            Provider(
                "webgpu",
                "WebGpuExecutionProvider",
                "WebGPU",
                'AppendExecutionProvider("WebGPU", {})',
            ),
            Provider(
                "cuda",
                "CUDAExecutionProvider",
                "CUDA",
                "AppendExecutionProvider_CUDA(OrtCUDAProviderOptions{})",
            ),
        )
    }
)
"""By backend."""


def offered(version: str, available: Collection[str]) -> tuple[str, ...]:
    """Backends of a library beside the CPU's.

    Args:
        version: Of the library.
        available: Providers that it was built with.

    Examples:
        >>> offered("1.32.0", ["CUDAExecutionProvider", "CPUExecutionProvider"])
        ('cuda',)
        >>> offered("1.24.1", ["CUDAExecutionProvider", "CPUExecutionProvider"])
        ()
    """
    numbers = tuple(int(n) for n in version.split(".")[:2] if n.isdecimal())
    return tuple(b for b, p in PROVIDERS.items() if numbers >= OLDEST and p.name in available)


def used(backends: Iterable[str]) -> tuple[Provider, ...]:
    """Providers among some backends, in the order in which a session asks them."""
    there = set(backends)
    return tuple(p for b, p in PROVIDERS.items() if b in there)


def session_entries(providers: Collection[Provider]) -> dict[str, str]:
    """Entries of a session's configuration that give each provider the nodes that name it.

    Examples:
        >>> session_entries([PROVIDERS["cuda"]])
        {'session.layer_assignment_settings': 'CUDAExecutionProvider(=cuda); \
CPUExecutionProvider(=cpu)'}
    """
    if not providers:
        return {}
    layers = [*(f"{p.name}(={p.backend})" for p in providers), f"{CPU}(={ON_CPU})"]
    return {_LAYERS: "; ".join(layers)}


def driver_options(providers: Collection[Provider]) -> dict[str, str]:
    """Options that the driver takes for them: as shipped, and nodes can be read back."""
    if not providers:
        return {}
    names = " ".join(p.registered for p in providers)
    return {"provider": names, **session_entries(providers), _RECORD: "1"}
