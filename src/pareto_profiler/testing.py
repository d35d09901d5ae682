"""Tests that every runtime passes; whoever adds one supplies a case."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from pareto_profiler.core.measurement import OBJECTIVES
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import Assignment, DecisionSpace, Granularity
from pareto_profiler.core.support import Support
from pareto_profiler.errors import ModelError, RunError, SpaceError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import random_inputs
from pareto_profiler.runtimes.base import Artifact, Engine, Installation, Measured, Runtime, Where
from pareto_profiler.shells.local import LocalShell

_PLAN: Final = Plan(repeats=3, warmups=1, time_limit_s=60)


@dataclass(frozen=True, slots=True)
class Case:
    """A runtime and a model that it runs, on this machine.

    Attributes:
        runtime: Which.
        model: File of a model with two operations or more that several backends take.
        work: An empty folder.
        plan: How to measure.
        given: What a user would say of the runtime here, such as ``library``.
    """

    runtime: Runtime
    model: Path
    work: Path
    plan: Plan = _PLAN
    given: Mapping[str, str] = field(default_factory=dict)

    def installation(self) -> Installation:
        """The runtime as it is here."""
        return self.runtime.find(
            LocalShell(),
            Where("local", is_local=True, work=PurePosixPath(self.work), given=self.given),
        )

    @contextmanager
    def engine(self) -> Iterator[tuple[Model, DecisionSpace, Engine]]:
        """An engine over all backends that are not for those who ask, operation by operation."""
        room, found = self.runtime, self.installation()
        read = room.read(self.model)
        inputs = random_inputs(read.graph, 0)
        offered = found.offered_backends() or room.backends
        backends = [b for b in offered if b not in room.on_request]
        folder = PurePosixPath(self.work / "files")
        table = found.support(room, backends, folder, read, inputs)
        support = Support(table)
        space = DecisionSpace.of(read.graph, backends, Granularity.OPERATION, support=support)
        with closing(found.start(folder, space, self.plan, read, inputs)) as engine:
            yield read, space, engine


def mixes(space: DecisionSpace) -> list[Assignment]:
    """The uniform assignments, and those that put one operation elsewhere than the baseline."""
    default = space.default
    singles = [
        (*default[:i], choice, *default[i + 1 :])
        for i, variable in enumerate(space.variables)
        for choice in variable.feasible
    ]
    found = [a for a in (*space.uniforms(), *singles[:6]) if space.is_feasible(a)]
    return [a for a in dict.fromkeys(found) if a != space.default]


class RuntimeContract:
    """What the rest of the package relies on; a subclass ``Test…`` has a fixture ``case``.

    Examples:
        >>> class TestMine(RuntimeContract):
        ...     def case(self, tmp_path):  # with pytest.fixture
        ...         return Case(my_runtime, my_model, tmp_path)
    """

    def test_it_is_told_without_being_installed(self, case: Case) -> None:
        """Names, settings, traits and forms are plain data."""
        room = case.runtime
        assert room.name
        assert len(set(room.backends)) == len(room.backends) > 0
        assert room.on_request < set(room.backends)
        assert room.tables <= set(room.backends)
        assert set(room.traits.settings) <= set(room.settings)
        assert all(form.meaning for form in room.forms.values())

    def test_a_model_has_named_operations(self, case: Case) -> None:
        """And for each backend a reason, or none, why it does not take one."""
        read = case.runtime.read(case.model)
        assert all(o.name for o in read.graph.operations)
        for operation in read.graph.operations:
            for backend in case.runtime.backends:
                assert isinstance(case.runtime.why_not(backend, operation), str)

    def test_what_is_no_model_is_refused(self, case: Case) -> None:
        """With an error of the package."""
        file = case.work / "none.tflite"
        file.write_bytes(b"this is no model at all" * 10)
        try:
            case.runtime.read(file)
        except ModelError as error:
            assert str(file) in str(error)
        else:
            raise AssertionError(f"{file} was read")

    def test_the_baseline_is_measured(self, case: Case) -> None:
        """With time and memory, again and again."""
        with case.engine() as (_, space, engine):
            for is_repeat in (False, True):
                measured = engine.run(space.default, is_repeat=is_repeat)
                assert measured.value(OBJECTIVES["exec_time"]) > 0
                assert measured.value(OBJECTIVES["max_rss"]) > 0
                assert measured.output_error == 0.0

    def test_a_mix_gives_the_same_numbers_where_it_was_asked_for(self, case: Case) -> None:
        """Or fails, and says why; and does not spoil what is measured next."""
        with case.engine() as (_, space, engine):
            done = 0
            for assignment in mixes(space):
                try:
                    measured = engine.run(assignment)
                except RunError as error:
                    assert error.message
                    continue
                assert measured.output_error is not None
                assert measured.output_error <= case.plan.tolerance
                placement = engine.placement(assignment)
                if placement is not None:
                    wanted = space.backend_by_operation(assignment)
                    assert not placement.mismatches
                    assert wanted.items() <= dict(placement.backend_by_operation).items()
                done += 1
            assert done
            assert engine.run(space.default).output_error == 0.0

    def test_an_assignment_of_another_space_is_refused(self, case: Case) -> None:
        """With an error of the package."""
        with case.engine() as (_, space, engine):
            for foreign in ((), (*space.default, "x"), ("no such backend",) * len(space.default)):
                try:
                    engine.run(foreign)
                except SpaceError:
                    continue
                raise AssertionError(f"{foreign} was run")

    def test_a_profile_is_of_operations(self, case: Case) -> None:
        """Where there is one."""
        with case.engine() as (read, space, engine):
            if not engine.can_profile:
                return
            engine.run(space.default)
            profile = engine.profile(space.default)
            assert profile.operations
            for time in profile.operations:
                assert 0 <= time.index < len(read.graph.operations)
                assert time.seconds >= 0

    def test_it_says_what_it_can_prepare(self, case: Case) -> None:
        """Nothing is refused of nothing, and the baseline's backend loads."""
        with case.engine() as (read, space, engine):
            assert engine.refusal({}) == ""
            assert engine.loads(space.backends[0])
            assert all(isinstance(line, str) for line in engine.remarks())
            outputs = engine.reference()
            if outputs is not None:
                assert len(outputs) == len(read.graph.outputs)
                assert all(np.isfinite(array.astype(np.float64)).all() for array in outputs)

    def test_a_configuration_is_a_line_for_people(self, case: Case) -> None:
        """And tells assignments apart."""
        with case.engine() as (_, space, _engine):
            several = [space.default, *mixes(space)]
            words = [case.runtime.configuration(space, a, case.plan).text for a in several]
            assert len(set(words)) == len(words)
            assert all("\n" not in line.strip() for line in words)

    def test_each_form_is_written_and_runs(self, case: Case) -> None:
        """And puts operations where they were measured."""
        for name, form in case.runtime.forms.items():
            with case.engine() as (read, space, engine):
                assignment = next(a for a in mixes(space) if _runs(engine, a))
                to = case.work / f"{name}{form.suffix}"
                artifact = _artifact(case, read, space, assignment)
                form.write([artifact], read, to)
                assert to.exists()
                (launch,) = form.launches([artifact], to)
                assert not launch.differences
                measured, placement = engine.run_artifact(launch, assignment)
                assert measured.value(OBJECTIVES["exec_time"]) > 0
                assert placement is None or not placement.mismatches

    def test_nothing_is_left(self, case: Case) -> None:
        """Of the files that it put on the target."""
        with case.engine() as (_, space, engine):
            engine.run(space.default)
        assert not (case.work / "files").exists()
        shutil.rmtree(case.work)


def _runs(engine: Engine, assignment: Assignment) -> bool:
    try:
        engine.run(assignment)
    except RunError:
        return False
    return True


def _artifact(case: Case, read: Model, space: DecisionSpace, assignment: Assignment) -> Artifact:
    header = Header(
        read.name,
        read.graph.digest,
        space,
        ("exec_time",),
        plan=case.plan,
        target="local",
        runtime=case.installation().name,
        graph=read.graph,
        traits=case.runtime.traits,
    )
    return Artifact(header, assignment, [Measured(OBJECTIVES["exec_time"], 1.0, None)])
