"""Trying an image: a handful of runs by the worker's own pipeline, with eyes at every stage.

As any worker would run it; with wrong inputs; asked to end in the middle; and with a root that can
be written to, to see where it would write. What the evidence means is decided in `checks`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gyoza.models import OpDefinition
from gyoza.testing.attempts import (
    DEFAULT_RAM_MB,
    Bench,
    LocalAttempt,
    Order,
    container_user,
    quiet,
)
from gyoza.testing.conformance.evidence import Evidence, Left, Stopping, Trial
from gyoza.testing.conformance.looking import Examine, WatchFiles
from gyoza.testing.conformance.sampling import NoSample, sample_inputs, wrong_inputs
from gyoza.testing.conformance.writable_root import WritableRoot
from gyoza.testing.engine import EngineFacts, ImageFacts
from gyoza.testing.local_files import LocalFiles
from gyoza.testing.measuring import Measure, Measured
from gyoza.wire.messages import ReportedEvent
from gyoza.worker.clock import SystemClock
from gyoza.worker.runtime.docker import DockerRuntime
from gyoza.worker.runtime.interface import ContainerRuntime

ROOT: Final = (0, 0)
_SETTLED_S: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is tried.

    Attributes:
        image: What it says of itself.
        definition: The op in it.
        is_declared: Whether label or file say anything of it.
        inputs: To try it with; None makes some up.
        timeout_s: Longest time that one trial may take.
    """

    image: ImageFacts
    definition: OpDefinition
    is_declared: bool
    inputs: Mapping[str, Any] | None = None
    timeout_s: float = 120.0


async def gather(subject: Subject, address: str) -> Evidence:
    """Try an image and return all that was seen.

    Args:
        subject: What is tried.
        address: Of the engine.

    Raises:
        EngineUnreachable: No container engine answers.
        OSError: An input file cannot be read.
    """
    runtime = DockerRuntime(address.removeprefix("unix://"))
    try:
        with quiet(), tempfile.TemporaryDirectory(prefix="gyoza-check-") as scratch:
            async with EngineFacts(address) as engine:
                return await _Trials(subject, engine, runtime, Path(scratch)).gather()
    finally:
        await runtime.close()


class _Trials:
    def __init__(
        self, subject: Subject, engine: EngineFacts, runtime: ContainerRuntime, scratch: Path
    ) -> None:
        self._subject = subject
        self._engine = engine
        self._runtime = runtime
        self._scratch = scratch
        self._clock = SystemClock()
        self._files = LocalFiles()
        self._count = 0

    async def gather(self) -> Evidence:
        subject = self._subject
        evidence = Evidence(
            image=subject.image,
            definition=subject.definition,
            is_declared=subject.is_declared,
            asked_mb=subject.definition.constraints.ram_mb or DEFAULT_RAM_MB,
        )
        try:
            given = self._inputs()
        except NoSample as error:
            return replace(evidence, no_inputs_because=str(error))
        inputs = self._files.prepared(given, subject.definition.input_specs)
        evidence = replace(evidence, inputs=given)
        evidence = replace(evidence, plain=await self._trial(inputs, has_processes=True))
        return await self._more(evidence, subject.definition.prepare_inputs(inputs))

    def _inputs(self) -> Mapping[str, Any]:
        if self._subject.inputs is not None:
            return self._subject.inputs
        folder = self._scratch / "samples"
        folder.mkdir()
        return sample_inputs(self._subject.definition.input_specs, folder)

    async def _more(self, evidence: Evidence, inputs: Mapping[str, Any]) -> Evidence:
        plain = evidence.plain
        if plain is None or plain.left.ended_s is None:
            return evidence
        wrong = wrong_inputs(self._subject.definition.input_specs, inputs)
        if wrong is not None:
            refusal = await self._trial(wrong[0])
            evidence = replace(evidence, refusal=refusal, wrong=wrong[1])
        writable = await self._trial(inputs, is_writable=True)
        evidence = replace(evidence, writable=writable)
        if not plain.has_completed and not writable.has_completed:
            as_root = await self._trial(inputs, is_writable=True, user=ROOT)
            evidence = replace(evidence, as_root=as_root)
        return replace(evidence, stopping=await self._stopped(inputs))

    async def _trial(
        self,
        inputs: Mapping[str, Any],
        *,
        has_processes: bool = False,
        is_writable: bool = False,
        user: tuple[int, int] | None = None,
    ) -> Trial:
        begun = self._begun(inputs, is_writable=is_writable, user=user, processes=has_processes)
        result = await begun.attempt.run()
        peak_mb = begun.measured.peak_memory_mb
        return Trial(replace(result, peak_memory_mb=peak_mb), begun.left, begun.measured)

    async def _stopped(self, inputs: Mapping[str, Any]) -> Stopping:
        started = _Started()
        begun = self._begun(inputs, watcher=started)
        running = asyncio.ensure_future(begun.attempt.run())
        waiting = asyncio.ensure_future(started.event_came.wait())
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        # It has begun; now it shall have come to its own work, past the start of its language.
        await asyncio.wait((running,), timeout=_SETTLED_S)
        asked_s = self._clock.monotonic()
        begun.attempt.cancel("gyoza check asks every op to end once")
        trial = Trial(await running, begun.left, begun.measured)
        ended_s = begun.left.ended_s
        # One that had ended before may still be reported as cancelled.
        was_asked = ended_s is not None and ended_s > asked_s
        return Stopping(trial, ended_s - asked_s if was_asked and ended_s else None)

    def _begun(
        self,
        inputs: Mapping[str, Any],
        *,
        is_writable: bool = False,
        user: tuple[int, int] | None = None,
        processes: bool = False,
        watcher: _Started | None = None,
    ) -> _Begun:
        self._count += 1
        state_dir = self._scratch / str(self._count)
        state_dir.mkdir()
        left, measured = Left(), Measured()
        watch = WatchFiles()
        runtime = WritableRoot.over(self._runtime, self._engine) if is_writable else self._runtime
        bench = Bench(
            runtime=runtime,
            state_dir=state_dir,
            user=user or container_user(),
            watcher=watcher,
            clock=self._clock,
            before_start=(watch,),
            beside=(Measure(self._engine, self._clock, measured, processes=processes),),
            after_end=(Examine(watch, self._engine, self._clock, left),),
        )
        return _Begun(LocalAttempt(self._order(inputs, state_dir), bench), left, measured)

    def _order(self, inputs: Mapping[str, Any], state_dir: Path) -> Order:
        definition = self._subject.definition
        timeouts = definition.execution.timeouts
        run_s = min(self._subject.timeout_s, timeouts.run_s or self._subject.timeout_s)
        execution = replace(definition.execution, timeouts=replace(timeouts, run_s=run_s))
        tried = OpDefinition.from_dict({**definition.to_dict(), "execution": execution.to_dict()})
        return Order(
            definition=tried, inputs=inputs, files=self._files.paths, folder=state_dir / "files"
        )


@dataclass(frozen=True, slots=True)
class _Begun:
    """An attempt that is ready to run, and what will be seen of it."""

    attempt: LocalAttempt
    left: Left
    measured: Measured


class _Started:
    """Notes that the container runs."""

    def __init__(self) -> None:
        self.event_came = asyncio.Event()

    def phase(self, name: str) -> None:
        """See `Watcher.phase`."""

    def event(self, event: ReportedEvent) -> None:
        """See `Watcher.event`."""
        if event.type == "STARTED":
            self.event_came.set()

    def log(self, stream: str, text: str) -> None:
        """See `Watcher.log`."""
