"""Builds small .param and .bin files for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CHANNELS = 16


def small(folder: Path, name: str = "m") -> Path:
    """Two 3×3 convolutions, one of 1×1, a pool over all and a dense layer."""
    c, size = CHANNELS, 16
    shapes = [(c, 3, 3, 3), (c, c, 3, 3), (c, c, 1, 1), (10, c)]
    counts = [int(np.prod(s)) for s in shapes]
    lines = [
        "7767517",
        "7 7",
        f"Input in0 0 1 in0 0={size} 1={size} 2=3",
        f"Convolution a 1 1 in0 1 0={c} 1=3 4=1 5=1 6={counts[0]} 9=1",
        f"Convolution b 1 1 1 2 0={c} 1=3 4=1 5=1 6={counts[1]} 9=1",
        f"Convolution c 1 1 2 3 0={c} 1=1 5=1 6={counts[2]}",
        "ReLU d 1 1 3 4",
        "Pooling e 1 1 4 5 0=1 4=1",
        f"InnerProduct f 1 1 5 out0 0=10 1=1 2={counts[3]}",
    ]
    random = np.random.default_rng(0)
    content = b""
    for shape in shapes:
        weights = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        # A mark that says that floats follow, these, and a bias without a mark.
        content += bytes(4) + weights.astype(np.float32).tobytes()
        content += np.zeros(shape[0], np.float32).tobytes()
    file = folder / f"{name}.param"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    file.with_suffix(".bin").write_bytes(content)
    return file
