"""Targets: how each device is reached, where its runtime lives and how it is measured there.

A ``targets.toml`` names them; ``local``, ``odroid``, ``tizen`` and ``android`` are built in.
"""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pareto_profiler.core.plan import Plan, cpus_of
from pareto_profiler.errors import InputError
from pareto_profiler.files import LARGEST_TEXT_BYTES, read_regular
from pareto_profiler.quantities import split
from pareto_profiler.runtimes import RUNTIMES
from pareto_profiler.shells.adb import AdbShell
from pareto_profiler.shells.base import Shell
from pareto_profiler.shells.labgrid import PREFIX, LabgridShell
from pareto_profiler.shells.local import LocalShell
from pareto_profiler.shells.sdb import SdbShell
from pareto_profiler.shells.ssh import SshShell

FILE: Final = "targets.toml"

SHELLS: Final = ("local", "ssh", "sdb", "adb")
RUNNERS: Final = ("driver", "tool")
# What files of before call them.
_FORMER_RUNNERS: Final = {"probe": "driver", "onert_run": "tool"}

_PLAN_LIMITS: Final = {
    "repeats": (1, 100_000),
    "warmups": (0, 100_000),
    "precision": (0.0, 1.0),
    "min_repeats": (1, 100_000),
    "max_repeats": (1, 100_000),
    "run_time_s": (0.0, 3.6e6),
    "time_limit_s": (0.1, 3.6e6),
    "threads": (1, 1024),
    "tolerance": (0.0, 1e6),
    "memory_limit_kib": (0, 2**30),
    "pause_s": (0.0, 3.6e6),
}
_FORMER_PLAN_KEYS: Final = {"least_repeats": "min_repeats", "most_repeats": "max_repeats"}
_PLAN_KEYS: Final = (*_PLAN_LIMITS, "cpus")


@dataclass(frozen=True, slots=True)
class Target:
    """A device, as a user describes it.

    Attributes:
        name: What it is called.
        shell: How it is reached: ``local``, ``ssh``, ``sdb`` or ``adb``.
        address: For ``ssh`` a host of its configuration, ``user@host`` or ``labgrid:PLACE``; for
            ``sdb`` and ``adb`` a serial or ``address:port``, empty for the only device there is.
        options: Further arguments of ssh.
        library: The default runtime's library there or its folder; empty to look in the usual
            places.
        tool: The device's own measuring program, or the folder it is in.
        runner: ``driver``, or ``tool`` for the device's own program.
        libraries: Libraries of other runtimes by their names.
        backends: Of the default runtime to choose from, the baseline's first; empty for all that
            load.
        work: The tool's folder on the device.
        root: Whether to ask sdb for root.
        patience_s: Seconds to wait for a device that is gone in the middle of a search.
        energy: Files of counters of energy (µJ) or sensors of power (µW) on the device; empty to
            look in the usual places.
        plan: What differs from the default plan there.
        addresses: Of several such devices that measure side by side; empty for one.
        kind: What it is one of: naming a kind names all its targets.
    """

    name: str
    shell: str
    address: str = ""
    options: tuple[str, ...] = ()
    library: str = ""
    tool: str = ""
    runner: str = "driver"
    backends: tuple[str, ...] = ()
    work: str = "/tmp/pareto-profiler"  # noqa: S108 - the device's
    root: bool = True
    patience_s: float = 120.0
    energy: tuple[str, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    kind: str = ""

    def backends_of(self, runtime: str) -> tuple[str, ...]:
        """What is said of a runtime's backends there; nothing of others than the default one."""
        return self.backends if runtime == next(iter(RUNTIMES)) else ()

    def given(self, runtime: str) -> dict[str, str]:
        """What is said of a runtime there."""
        is_default = runtime == next(iter(RUNTIMES))
        own = {"tool": self.tool, "runner": self.runner} if is_default else {}
        own["library"] = self.libraries.get(runtime, self.library if is_default else "")
        return {name: text for name, text in own.items() if text}

    def open_shell(self) -> Shell:
        """A shell on it; nothing is connected yet.

        Raises:
            InputError: It has no address and needs one.
            TargetError: The program that reaches it is not installed here.
        """
        match self.shell:
            case "ssh":
                if not self.address:
                    raise InputError(
                        f"target {self.name}: where is it? give --address user@host, or "
                        f"address = … under [{self.name}] in {FILE}"
                    )
                if self.address.startswith(PREFIX):
                    place = self.address.removeprefix(PREFIX)
                    return LabgridShell(place, self.options, self.patience_s)
                return SshShell(self.address, self.options, self.patience_s)
            case "sdb":
                return SdbShell(
                    self.address,
                    PurePosixPath(self.work),
                    root=self.root,
                    patience_s=self.patience_s,
                )
            case "adb":
                return AdbShell(self.address, self.patience_s)
        return LocalShell()


BUILT_IN: Final[Mapping[str, Target]] = {
    "local": Target("local", "local"),
    "odroid": Target("odroid", "ssh"),
    "tizen": Target("tizen", "sdb", tool="/opt/usr/nnfw-test/Product/out/bin"),
    "android": Target("android", "adb", work="/data/local/tmp/pareto-profiler"),
}
"""Targets that need no file."""


def targets(file: Path | None = None) -> dict[str, Target]:
    """All targets by name: those built in, and those of a file.

    Args:
        file: By default ``targets.toml`` here, else in the user's configuration folder, if any.

    Raises:
        InputError: The file cannot be read, or says something that no target has.
    """
    path = file or _default_file()
    if path is None:
        return dict(BUILT_IN)
    try:
        text = read_regular(path, InputError, limit_bytes=LARGEST_TEXT_BYTES).decode()
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: no TOML: {error}") from error
    known = dict(BUILT_IN) | {
        name: _target(f"{path}: [{name}]", name, table, path.parent)
        for name, table in tables.items()
    }
    for target in known.values():
        if target.kind in known:
            raise InputError(f"{path}: [{target.name}]: kind {target.kind} is a target's name")
    return known


def find(name: str, file: Path | None = None, address: str = "") -> Target:
    """The target of a name; of several boards the first.

    Args:
        name: What it is called.
        file: As :func:`targets`.
        address: Instead of the one that is written down.

    Raises:
        InputError: There is none of that name; or as :func:`targets`.

    Examples:
        >>> find("odroid", address="odroid@10.0.0.7").address
        'odroid@10.0.0.7'
    """
    return next(iter(boards(name, file, address).values()))


def boards(name: str, file: Path | None = None, address: str = "") -> dict[str, Target]:
    """All boards that a name stands for: of a target, or of a kind of targets.

    Args:
        name: Of a target or a kind.
        file: As :func:`targets`.
        address: Instead of those that are written down; several are joined by commas.

    Returns:
        What a board is called → how it is reached, in order. Those of a kind are called as their
        targets, others by their address.

    Raises:
        InputError: There is none of that name, or one address twice; or as :func:`targets`.

    Examples:
        >>> list(boards("odroid", address="me@10.0.0.7,me@10.0.0.8"))
        ['me@10.0.0.7', 'me@10.0.0.8']
    """
    known = targets(file)
    alike = [t for t in known.values() if t.kind == name] if name not in known else [known[name]]
    if not alike:
        kinds = {t.kind: None for t in known.values() if t.kind}
        raise InputError(f"target {name!r}: expected one of {', '.join([*known, *kinds])}")
    if address and name not in known:
        raise InputError(f"target {name} is a kind: expected no address, got {address!r}")
    if address and alike[0].shell == "local":
        raise InputError(
            f"target {name} is this machine: expected no address, got {address!r}; name a --target"
        )
    if name not in known:
        _check_alike(name, alike)
        found = [(t.name, replace(t, addresses=())) for t in alike]
    else:
        given = split(address) or alike[0].addresses
        each = [replace(alike[0], address=a, addresses=()) for a in given] or alike
        found = [(t.address or t.name, t) for t in each]
    # Targets of this machine share it: their plans keep them apart.
    places = Counter((t.shell, t.address, t.options) for _, t in found if t.shell != "local")
    twice = [place for place, times in places.items() if times > 1]
    if twice:
        _, at, _ = twice[0]
        raise InputError(f"target {name}: {at or 'the only device there is'} is named twice")
    return dict(found)


def _check_alike(kind: str, alike: list[Target]) -> None:
    """See that the targets of a kind are measured in the same way.

    Raises:
        InputError: They are not.
    """
    first = alike[0]
    for target in alike:
        if target.addresses:
            raise InputError(f"target {target.name}, of kind {kind}: expected address, not several")
        for key in ("backends", "runner", "energy"):
            if getattr(target, key) != getattr(first, key):
                raise InputError(f"kind {kind}: {first.name} and {target.name} differ in {key}")
        # Which processors measure may differ from board to board.
        if {**target.plan, "cpus": ""} != {**first.plan, "cpus": ""}:
            raise InputError(f"kind {kind}: {first.name} and {target.name} differ in plan")


def _default_file() -> Path | None:
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    for path in (Path(FILE), Path(home) / "pareto-profiler" / FILE):
        if path.is_file():
            return path
    return None


def _target(where: str, name: str, table: Any, folder: Path) -> Target:
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table")
    if not name or not set(name) <= _NAME_CHARACTERS:
        raise InputError(f"{where}: a name has letters, digits, _ and - only")
    values = dict(table)
    if isinstance(values.get("runner"), str):
        values["runner"] = _FORMER_RUNNERS.get(values["runner"], values["runner"])
    base = BUILT_IN.get(str(values.pop("like", name)))
    if "like" in table and base is None:
        raise InputError(
            f"{where}: like = {table['like']!r}: expected one of {', '.join(BUILT_IN)}"
        )
    if base is None and "shell" not in values:
        raise InputError(f"{where}: expected shell = one of {', '.join(SHELLS)}, or like = …")
    _check_keys(where, values)
    if "options" in values:
        # Paths in them, such as of -F, are the file's neighbours.
        values["options"] = tuple(o.replace("{here}", str(folder)) for o in values["options"])
    for key in ("backends", "energy", "addresses"):
        if key in values:
            values[key] = tuple(values[key])
    plan = dict(base.plan if base else {}) | _plan(where, values.pop("plan", {}))
    made = replace(base or Target(name, values["shell"]), name=name, plan=plan, **values)
    _check_addresses(where, made)
    return made


def _check_addresses(where: str, target: Target) -> None:
    if target.address and target.addresses:
        raise InputError(f"{where}: expected address or addresses, not both")
    if target.shell == "local" and (target.address or target.addresses):
        raise InputError(f"{where}: shell local is this machine: expected no address")
    if any(split(a) != (a,) for a in target.addresses):
        raise InputError(f"{where}: addresses: expected one address in each text")


def _check_keys(where: str, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if key not in _CHECKS:
            known = ", ".join(("like", *_CHECKS))
            raise InputError(f"{where}: unknown key {key!r}, expected one of {known}")
        expected, is_right = _CHECKS[key]
        if not is_right(value):
            raise InputError(f"{where}: {key} = {value!r}: expected {expected}")


def _plan(where: str, values: dict[str, Any]) -> dict[str, Any]:
    defaults = asdict(Plan(repeats=1, warmups=0))
    values = {_FORMER_PLAN_KEYS.get(key, key): value for key, value in values.items()}
    for key, value in values.items():
        if key not in _PLAN_KEYS:
            raise InputError(
                f"{where}: plan: unknown key {key!r}, expected one of {', '.join(_PLAN_KEYS)}"
            )
        kind = type(defaults[key])
        is_number = kind is float and type(value) is int
        if type(value) is not kind and not is_number:
            raise InputError(f"{where}: plan: {key} = {value!r}: expected {_KINDS[kind]}")
        least, most = _PLAN_LIMITS.get(key, (0, 0))
        if key != "cpus" and not least <= value <= most:  # nan is neither
            raise InputError(f"{where}: plan: {key} = {value!r}: expected {least} to {most}")
        if key == "cpus" and value:
            try:
                cpus_of(value)
            except InputError as error:
                raise InputError(f"{where}: plan: {error}") from error
    return {key: type(defaults[key])(value) for key, value in values.items()}


_KINDS: Final = {int: "an integer", float: "a number", str: "a text"}
_NAME_CHARACTERS: Final = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(v) for v in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not {"\n", "\0"} & set(value)


def _is_path(value: Any) -> bool:
    return _is_text(value) and value.startswith("/") and PurePosixPath(value) != PurePosixPath("/")


_CHECKS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "shell": (f"one of {', '.join(SHELLS)}", lambda v: v in SHELLS),
    "address": ("a text", _is_text),
    "addresses": ("a list of texts", _is_texts),
    "kind": ("letters, digits, _ and -", lambda v: _is_text(v) and set(v) <= _NAME_CHARACTERS),
    "options": ("a list of texts", _is_texts),
    "library": ("an absolute path", _is_path),
    "tool": ("an absolute path", _is_path),
    "runner": (f"one of {', '.join(RUNNERS)}", lambda v: v in RUNNERS),
    "backends": ("a list of texts", _is_texts),
    "work": ("an absolute path", _is_path),
    "root": ("true or false", lambda v: isinstance(v, bool)),
    "energy": ("a list of absolute paths", lambda v: _is_texts(v) and all(map(_is_path, v))),
    "patience_s": ("a number", lambda v: isinstance(v, int | float) and 0 <= v < 1e6),
    "plan": ("a table", lambda v: isinstance(v, dict)),
    "libraries": (
        f"a table of absolute paths, by the names {', '.join(RUNTIMES)}",
        lambda v: (
            isinstance(v, dict) and set(v) <= set(RUNTIMES) and all(map(_is_path, v.values()))
        ),
    ),
}
assert set(_CHECKS) == {f.name for f in fields(Target)} - {"name"}  # noqa: S101 - of this file
