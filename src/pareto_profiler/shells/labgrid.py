"""LabgridShell: a device that a labgrid coordinator lends, over ssh."""

from __future__ import annotations

import getpass
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import printable
from pareto_profiler.shells.remote import call_client
from pareto_profiler.shells.ssh import SshShell

PREFIX: Final = "labgrid:"
"""Of an address that names a place."""

_LOG: Final = logging.getLogger(__name__)
_LIMIT_S: Final = 60.0
_EXTRA: Final = "pip install labgrid pyyaml"
# Defaults of a user's own calls, which are not for ours.
_NOT_PASSED_ON: Final = ("LG_ENV", "LG_STATE", "LG_INITIAL_STATE", "LG_PLACE", "STATE", "PLACE")


class LabgridShell(SshShell):
    """A place that is acquired when it is first used, and released when the shell is closed.

    It is acquired as ``USER.pareto-profiler``: what a killed search left acquired is taken over. A
    place that somebody has acquired and allowed that user is used, and not released.

    Args:
        place: Its name, which has a NetworkService.
        options: Further arguments of ssh.
        patience_s: As :class:`~pareto_profiler.shells.remote.RemoteShell`.

    Raises:
        TargetError: There is no labgrid-client here, or no ssh.
    """

    def __init__(self, place: str, options: Sequence[str] = (), patience_s: float = 120.0) -> None:
        if not place or place.startswith("-"):
            raise TargetError(f"{PREFIX}{place}: expected the name of a place")
        super().__init__(f"{PREFIX}{place}", options, patience_s)
        beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        client = shutil.which("labgrid-client", path=beside)
        if client is None:
            raise TargetError(f"{self.name}: no labgrid-client here: {_EXTRA}")
        self._labgrid = [client]
        self._labgrid_place = place
        self._is_acquired = self._is_to_release = False

    def close(self) -> None:
        super().close()
        if self._is_to_release:
            status, words = self._call("-p", self._labgrid_place, "release")
            if status:
                _LOG.warning("%s is not released: %s", self.name, words)
        self._is_acquired = self._is_to_release = False

    def _place(self) -> str:
        return self.name

    def _connect(self) -> None:
        if not self._is_acquired:
            self._acquire()
            self._is_acquired = True
        super()._connect()

    def _acquire(self) -> None:
        place = self._labgrid_place
        # As -p the client takes any part of a place's name.
        status, words = self._call("places")
        if status:
            raise TargetError(f"{self.name}: {words}")
        known = [line.strip() for line in words.splitlines()]
        if place not in known:
            raise TargetError(
                f"{self.name}: no such place: expected one of {', '.join(known) or 'none at all'}"
            )
        status, refused = self._call("-p", place, "acquire")
        self._is_to_release = not status or "You have already acquired" in refused
        status, words = self._call("-p", place, "env")
        if status:
            raise TargetError(f"{self.name}: {words if self._is_to_release else refused}")
        self._host, self._more = _destination(self.name, words)

    def _call(self, *words: str) -> tuple[int, str]:
        """How the client ended, and what it said; of what it says when it fails the last line."""
        environment = {k: v for k, v in os.environ.items() if k not in _NOT_PASSED_ON}
        environment["LG_USERNAME"] = f"{getpass.getuser()}.pareto-profiler"
        try:
            done = call_client([*self._labgrid, *words], _LIMIT_S, environment=environment)
        except subprocess.TimeoutExpired as error:
            raise TargetError(f"{self.name}: labgrid-client {words[-1]}: no answer") from error
        if not done.returncode:
            return 0, printable(done.stdout)
        said = [line for line in printable(done.stderr + done.stdout).splitlines() if line.strip()]
        last = said[-1] if said else "it says nothing"
        return done.returncode, last.removeprefix("labgrid-client: Error: ")


def _destination(name: str, text: str) -> tuple[str, list[str]]:
    """Where a place's NetworkService is, as ssh takes it; what else is said is nobody's business.

    Raises:
        TargetError: It has none, or YAML cannot be read here.
    """
    try:
        import yaml
    except ImportError as error:
        raise TargetError(f"{name}: labgrid's answer is YAML: {_EXTRA}") from error
    try:
        service: dict[str, Any] = next(
            resource["NetworkService"]
            for target in yaml.safe_load(text)["targets"].values()
            for resource in target["resources"]
            if "NetworkService" in resource
        )
        user, host = service.get("username", ""), str(service["address"])
        port = [f"-p{int(service['port'])}"] if service.get("port") else []
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, StopIteration):
        raise TargetError(f"{name}: expected a NetworkService with an address there") from None
    return (f"{user}@{host}" if user else host), port
