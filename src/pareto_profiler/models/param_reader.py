""".param files, a line for each layer → Graph; the weights lie in a .bin file beside."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pareto_profiler.core.graph import Graph, Operation, Tensor
from pareto_profiler.errors import ModelError, tame
from pareto_profiler.files import LARGEST_MODEL_BYTES, read_regular

FORMAT: Final = "param"
MAGIC: Final = b"7767517"
INPUT: Final = "Input"

_SUFFIX: Final = ".param"
_MOST_LAYERS: Final = 1_000_000
_FLOAT_BYTES: Final = 4
# Parameter that says how many weights a layer has in the file.
_WEIGHTS: Final[Mapping[str, int]] = {
    "Convolution": 6,
    "ConvolutionDepthWise": 6,
    "Convolution1D": 6,
    "ConvolutionDepthWise1D": 6,
    "Deconvolution": 6,
    "DeconvolutionDepthWise": 6,
    "InnerProduct": 2,
    "Embed": 3,
    "LSTM": 1,
    "GRU": 1,
    "RNN": 1,
    "PReLU": 0,
    "Scale": 0,
}
_WINDOW, _WINDOW_HEIGHT, _DILATION, _STRIDE = 1, 11, 2, 3
# Of an Input layer: width, height, channels, depth; what is not told is free.
_SIZES: Final = (2, 11, 1, 0)
_PAIR: Final = re.compile(r"(-?\d{1,6})=(\S+)")


def weights_file(path: Path) -> Path:
    """The file with the weights of a ``.param`` file.

    Examples:
        >>> weights_file(Path("a.x.param"))
        PosixPath('a.x.bin')
    """
    return path.with_name(path.name.removesuffix(_SUFFIX) + ".bin")


def read_param(data: bytes, path: Path) -> Graph:
    """Read a ``.param`` file.

    Layers of type ``Input`` are inputs of the graph and no operations. An operation's kind is the
    window of a convolution and its stride, such as ``3x3s1``. O(file).

    Args:
        data: The whole file.
        path: Where it lies: the weights lie beside it.

    Raises:
        ModelError: It is damaged, or its weights are not there; the text names the file, the line
            and what was expected.
    """
    file = weights_file(path)
    if not file.is_file():
        raise ModelError(f"{path}: its weights are not beside it: expected {file.name} there")
    weights = read_regular(file, ModelError, limit_bytes=LARGEST_MODEL_BYTES)
    return _Reader(data, path, len(weights)).graph(hashlib.sha256(data + weights).hexdigest())


class _Reader:
    def __init__(self, data: bytes, path: Path, weight_bytes: int) -> None:
        self._path = path
        self._weight_bytes = weight_bytes
        try:
            self._lines = data.decode("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ModelError(f"{path}: is damaged: it is no text") from error
        self._tensors: list[Tensor] = []
        self._numbers: dict[str, int] = {}

    def _error(self, line: int, words: str) -> ModelError:
        return ModelError(f"{self._path}: line {line}: {tame(words)}")

    def graph(self, digest: str) -> Graph:
        counts = self._lines[1].split() if len(self._lines) > 1 else []
        if len(counts) != 2 or not all(re.fullmatch(r"\d{1,9}", c, re.ASCII) for c in counts):
            raise self._error(2, "expected the numbers of layers and blobs")
        layers = int(counts[0])
        rows = [(i, line.split()) for i, line in enumerate(self._lines[2:], 3) if line.strip()]
        if len(rows) != layers or layers > _MOST_LAYERS:
            raise self._error(2, f"says {layers} layers, the file has {len(rows)}")
        inputs: list[int] = []
        operations: list[Operation] = []
        taken: set[int] = set()
        for line, words in rows:
            kind, ins, outs, parameters = self._layer(line, words)
            if kind == INPUT:
                inputs += [self._add(line, name, self._shape(parameters)) for name in outs]
                continue
            numbers = tuple(self._index(line, name) for name in ins)
            taken |= set(numbers)
            made = tuple(self._add(line, name, ()) for name in outs)
            own = self._weights(kind, parameters)
            operations.append(
                Operation(
                    len(operations),
                    kind,
                    0,
                    kind,
                    self._kind(kind, parameters),
                    "float32",
                    numbers,
                    made,
                    own + sum(self._tensors[t].size_bytes for t in (*numbers, *made)),
                    own,
                )
            )
        if not operations:
            raise self._error(2, "no layer but inputs")
        ends = [t.index for t in self._tensors if t.index not in taken and t.index not in inputs]
        by_name = {t: _in_order(self._tensors[t].name) for t in (*inputs, *ends)}
        return Graph(
            format=FORMAT,
            digest=digest,
            tensors=tuple(self._tensors),
            operations=tuple(self._scaled(operations)),
            inputs=tuple(sorted(inputs, key=by_name.__getitem__)),
            outputs=tuple(sorted(ends, key=by_name.__getitem__)),
        )

    def _layer(
        self, line: int, words: Sequence[str]
    ) -> tuple[str, Sequence[str], Sequence[str], dict[int, str]]:
        if len(words) < 4 or not all(re.fullmatch(r"\d{1,6}", w, re.ASCII) for w in words[2:4]):
            raise self._error(line, "expected a type, a name, and numbers of inputs and outputs")
        count_in, count_out = int(words[2]), int(words[3])
        rest = words[4:]
        if len(rest) < count_in + count_out:
            raise self._error(line, f"expected {count_in} + {count_out} blobs, found {len(rest)}")
        parameters: dict[int, str] = {}
        for word in rest[count_in + count_out :]:
            match = _PAIR.fullmatch(word)
            if match is None:
                raise self._error(line, f"expected NUMBER=VALUE, found {word[:40]!r}")
            parameters[int(match[1])] = match[2]
        ins, outs = rest[:count_in], rest[count_in : count_in + count_out]
        return tame(words[0]), ins, outs, parameters

    def _add(self, line: int, name: str, sizes: Sequence[int]) -> int:
        if name in self._numbers:
            raise self._error(line, f"two layers make the blob {name!r}")
        index = self._numbers[name] = len(self._tensors)
        shape = tuple(abs(s) for s in sizes)
        size = _FLOAT_BYTES * math.prod(shape) if shape else 0
        signature = tuple(sizes) if -1 in sizes else ()
        self._tensors.append(Tensor(index, name, shape, "float32", size, 0, signature))
        return index

    def _index(self, line: int, name: str) -> int:
        if name not in self._numbers:
            raise self._error(line, f"takes the blob {name!r}, which nothing before it makes")
        return self._numbers[name]

    def _shape(self, parameters: Mapping[int, str]) -> tuple[int, ...]:
        sizes = [_whole(parameters.get(key, "0")) for key in _SIZES]
        told = tuple(s for s in sizes if s > 0)
        return told or (-1, -1, -1)

    def _weights(self, kind: str, parameters: Mapping[int, str]) -> int:
        return _FLOAT_BYTES * max(0, _whole(parameters.get(_WEIGHTS.get(kind, -1), "0")))

    def _kind(self, kind: str, parameters: Mapping[int, str]) -> str:
        if kind != "Convolution":
            return ""
        width = _whole(parameters.get(_WINDOW, "0"))
        height = _whole(parameters.get(_WINDOW_HEIGHT, str(width)))
        stride, dilation = (_whole(parameters.get(k, "1")) for k in (_STRIDE, _DILATION))
        apart = f"d{dilation}" if dilation != 1 else ""
        return f"{width}x{height}s{stride}{apart}"

    def _scaled(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """Weights as the file has them: two bytes each where it is too small for four."""
        if sum(o.weight_bytes for o in operations) <= self._weight_bytes:
            return operations
        return [
            replace(
                o,
                weight_bytes=o.weight_bytes // 2,
                data_bytes=o.data_bytes - o.weight_bytes + o.weight_bytes // 2,
            )
            for o in operations
        ]


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"-?\d{1,12}", text, re.ASCII) else 0


def _in_order(name: str) -> tuple[str, int]:
    """Names with numbers in the order of these: ``in2`` before ``in10``."""
    match = re.fullmatch(r"(.*?)(\d{0,9})", name, re.DOTALL)
    return (match[1], int(match[2] or 0)) if match else (name, 0)
