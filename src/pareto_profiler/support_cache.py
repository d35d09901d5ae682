"""SupportCache: answers of a target that need not be asked for again, kept in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pareto_profiler.runners.machine import Machine


@dataclass(slots=True)
class SupportCache:
    """What a runtime on a kind of machine said about one model.

    Attributes:
        file: Where it is kept.
        answers: Question → answer; to be added to.
    """

    file: Path
    answers: dict[str, str]

    @classmethod
    def of(
        cls, machine: Machine, runtime: str, library_digest: str, model_digest: str
    ) -> SupportCache:
        """What is known already; nothing where the file is not there or not readable."""
        text = f"{machine.architecture} {machine.cpu} {runtime} {library_digest} {model_digest}"
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        name = f"operations-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        file = Path(home) / "pareto-profiler" / name
        answers: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            read = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(read, dict):
                answers = {str(k): v for k, v in read.items() if isinstance(v, str)}
        return cls(file, answers)

    def keep(self) -> None:
        """Write the answers down; that this cannot be done is no reason to complain."""
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            draft = self.file.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(self.answers, indent=1), encoding="utf-8")
            draft.replace(self.file)
