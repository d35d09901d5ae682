"""The port: all that the rest of the package knows of an inference runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from pareto_profiler.core.configuration import Configuration
from pareto_profiler.core.measurement import Measurement, Objective
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Fault, Runner
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.support import SupportTable
from pareto_profiler.core.traits import Traits
from pareto_profiler.core.trial import Placement
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.shells.base import Shell


@dataclass(frozen=True, slots=True)
class Measured:
    """One objective's figure.

    Attributes:
        objective: Which.
        value: In its shown unit.
        interval: Where it lies with 95 % confidence; None where the noise is unknown.
        is_disturbed: Whether other work disturbed it, nobody knows by how much.
    """

    objective: Objective
    value: float
    interval: tuple[float, float] | None
    is_disturbed: bool = False

    @property
    def words(self) -> str:
        """For people."""
        text = f"{self.objective.name} {self.value:.6g} {self.objective.shown_unit}"
        if self.is_disturbed:
            return f"{text}, not to be trusted: other work disturbed it"
        if self.interval is None:
            return text
        low, high = self.interval
        return f"{text} ({low:.6g} to {high:.6g})"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An assignment with what is known of it, to be written in some form.

    Attributes:
        header: Of the run it is from.
        assignment: Which.
        figures: One for each objective.
    """

    header: Header
    assignment: Assignment
    figures: Sequence[Measured] = ()

    @property
    def id(self) -> int:
        """The seed's integer."""
        return self.header.space.id_of(self.assignment)

    @property
    def facts(self) -> list[str]:
        """What a reader of the file wants to know, a line each; without line ends."""
        header = self.header
        where = f"{header.runtime} on {header.target}" if header.runtime else "a table"
        lines = [
            f"model {header.model_name}, SHA-256 {header.model_digest or 'unknown'}",
            f"assignment {self.id} by {header.space.granularity}, measured with {where}",
            *(figure.words for figure in self.figures),
            f"made by pareto-profiler {header.tool_version}",
        ]
        return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]


@dataclass(frozen=True, slots=True)
class Launch:
    """How a runtime's engine runs what was written; each runtime's own class adds to it.

    Attributes:
        differences: What the files say otherwise than they should, a line each.
    """

    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """One way to ship an assignment.

    Attributes:
        meaning: What is written, in a line.
        suffix: Of the file; empty for a folder.
        write: Writes artifacts, with the model where it is needed, to a path. It returns what the
            user should know of it, a line each, and raises InputError where it cannot be written.
        launches: How what was written is run, one for each artifact.
        is_of_front: Whether it takes the whole front.
        needs_model: Whether the model is part of it.
        runs_here: Whether it can be run on this machine only.
    """

    meaning: str
    suffix: str
    write: Callable[[Sequence[Artifact], Model | None, Path], list[str]]
    launches: Callable[[Sequence[Artifact], Path], list[Launch]]
    is_of_front: bool = False
    needs_model: bool = False
    runs_here: bool = False


class Engine(Runner, Protocol):
    """A runner that can also say what it can prepare, and run what was written to be shipped."""

    def refusal(self, backend_by_operation: Mapping[int, str]) -> str:
        """Why some operations cannot be prepared on the backends given; empty where they can.

        Others stay on the first backend. Nothing is timed.

        Raises:
            RunError: It failed otherwise than by a refusal.
            TargetError: The target is unusable.
        """
        ...

    def loads(self, backend: str) -> bool:
        """Whether a backend can be loaded at all.

        Raises:
            TargetError: The target is unusable.
        """
        ...

    def reference(self) -> list[Array] | None:
        """The baseline's outputs, in the model's order; None where they cannot be read.

        Raises:
            TargetError: The baseline cannot be run, or the target is unusable.
        """
        ...

    def compare_on(self, sets: Sequence[Sequence[Array]]) -> None:
        """Compare outputs of each assignment for further sets of inputs, too.

        Raises:
            InputError: This engine cannot.
        """
        ...

    def remarks(self) -> list[str]:
        """What a check of the target should say of the runtime there, a line each."""
        ...

    def run_artifact(
        self, launch: Launch, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        """Measure what was written, once, and read back where it puts each operation.

        Args:
            launch: What was written.
            assignment: What it shall realise.

        Returns:
            The measurement, and the placement; None where the runtime cannot tell.

        Raises:
            RunError: It fails, or its outputs are not the baseline's.
            TargetError: The target is unusable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Where:
    """Where to look for a runtime, and where to put things.

    Attributes:
        target: The target's name, for messages.
        is_local: Whether it is this machine.
        work: The tool's folder there, where drivers stay.
        given: What the user says of the runtime there, such as ``library``.
        energy: Files of counters of energy or sensors of power to read with the runs.
    """

    target: str
    is_local: bool
    work: PurePosixPath
    given: Mapping[str, str] = field(default_factory=dict)
    energy: tuple[str, ...] = ()


class Installation(Protocol):
    """A runtime that was found on a target."""

    @property
    def name(self) -> str:
        """Of the runtime with its version, as headers have it."""
        ...

    @property
    def library(self) -> str:
        """Its library; empty where it is not known."""
        ...

    @property
    def tells_energy(self) -> bool:
        """Whether it measures energy."""
        ...

    def digest(self) -> str:
        """What tells builds of one version apart."""
        ...

    def offered_backends(self) -> tuple[str, ...]:
        """Backends that are there, the baseline's first; empty where that cannot be seen."""
        ...

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        """What some backends can run of a model: the runtime's table, or better by asking them.

        Args:
            table: The runtime's.
            backends: Which.
            folder: Of the target, for what asking takes.
            model: The model.
            inputs: Input tensors.

        Raises:
            TargetError: The model cannot be loaded, or the target is unusable.
        """
        ...

    def start(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> Engine:
        """An engine with its files in a folder of the target.

        Raises:
            TargetError: The target cannot take the files.
        """
        ...


class Runtime(SupportTable, Protocol):
    """An inference runtime; it holds no state and works without being installed.

    Attributes:
        name: First word of :attr:`Header.runtime`.
        formats: Of the files that it reads.
        backends: Those that its tables know, the usual baseline's first.
        on_request: Those of them that are used only where they are named.
        tables: Those of them of which it knows without asking what they run.
        settings: Those that can be varied, each with its values, the default first.
        traits: What is known of its costs.
        forms: Ways to ship an assignment, the default first.
        rewrites: Operators that ``adapt`` makes of others for it, or folds where they only unpack
            constants.
    """

    @property
    def name(self) -> str: ...
    @property
    def formats(self) -> frozenset[str]: ...
    @property
    def backends(self) -> tuple[str, ...]: ...
    @property
    def on_request(self) -> frozenset[str]: ...
    @property
    def tables(self) -> frozenset[str]: ...
    @property
    def settings(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def traits(self) -> Traits: ...
    @property
    def forms(self) -> Mapping[str, Form]: ...
    @property
    def rewrites(self) -> frozenset[str]: ...

    def read(self, path: Path) -> Model:
        """A model, its operations in this runtime's names and with what it refuses.

        Raises:
            ModelError: It cannot be read.
        """
        ...

    def configuration(
        self, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> Configuration:
        """An assignment in this runtime's words; without a plan as tables of any origin mean it.

        Raises:
            SpaceError: It is of another space.
        """
        ...

    def faults(self, header: Header) -> Callable[[Assignment], tuple[Fault, ...]]:
        """What makes assignments of a run compute wrongly, as far as it is known beforehand.

        Args:
            header: Of the run: its graph, and the version of the runtime.
        """
        ...

    def find(self, shell: Shell, where: Where) -> Installation:
        """The runtime on a target.

        Raises:
            InputError: What the user says of it is not there.
            TargetError: There is none, or none that can be used.
        """
        ...
