"""Signatures: names that a .tflite file gives to inputs and outputs, and whether they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pareto_profiler.errors import ModelError
from pareto_profiler.files import LARGEST_MODEL_BYTES, read_regular
from pareto_profiler.models import schema
from pareto_profiler.models.flatbuffer import FlatBuffer


def named_outputs(path: Path) -> list[tuple[str, str, int]]:
    """Signature, name and tensor of each output that a file's main subgraph has by signature.

    Raises:
        ModelError: The file is damaged.
    """
    data = read_regular(path, ModelError, limit_bytes=LARGEST_MODEL_BYTES)
    buffer = FlatBuffer(data, str(path))
    found = []
    for signature in buffer.root().tables(schema.Model.SIGNATURES, "signature"):
        if signature.number(schema.Signature.SUBGRAPH, "<I"):
            continue
        key = signature.text(schema.Signature.KEY, "the key")
        for entry in signature.tables(schema.Signature.OUTPUTS, "output of a signature"):
            name = entry.text(schema.TensorMap.NAME, "the name")
            found.append((key, name, entry.number(schema.TensorMap.TENSOR, "<I")))
    return found


def stray(named: Iterable[tuple[str, str, int]], outputs: Collection[int]) -> str:
    """What is wrong with the first output that a signature names and the model does not have.

    Examples:
        >>> stray([("serving_default", "scores", 7)], outputs=(7,))
        ''
        >>> stray([("key", "scores", 8)], outputs=(7,))
        "signature 'key' calls tensor 8 its output 'scores', which the model does not output"
    """
    for key, name, tensor in named:
        if tensor not in outputs:
            words = f"signature {key!r} calls tensor {tensor} its output {name!r}"
            return f"{words}, which the model does not output"
    return ""


def alike(names: Sequence[str]) -> str:
    """The first name that is there twice; empty where each is there once.

    Examples:
        >>> alike(["image", "mask"]), alike(["x", "y", "x"])
        ('', 'x')
    """
    return next((name for i, name in enumerate(names) if name in names[:i]), "")
