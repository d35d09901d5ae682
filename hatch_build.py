"""Build hook: compile the probe for every architecture with the C compiler of ``ziglang``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# glibc 2.17 is older than any device in use; names are what `uname -m` says there. Tizen's ARMv7
# passes floating-point arguments in integer registers.
TARGETS: Final = {
    "x86_64": "x86_64-linux-gnu.2.17",
    "aarch64": "aarch64-linux-gnu.2.17",
    "armv7l": "arm-linux-gnueabihf.2.17",
    "armv7l-softfp": "arm-linux-gnueabi.2.17",
}
# What `doctor` measures; examples/models/README.md says where it comes from.
MODEL: Final = "examples/models/mobilenet_v1_025_128.tflite"
FLAGS: Final = ("-O2", "-s", "-std=gnu11", "-D_FILE_OFFSET_BITS=64", "-Wall", "-Wextra", "-Werror")


class ProbeBuildHook(BuildHookInterface):  # type: ignore[misc]  # hatchling is untyped
    """Puts ``probe-<architecture>`` and a small model beside ``probe.c`` before collecting."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile what is missing or older than its source."""
        del version, build_data
        if self.target_name == "sdist":
            return
        folder = Path(self.root) / "src" / "pareto_profiler" / "probe"
        source = folder / "probe.c"
        (folder / "bin").mkdir(exist_ok=True)
        shutil.copyfile(Path(self.root) / MODEL, folder / "bin" / "model.tflite")
        for architecture, target in TARGETS.items():
            binary = folder / "bin" / f"probe-{architecture}"
            if binary.is_file() and binary.stat().st_mtime >= source.stat().st_mtime:
                continue
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "ziglang",
                    "cc",
                    "-target",
                    target,
                    *FLAGS,
                    "-o",
                    str(binary),
                    str(source),
                    "-ldl",
                    "-lm",
                ],
                check=True,
            )
