"""Running an op's function in this process, with everything around it as in a container.

Inputs and outputs travel through JSON and files through folders; what the function returns is read
and judged by the worker's own code. Only the container itself is missing: its limits, its isolation
and what its image lacks show in `gyoza.testing.container`.
"""

from __future__ import annotations

import io
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

from gyoza.models import OpDefinition
from gyoza.op import protocol
from gyoza.op.calling import bound, call
from gyoza.op.cancellation import Cancellation
from gyoza.op.context import Context
from gyoza.op.current import Current, emit_output, working_for
from gyoza.op.emitter import Emitter
from gyoza.op.encode import encode
from gyoza.op.failures import describe
from gyoza.op.json_text import to_json
from gyoza.op.output_files import OutputFiles
from gyoza.op.runtime import Folders, document, read_inputs
from gyoza.op.spec import OpSpec, derive
from gyoza.testing.local_files import LocalFiles
from gyoza.testing.ops import input_problems, refusal_text
from gyoza.testing.results import Event, RunResult
from gyoza.wire import strict_json
from gyoza.wire.messages import Result
from gyoza.worker.clock import SystemClock
from gyoza.worker.event_lines import EventsFile
from gyoza.worker.execution.outcome import Evidence, Output, classify
from gyoza.worker.execution.outputs import OverDiskLimit, Unacceptable, read_document, read_error
from gyoza.worker.op_events import parse
from gyoza.worker.runtime.interface import ContainerState

RUN_ID: Final = "run_00000000000000000000000000"
"""What `Context.run_id` says: well formed, and nobody's."""

_ALL: Final = sys.maxsize
_IMAGE: Final = "in-process"


def run(
    op: Callable[..., Any],
    inputs: Mapping[str, Any] | None = None,
    *,
    folder: Path | None = None,
    context: Context | None = None,
) -> RunResult:
    """Run an op in this process; never raises for what the op or its inputs do.

    Args:
        op: The function, or the class with `run()`.
        inputs: By name; a `Path` is a file, everything else must be JSON.
        folder: Where its files go; None makes a temporary folder, which stays.
        context: What the op is told of its run; None makes one up.

    Raises:
        SpecError: No specs can be made from the op's code.
        StrictJsonError: An input has no form in JSON.
        OSError: An input file cannot be read.
    """
    spec = derive(op)
    definition = definition_of_code(spec)
    ready = LocalFiles().prepared(inputs or {}, definition.input_specs)
    problems = input_problems(definition, ready)
    if problems:
        return RunResult(outcome="FAILED", reason="BAD_INPUT", message=refusal_text(problems))
    place = Path(tempfile.mkdtemp(prefix="gyoza-run-"))
    try:
        folders = Folders(place / protocol.IN, place / protocol.OUT)
        _write_inputs(definition.prepare_inputs(_as_paths(inputs or {})), folders)
        told = context or Context(run_id=RUN_ID, cancellation=Cancellation(folders.inner))
        ended = carry_out(spec, folders, told)
        return _judged(definition, folders, ended, folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def definition_of_code(spec: OpSpec) -> OpDefinition:
    """Return the definition that a spec from code stands for, without an image."""
    said = spec.to_dict()
    return OpDefinition.from_dict(
        {
            "id": "op",
            "version": "0",
            "image": _IMAGE,
            **{
                name: said[name]
                for name in ("input_specs", "output_specs", "constraints", "execution")
            },
        }
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of the function.

    Attributes:
        exit_code: As the process of a container would have had it.
        logs: Both streams, in their order.
        stderr: Standard error alone.
        seconds: That it took.
    """

    exit_code: int
    logs: str
    stderr: str
    seconds: float


def _as_paths(inputs: Mapping[str, Any]) -> dict[str, Any]:
    # Files are read where they are: absolute, since the op may change its folder.
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            return {key: plain(each) for key, each in cast("dict[str, Any]", value).items()}
        return str(value.resolve()) if isinstance(value, Path) else value

    return {name: plain(value) for name, value in inputs.items()}


def _write_inputs(inputs: Mapping[str, Any], folders: Folders) -> None:
    folders.inner.mkdir()
    folders.outer.mkdir()
    (folders.inner / protocol.INPUT_FILE).write_bytes(strict_json.dumps(dict(inputs)))


def carry_out(spec: OpSpec, folders: Folders, context: Context) -> Ended:
    """Call an op as its container would: read `in/`, write `out/`, take what it prints.

    Args:
        spec: Of the op.
        folders: With its inputs; `out/` must exist.
        context: What it is told of its run.
    """
    emitter = Emitter(folders.outer / protocol.EVENTS_FILE)
    with _captured() as (both, stderr):
        began_s = time.monotonic()
        try:
            with working_for(Current(context, emitter, is_real=True)):
                outputs = _outputs(spec, folders, context)
            (folders.outer / protocol.OUTPUT_FILE).write_bytes(outputs)
            exit_code = protocol.EXIT_OK
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - every end has its exit code and its words
            exit_code = _told(error, folders)
        finally:
            emitter.close()
        seconds = time.monotonic() - began_s
    return Ended(exit_code, both.getvalue(), stderr.getvalue(), seconds)


def _outputs(spec: OpSpec, folders: Folders, context: Context) -> bytes:
    positional, named = spec.arguments(read_inputs(folders.inner), context, folders.locate)
    keep = OutputFiles(folders.outer).keep
    parts: list[Any] = []

    def take(value: Any) -> None:
        if spec.result.part is not None:
            parts.append(encode(spec.result.part, value, ("result", len(parts)), keep))
            emit_output(len(parts), parts[-1])

    result = call(
        bound(spec, context),
        positional,
        named,
        streams=spec.result.streams,
        on_part=take,
        cancellation=context.cancellation,
    )
    is_collected = spec.result.is_collected
    return document({"result": parts} if is_collected else spec.result.encode(result, keep))


def _told(error: BaseException, folders: Folders) -> int:
    failure = describe(error.with_traceback(_below_here(error.__traceback__)))
    if failure.exit_code != protocol.EXIT_OK:
        said = failure.traceback or f"{failure.document['type']}: {failure.document['message']}"
        sys.stderr.write(said.rstrip("\n") + "\n")
        (folders.outer / protocol.ERROR_FILE).write_bytes(to_json(failure.document))
    return failure.exit_code


def _below_here(frames: TracebackType | None) -> TracebackType | None:
    """Leave out what is between a test and its op: only the author's own frames tell anything."""
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return frames


@contextmanager
def _captured() -> Generator[tuple[io.StringIO, io.StringIO]]:
    """Take what is printed and logged, as a container's log would have it."""
    both, stderr = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(_Tee(both, stderr))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(min(level, logging.INFO))
    try:
        with redirect_stdout(both), redirect_stderr(_Tee(both, stderr)):
            yield both, stderr
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


class _Tee(io.TextIOBase):
    """Writes to several texts at once."""

    def __init__(self, *targets: io.StringIO) -> None:
        self._targets = targets

    def write(self, text: str, /) -> int:
        """See `TextIOBase.write`."""
        for target in self._targets:
            target.write(text)
        return len(text)


def _judged(
    definition: OpDefinition, folders: Folders, ended: Ended, folder: Path | None
) -> RunResult:
    """Read `out/` as the worker does after a container's end, and give its verdict."""
    output, files = Output(), dict[str, Path]()
    if ended.exit_code == protocol.EXIT_OK:
        output, files = _collected(definition, folders, folder)
    verdict = _verdict(definition, folders, ended, output)
    return RunResult(
        outcome=verdict.outcome,
        reason=verdict.reason,
        message=verdict.message,
        outputs=verdict.outputs,
        files=files,
        events=_events(folders),
        logs=ended.logs,
        stderr=ended.stderr,
        exit_code=ended.exit_code,
        duration_ms=round(ended.seconds * 1000),
        evidence=verdict.evidence,
    )


def _collected(
    definition: OpDefinition, folders: Folders, folder: Path | None
) -> tuple[Output, dict[str, Path]]:
    execution = definition.execution
    try:
        found = read_document(folders.outer, definition.output_specs, execution.disk_mb)
    except (Unacceptable, OverDiskLimit) as problem:
        return Output(problem=str(problem)), {}
    files: dict[str, Path] = {}
    if found.files:
        target = folder or Path(tempfile.mkdtemp(prefix="gyoza-out-"))
        for name in found.files:
            files[name] = target / name
            files[name].parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folders.outer / protocol.FILES / name, files[name])
    values = found.values_with(files)
    return Output(values, is_missing=found.values is None), files


def _verdict(definition: OpDefinition, folders: Folders, ended: Ended, output: Output) -> Result:
    now = SystemClock().now()
    state = ContainerState(
        "exited",
        ended.exit_code,
        started_at=now - timedelta(seconds=ended.seconds),
        finished_at=now,
    )
    return classify(
        Evidence(
            finished_at_us=0,
            state=state,
            declares_outputs=bool(definition.output_specs.specs),
            output=output,
            error=read_error(folders.outer),
            log_tail=ended.logs,
        )
    )


def _events(folders: Folders) -> tuple[Event, ...]:
    lines = EventsFile(folders.outer).finish(_ALL).lines
    told = (parse(line) for line in lines)
    return tuple(Event(each.type, each.msg, each.payload) for each in told)
