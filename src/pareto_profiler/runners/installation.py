"""An onert on a target: finding its library, and putting the probe that fits it beside it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from pareto_profiler import probe
from pareto_profiler.errors import TargetError
from pareto_profiler.runners.onert import OnertTarget
from pareto_profiler.shells.base import Shell

LIBRARY_NAMES: Final = ("libonert.so", "libnnfw-dev.so")
"""The library with onert's C API, since 1.30 and before."""

_FOLDERS: Final = (
    "/usr/lib64 /usr/lib /usr/lib/*-linux-gnu* /usr/local/lib /opt/onert/lib /opt/one/lib "
    "$HOME/one/Product/out/lib $HOME/one/lib /opt/usr/nnfw-test/Product/out/lib "
    "/data/local/tmp/onert/lib /data/local/tmp/onert"
)
_NO_BACKENDS: Final = {"train", "builtin"}
_LIMIT_S: Final = 30.0
_ELF_MACHINES: Final = {0x3E: "x86_64", 0xB7: "aarch64", 0x28: "armv7l"}
_ELF_HARD_FLOAT: Final = 0x400
# What kernels run beside what they are called after.
_RUN_BY: Final = {"aarch64": ("aarch64", "armv7l"), "armv8l": ("armv7l",)}


def install(
    shell: Shell, *, work: PurePosixPath, folder: PurePosixPath, library: str = ""
) -> OnertTarget:
    """Find onert on a device, and push the probe there unless it is there already.

    Args:
        shell: How the device is reached.
        work: The tool's folder on the device: the probe lies there under its digest.
        folder: A folder in it for the model, inputs and reference outputs.
        library: The library, or the folder it is in; empty to look where it usually is.

    Raises:
        TargetError: There is no onert, no probe fits it, or it does not run there.
    """
    path = find_library(shell, library)
    binary = probe.binary(_architecture(shell, path))
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()[:12]
    target = OnertTarget(
        shell,
        probe=work / f"probe-{digest}",
        library=path,
        work=folder,
        library_path=str(path.parent),
        local_probe=binary,
    )
    target.push_probe()
    return target


def find_library(shell: Shell, given: str = "") -> PurePosixPath:
    """The library with onert's C API on a device.

    Args:
        shell: How the device is reached.
        given: The file, or its folder; empty to look where it usually is.

    Raises:
        TargetError: It is not there.
    """
    folders = shlex.quote(given) if given else _FOLDERS
    names = " ".join(LIBRARY_NAMES)
    script = (
        f"for d in {folders}; do "
        '[ -f "$d" ] && { printf %s "$d"; exit; }; '
        f'for n in {names}; do [ -f "$d/$n" ] && {{ printf %s "$d/$n"; exit; }}; done; done'
    )
    done = shell.run(["sh", "-c", script], environment={}, time_limit_s=_LIMIT_S)
    found = done.stdout.decode("utf-8", "replace")
    if not found.startswith("/"):
        raise TargetError(
            f"{given}: no {' or '.join(LIBRARY_NAMES)} there"
            if given
            else f"no {' or '.join(LIBRARY_NAMES)} in the usual places of the target ({_FOLDERS}): "
            f"name it (library = … in targets.toml, or --onert-library)"
        )
    return PurePosixPath(found)


def offered_backends(shell: Shell, library: PurePosixPath) -> tuple[str, ...]:
    """Backends that lie beside an onert library, ``cpu`` first; empty where none can be seen."""
    folder = shlex.quote(str(library.parent))
    done = shell.run(
        ["sh", "-c", f"ls {folder} {folder}/nnfw/backend 2>/dev/null"],
        environment={},
        time_limit_s=_LIMIT_S,
    )
    return backends_among(done.stdout.decode("utf-8", "replace").split("\n"))


def library_digest(target: OnertTarget) -> str:
    """What tells builds of one version apart: checksums of the library and all beside it."""
    folder = shlex.quote(str(target.library.parent))
    done = target.shell.run(
        ["sh", "-c", f"cd {folder} && cksum *.so nnfw/backend/*.so 2>/dev/null"],
        environment={},
        time_limit_s=_LIMIT_S,
    )
    return hashlib.sha256(done.stdout).hexdigest()


def backends_among(files: Sequence[str]) -> tuple[str, ...]:
    """The backends whose libraries are among file names, ``cpu`` first.

    Examples:
        >>> backends_among(["libonert.so", "libbackend_ruy.so", "libbackend_cpu.so"])
        ('cpu', 'ruy')
    """
    found = {
        name.removeprefix("libbackend_").removesuffix(".so")
        for name in files
        if name.startswith("libbackend_") and name.endswith(".so")
    }
    return tuple(sorted(found - _NO_BACKENDS, key=lambda name: (name != "cpu", name)))


def _architecture(shell: Shell, library: PurePosixPath) -> str:
    """The probe's architecture: the library's, which may be 32 bits under a kernel of 64."""
    done = shell.run(
        ["sh", "-c", 'uname -m; head -c 40 "$0" | od -An -v -tx1', str(library)],
        environment={},
        time_limit_s=_LIMIT_S,
    )
    kernel, _, digits = done.stdout.decode("ascii", "replace").partition("\n")
    head = bytes.fromhex("".join(digits.split()))
    if not head.startswith(b"\x7fELF") or len(head) < 40:
        raise TargetError(f"{library}: no library (no ELF header)")
    machine = int.from_bytes(head[18:20], "little")
    if machine not in _ELF_MACHINES:
        raise TargetError(f"{library}: is for a processor of ELF number {machine}, no probe is")
    runs = _RUN_BY.get(kernel, (kernel,))
    if _ELF_MACHINES[machine] not in runs:
        raise TargetError(f"{library}: is for {_ELF_MACHINES[machine]}, the target is {kernel}")
    flags = int.from_bytes(head[36:40], "little")
    name = _ELF_MACHINES[machine]
    return "armv7l-softfp" if name == "armv7l" and not flags & _ELF_HARD_FLOAT else name
