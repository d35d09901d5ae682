"""Build hook: compile each runtime's driver with the C compiler of ``ziglang``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from multiprocessing.pool import ThreadPool
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


class DriverBuildHook(BuildHookInterface):  # type: ignore[misc]  # hatchling is untyped
    """Puts ``RUNTIME-ARCHITECTURE`` and a small model into ``drivers/bin`` before collecting.

    A runtime with a ``driver.c`` has a driver for the architectures that ``driver.targets`` beside
    it names, or for all.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile what is missing or older than one of its sources."""
        del version, build_data
        if self.target_name == "sdist":
            return
        package = Path(self.root) / "src" / "pareto_profiler"
        common = package / "drivers"
        (common / "bin").mkdir(exist_ok=True)
        shutil.copyfile(Path(self.root) / MODEL, common / "bin" / "model.tflite")
        jobs: list[tuple[Any, ...]] = []
        harness = [common / f"{name}.c" for name in ("harness", "request", "device_memory")]
        for driver in sorted((package / "runtimes").glob("*/driver.c")):
            sources = [*harness, driver]
            newest = max(p.stat().st_mtime for p in (*sources, common / "driver.h"))
            named = driver.with_suffix(".targets")
            wanted = named.read_text().split() if named.is_file() else list(TARGETS)
            for architecture in wanted:
                binary = common / "bin" / f"{driver.parent.name}-{architecture}"
                if not binary.is_file() or binary.stat().st_mtime < newest:
                    jobs.append((binary, TARGETS[architecture], common, sources))
        # For runtimes that have Python only: the harness as a library.
        sources = [*harness, common / "callbacks.c"]
        newest = max(p.stat().st_mtime for p in (*sources, common / "driver.h"))
        for architecture in ("x86_64", "aarch64"):
            binary = common / "bin" / f"harness-{architecture}.so"
            if not binary.is_file() or binary.stat().st_mtime < newest:
                jobs.append((binary, TARGETS[architecture], common, sources, "-shared", "-fPIC"))
        with ThreadPool() as pool:
            pool.starmap(_compile, jobs)


def _compile(binary: Path, target: str, include: Path, sources: list[Path], *more: str) -> None:
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, *FLAGS, *more]
    compiler.append(f"-I{include}")
    files = map(str, sources)
    subprocess.run([*compiler, "-o", str(binary), *files, "-ldl", "-lm"], check=True)
