"""ncnn through the Python binding of its wheel, which is all that the wheel has.

Imports the standard library and ncnn alone, which does not import NumPy.
"""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Any

sys.path.insert(
    0,
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "drivers"),  # noqa: PTH100, PTH118, PTH120
)
from python_driver import PythonDriver, Refused, measure

_NO_MEMORY = -100
_FLOAT_BYTES = 4
_BLOBS = {"weights", "input", "output", "layer"}


class NcnnDriver(PythonDriver):  # type: ignore[misc]  # found by the path above
    """A net whose file says which kernels each layer may take.

    Options of the request's only backend are lines of ``key = value``: ``weights``, a file;
    ``input`` and ``layer``, blobs; ``output``, its bytes (0 where they are not known) and the blob;
    else an option of the net.
    """

    def open(self) -> str:
        import ncnn

        self._ncnn = ncnn
        return str(ncnn.__version__)

    def load(self) -> None:
        self._told: dict[str, list[str]] = {}
        for line in self.request["backends"]["net"]["options"].splitlines():
            key, _, value = line.partition(" = ")
            self._told.setdefault(key, []).append(value)
        self._net = self._ncnn.Net()
        self._net.opt.num_threads = self.request["threads"]
        # What layers make is kept where each of them is timed.
        self._net.opt.lightmode = not self.request.get("profile_runs")
        for name in self._told.keys() - _BLOBS:
            if not hasattr(self._net.opt, name):
                raise Refused(f"this ncnn has no option {name}")
            kind = type(getattr(self._net.opt, name))
            setattr(self._net.opt, name, kind(int(self._told[name][0])))
        self._check(self._net.load_param(self.request["model"]), "load_param")
        self._input_names = self._told.get("input", [])
        self._inputs: list[Any] = [None] * len(self._input_names)
        self._output_names = [told.partition(" ")[2] for told in self._told["output"]]
        self._output_bytes = [int(told.partition(" ")[0]) for told in self._told["output"]]
        self._outputs: list[Any] = [None] * len(self._output_names)

    def prepare(self) -> None:
        self._check(self._net.load_model(self._told["weights"][0]), "load_model")

    def placed(self) -> dict[str, Any]:
        return {"layers": len(self._net.layers())}

    def input(self, i: int) -> tuple[str, int] | None:
        if i >= len(self._inputs):
            return None
        return "float32", _FLOAT_BYTES * math.prod(self.request["inputs"][i]["shape"])

    def set_input(self, i: int, content: memoryview) -> None:
        shape = self.request["inputs"][i]["shape"]
        self._inputs[i] = self._ncnn.Mat(content.cast("f", shape))

    def output(self, i: int) -> tuple[str, memoryview | None] | None:
        if i >= len(self._outputs):
            return None
        mat = self._outputs[i]
        if mat is None:
            return "float32", None
        view = memoryview(mat)
        if view.format != "f":
            raise Refused(f"output {i} is of the type {view.format}, which is not handled")
        wanted = self._output_bytes[i]
        if wanted and view.nbytes != wanted:
            raise Refused(
                f"output {i} has {view.nbytes} bytes, the model's has {wanted}: ncnn computes "
                f"another model"
            )
        # Rows of channels lie apart: what is compared is what they hold.
        return "float32", memoryview(bytearray(view.tobytes()))

    def run(self) -> None:
        extractor = self._net.create_extractor()
        for name, mat in zip(self._input_names, self._inputs, strict=True):
            self._check(extractor.input(name, mat), f"input {name}")
        for i, name in enumerate(self._output_names):
            status, self._outputs[i] = extractor.extract(name)
            self._check(status, f"extract {name}")

    def profile(self, runs: int) -> dict[str, Any]:
        """Layer after layer from one extractor that keeps what they make."""
        names = self._told.get("layer", [])
        found: list[list[int]] = [[] for _ in names]
        for _ in range(runs):
            extractor = self._net.create_extractor()
            extractor.set_light_mode(False)
            for name, mat in zip(self._input_names, self._inputs, strict=True):
                self._check(extractor.input(name, mat), f"input {name}")
            for name, taken in zip(names, found, strict=True):
                start = time.perf_counter_ns()
                status, _ = extractor.extract(name)
                taken.append(time.perf_counter_ns() - start)
                self._check(status, f"extract {name}")
        return {"layer_ns": found}

    def _check(self, status: int, what: str) -> None:
        if status:
            raise Refused(f"{what}: status {status}", is_memory=status == _NO_MEMORY)


if __name__ == "__main__":
    measure(NcnnDriver)
