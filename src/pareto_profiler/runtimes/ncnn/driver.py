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


class NcnnDriver(PythonDriver):  # type: ignore[misc]  # found by the path above
    """A net whose file says which kernels each layer may take.

    Members of the request of its own: ``weights``, a file; ``options`` of the net; ``input_names``
    and ``output_names``, blobs; ``output_bytes``, 0 where they are not known.
    """

    def open(self) -> str:
        import ncnn

        self._ncnn = ncnn
        return str(ncnn.__version__)

    def load(self) -> None:
        self._net = self._ncnn.Net()
        self._net.opt.num_threads = self.request["threads"]
        # What layers make is kept where each of them is timed.
        self._net.opt.lightmode = not self.request.get("profile_runs")
        for name, value in self.request["options"].items():
            if not hasattr(self._net.opt, name):
                raise Refused(f"this ncnn has no option {name}")
            setattr(self._net.opt, name, type(getattr(self._net.opt, name))(value))
        self._check(self._net.load_param(self.request["model"]), "load_param")
        self._inputs: list[Any] = [None] * len(self.request["input_names"])
        self._outputs: list[Any] = [None] * len(self.request["output_names"])

    def prepare(self) -> None:
        self._check(self._net.load_model(self.request["weights"]), "load_model")

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
        wanted = self.request["output_bytes"][i]
        if wanted and view.nbytes != wanted:
            raise Refused(
                f"output {i} has {view.nbytes} bytes, the model's has {wanted}: it was converted "
                f"into another model"
            )
        # Rows of channels lie apart: what is compared is what they hold.
        return "float32", memoryview(bytearray(view.tobytes()))

    def run(self) -> None:
        extractor = self._net.create_extractor()
        for name, mat in zip(self.request["input_names"], self._inputs, strict=True):
            self._check(extractor.input(name, mat), f"input {name}")
        for i, name in enumerate(self.request["output_names"]):
            status, self._outputs[i] = extractor.extract(name)
            self._check(status, f"extract {name}")

    def profile(self, runs: int) -> dict[str, Any]:
        """Layer after layer from one extractor that keeps what they make."""
        layers = self._net.layers()
        found: dict[int, list[int]] = {}
        for _ in range(runs):
            extractor = self._net.create_extractor()
            extractor.set_light_mode(False)
            for name, mat in zip(self.request["input_names"], self._inputs, strict=True):
                self._check(extractor.input(name, mat), f"input {name}")
            number = 0
            for layer in layers:
                if layer.type == "Input":
                    continue
                if layer.tops:
                    start = time.perf_counter_ns()
                    status, _ = extractor.extract(layer.tops[-1])
                    found.setdefault(number, []).append(time.perf_counter_ns() - start)
                    self._check(status, f"extract layer {number}")
                number += 1
        return {"operations": [{"at": i, "ns": ns} for i, ns in found.items()]}

    def _check(self, status: int, what: str) -> None:
        if status:
            raise Refused(f"{what}: status {status}", is_memory=status == _NO_MEMORY)


if __name__ == "__main__":
    measure(NcnnDriver)
