"""Runs one attempt of an op by protocol v1: `in/` is read, the op called, `out/` written.

Nothing here knows workers or servers; the exit code and the files are all that they see.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, cast

from gyoza.op import protocol
from gyoza.op.calling import bound, call
from gyoza.op.cancellation import Cancellation
from gyoza.op.context import Context, read_context
from gyoza.op.current import Current, emit_output, working_for
from gyoza.op.emitter import Emitter
from gyoza.op.encode import encode
from gyoza.op.errors import BadInput, OutputError, shown
from gyoza.op.failures import describe
from gyoza.op.json_text import to_json
from gyoza.op.loading import load
from gyoza.op.output_files import OutputFiles
from gyoza.op.spec import OpSpec, derive

_LEVELS: Final = 50
"""How deep outputs may be nested; the worker takes 56 levels inside of its own messages."""


@dataclass(frozen=True)
class Folders:
    """Where an attempt reads and writes.

    Attributes:
        inner: `in/`.
        outer: `out/`.
    """

    inner: Path
    outer: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Folders:
        """As `GYOZA_DIR` says, else where containers have them."""
        root = Path(environment.get(protocol.ENV_DIR) or protocol.DIR)
        return cls(root / protocol.IN, root / protocol.OUT)

    def locate(self, path: str) -> Path:
        """Find an input file; relative paths start at `in/`.

        Raises:
            ValueError: There is no file there.
        """
        # The worker names files as a container sees them, wherever the folders really are.
        inside = f"{protocol.DIR}/{protocol.IN}/"
        found = self.inner / path.removeprefix(inside)
        if "://" in path:
            raise ValueError(f"got the URL {shown(path)}, expected a file that was brought here")
        if not found.is_file():
            raise ValueError(f"there is no file {shown(path)}")
        return found


def run_attempt(target: str, folders: Folders) -> int:
    """Run an op once, in the main thread, and return the exit code.

    Args:
        target: As `loading.load` takes it.
        folders: Of the attempt.
    """
    cancellation = Cancellation(folders.inner)
    cancellation.listen()
    emitter: Emitter | None = None
    try:
        folders.outer.mkdir(parents=True, exist_ok=True)
        emitter = Emitter(folders.outer / protocol.EVENTS_FILE)
        context = read_context(folders.inner, cancellation)
        with working_for(Current(context, emitter, is_real=True)):
            _write(folders.outer / protocol.OUTPUT_FILE, _outputs(target, folders, context))
    except BaseException as error:  # noqa: BLE001 - every end has its exit code and its words
        cancellation.end()
        return _failed(error, folders)
    finally:
        cancellation.end()
        if emitter is not None:
            emitter.close()
    return protocol.EXIT_OK


def read_inputs(folder: Path) -> dict[str, Any]:
    """Read `input.json`.

    Args:
        folder: The `in/` folder.

    Raises:
        BadInput: It is missing, or no JSON object.
    """
    path = folder / protocol.INPUT_FILE
    try:
        value: Any = json.loads(path.read_text("utf-8"), parse_constant=_no_constant)
    except OSError as error:
        hint = f"{protocol.ENV_DIR} names the folder that holds in/ and out/"
        raise BadInput(f"{path} cannot be read ({error.strerror}); {hint}") from None
    except ValueError as error:
        raise BadInput(f"{path} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadInput(f"{path}: expected one JSON object of inputs, got {shown(value)}")
    return cast("dict[str, Any]", value)


def _outputs(target: str, folders: Folders, context: Context) -> bytes:
    spec = derive(load(target))
    _show_logs()
    # Inputs first: whoever gave wrong ones should not wait for a model to load.
    positional, named = spec.arguments(read_inputs(folders.inner), context, folders.locate)
    keep = OutputFiles(folders.outer).keep
    parts: list[Any] = []
    result = call(
        bound(spec, context),
        positional,
        named,
        streams=spec.result.streams,
        on_part=_part_taker(spec, parts, keep),
        cancellation=context.cancellation,
    )
    if spec.result.is_collected:
        return document({"result": parts})
    return document(spec.result.encode(result, keep))


def _part_taker(spec: OpSpec, parts: list[Any], keep: Any) -> Callable[[Any], None]:
    shape = spec.result.part

    def take(value: Any) -> None:
        if shape is not None:
            part = encode(shape, value, ("result", len(parts)), keep)
            parts.append(part)
            emit_output(len(parts), part)

    return take


def document(outputs: dict[str, Any]) -> bytes:
    """Return outputs as the bytes of `output.json`.

    Raises:
        OutputError: They are too large or too deep for the worker.
    """
    if _is_deeper(outputs, _LEVELS):
        raise OutputError(f"the outputs are nested deeper than {_LEVELS} levels; write a file")
    text = to_json(outputs)
    if len(text) > protocol.MAX_OUTPUT_BYTES:
        name = max(outputs, key=lambda each: len(to_json(outputs[each])))
        raise OutputError(
            f"the outputs are {len(text)} bytes, at most {protocol.MAX_OUTPUT_BYTES} are taken; "
            f"write {name}, the largest, to a file and return it as File"
        )
    return text


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        inner: list[Any] = list(cast("dict[str, Any]", value).values())
    else:
        inner = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(inner) and (levels == 0 or any(_is_deeper(each, levels - 1) for each in inner))


def _failed(error: BaseException, folders: Folders) -> int:
    failure = describe(error)
    if failure.exit_code == protocol.EXIT_OK:
        return failure.exit_code
    said = failure.traceback or f"{failure.document['type']}: {failure.document['message']}"
    sys.stderr.write(said.rstrip("\n") + "\n")
    try:
        _write(folders.outer / protocol.ERROR_FILE, to_json(failure.document))
    except OSError as fault:
        sys.stderr.write(f"gyoza: {protocol.ERROR_FILE} could not be written: {fault}\n")
    return failure.exit_code


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _show_logs() -> None:
    # After the author's module: whoever configures logging there keeps their own.
    if not logging.getLogger().handlers:
        line = "%(asctime)s %(levelname)s %(message)s"
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=line)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
