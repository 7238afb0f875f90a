"""What an op left in `out/` once it is dead: its outputs, its error, its files.

Reads through `hostile_files` only. Storing files is done in `stages.collect_outputs`; what a bad
output means for the run is decided in `outcome`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from gyoza.models import OutputSpecs
from gyoza.models.value_types import known_type
from gyoza.op import protocol
from gyoza.op.errors import pointer
from gyoza.op.file_places import Place, file_places, replaced, value_at
from gyoza.wire import strict_json
from gyoza.worker import hostile_files
from gyoza.worker.execution.outcome import OpError
from gyoza.worker.hostile_files import FoundFile, Missing, Refused, shown_name
from gyoza.worker.nesting import MAX_VALUE_LEVELS, is_too_deep

_INSIDE: Final = f"{protocol.DIR}/{protocol.OUT}/{protocol.FILES}/"
_MIB: Final = 1024 * 1024
_MAX_ERROR_TEXT_CHARS: Final = 2000
_MAX_PAUSE_MS: Final = 24 * 3600 * 1000


class Unacceptable(Exception):
    """The outputs are not taken; the message tells the author why and what to do."""


class OverDiskLimit(Exception):
    """The op has written more than `disk_mb`; the message says how much."""


@dataclass(frozen=True, slots=True)
class Document:
    """A checked `output.json`.

    Attributes:
        values: None when there is no `output.json`.
        files: Every file to store, by path under `out/files/`.
        file_outputs: Steps to each value that is a file, anywhere in the outputs, and its path.
    """

    values: dict[str, Any] | None
    files: dict[str, FoundFile] = field(default_factory=dict[str, FoundFile])
    file_outputs: dict[Place, str] = field(default_factory=dict[Place, str])

    def values_with(self, references: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs with every file replaced by what stands for it.

        Args:
            references: By path under `out/files/`.
        """
        by_place = {place: references[path] for place, path in self.file_outputs.items()}
        return cast("dict[str, Any]", replaced(self.values or {}, by_place))


def read_document(out_folder: Path, specs: OutputSpecs, disk_mb: int) -> Document:
    """Read and check what a successful op returns.

    Raises:
        Unacceptable: With everything that is wrong at the first level of trouble.
        OverDiskLimit: The folder, or what its files claim to hold, is over the limit.
    """
    with hostile_files.opened_folder(out_folder) as folder:
        _check_usage(folder, disk_mb)
        values = _read_values(folder)
        files = _list_files(folder)
    # Sparse files claim sizes that no disk holds; they would be sent in full.
    if sum(file.size_bytes for file in files.values() if not file.refusal) > disk_mb * _MIB:
        raise OverDiskLimit(f"the files under out/files/ are larger than disk_mb {disk_mb}")
    if values is not None:
        _check_values(values, specs)
    return Document(values, files, _file_outputs(values or {}, specs, files))


def read_error(out_folder: Path) -> OpError | None:
    """Read `error.json`; None if there is none that can be read."""
    try:
        with hostile_files.opened_folder(out_folder) as folder:
            content, is_more = hostile_files.read_small_file(
                folder, protocol.ERROR_FILE, protocol.MAX_ERROR_BYTES
            )
        value: Any = None if is_more else strict_json.loads(content)
    except (Refused, strict_json.StrictJsonError):
        return None
    return _op_error(cast("dict[str, Any]", value)) if isinstance(value, dict) else None


def file_path(value: Any) -> str:
    """The path under `out/files/` that a file output names.

    Raises:
        Unacceptable: It is no path, or leads elsewhere.
    """
    if not isinstance(value, str):
        shown = strict_json.dumps_text(value)[:80]
        raise Unacceptable(f"got {shown}, expected the path of a file under out/files/")
    path = value.removeprefix(_INSIDE).removeprefix("./")
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        raise Unacceptable(
            f"{value[:200]!r} is not a path under out/files/; "
            f"write it relative to that folder, or beginning with {protocol.FILES}/ or {_INSIDE}"
        )
    return path


def shown_part(payload: dict[str, Any], specs: OutputSpecs) -> dict[str, Any]:
    """What an event may tell of a partial output: no files, which are stored at the end only.

    Args:
        payload: With the output's `name`, and its `value` or, of a list, one item of it.
        specs: As declared.
    """
    name = payload.get("name")
    if not isinstance(name, str) or name not in specs.specs or "value" not in payload:
        return payload
    try:
        has_files = any(_file_places({name: each}, specs) for each in _readings(payload["value"]))
    except Unacceptable:
        has_files = True
    if not has_files:
        return payload
    rest = {key: each for key, each in payload.items() if key != "value"}
    return {**rest, "left_out": "it has files, which are stored when the op has ended"}


def _readings(value: Any) -> tuple[Any, list[Any]]:
    return value, [value]


def _check_usage(folder: int, disk_mb: int) -> None:
    used, problem = hostile_files.disk_usage(folder)
    if problem or used > disk_mb * _MIB:
        raise OverDiskLimit(over_limit_message(used, problem, disk_mb))


def over_limit_message(used_bytes: int, problem: str, disk_mb: int) -> str:
    """How a run is told that its op wrote too much."""
    what = problem or f"{used_bytes // _MIB} MB"
    return f"the op left {what} in out/, at most {disk_mb} MB are allowed; raise execution.disk_mb"


def _read_values(folder: int) -> dict[str, Any] | None:
    cap = protocol.MAX_OUTPUT_BYTES
    try:
        content, is_more = hostile_files.read_small_file(folder, protocol.OUTPUT_FILE, cap)
    except Missing:
        return None
    except Refused as refusal:
        raise Unacceptable(str(refusal)) from None
    if is_more:
        raise Unacceptable(
            f"{protocol.OUTPUT_FILE} is larger than {cap} bytes; put large data into a file under "
            "out/files/ and declare that output with type file"
        )
    try:
        value: Any = strict_json.loads(content)
    except strict_json.StrictJsonError as error:
        at = f" at {error.pointer}" if error.pointer else ""
        raise Unacceptable(f"{protocol.OUTPUT_FILE}: {error}{at}") from None
    if not isinstance(value, dict):
        raise Unacceptable(f"{protocol.OUTPUT_FILE}: expected one JSON object of outputs")
    if is_too_deep(value):
        raise Unacceptable(f"{protocol.OUTPUT_FILE}: nested deeper than {MAX_VALUE_LEVELS} levels")
    return cast("dict[str, Any]", value)


def _check_values(values: dict[str, Any], specs: OutputSpecs) -> None:
    problems = specs.check(values)
    if problems:
        raise Unacceptable("; ".join(f"{pointer}: {text}" for pointer, text in problems))


def _list_files(folder: int) -> dict[str, FoundFile]:
    try:
        files = hostile_files.open_subfolder(folder, protocol.FILES)
    except Missing:
        return {}
    except Refused as refusal:
        raise Unacceptable(f"out/files/: {refusal}") from None
    with hostile_files.closing(files):
        try:
            found = hostile_files.walk_files(
                files, max_files=protocol.MAX_FILES, max_levels=protocol.MAX_FILE_LEVELS
            )
        except Refused as refusal:
            raise Unacceptable(f"out/files/: {refusal}") from None
    return {file.path: file for file in found}


def _file_outputs(
    values: dict[str, Any], specs: OutputSpecs, files: dict[str, FoundFile]
) -> dict[Place, str]:
    found: dict[Place, str] = {}
    problems: list[str] = []
    for place in _file_places(values, specs):
        try:
            found[place] = _existing_path(value_at(values, place), files)
            _check_level(place)
        except Unacceptable as problem:
            problems.append(f"{pointer(place)}: {problem}")
    if problems:
        raise Unacceptable("; ".join(problems))
    return found


def _check_level(place: Place) -> None:
    levels = MAX_VALUE_LEVELS - 2  # what stands for a file is two levels more
    if len(place) > levels:
        raise Unacceptable(f"a file is nested deeper than {levels} levels")


def _file_places(values: dict[str, Any], specs: OutputSpecs) -> list[Place]:
    """Where outputs are files, by what is declared; a text that looks like a path is none."""
    found: list[Place] = []
    for name, spec in specs.specs.items():
        if name in values and known_type(spec.type) == "file":
            found.append((name,))
        elif name in values and spec.schema:
            try:
                found += [(name, *place) for place in file_places(spec.schema, values[name])]
            except RecursionError:
                message = f"{name}: its schema is nested too deep to look for files in it"
                raise Unacceptable(message) from None
    return found


def _existing_path(value: Any, files: dict[str, FoundFile]) -> str:
    path = file_path(value)
    # Seen from `out/` the same file is `files/x`; both are what authors write.
    if path not in files and path.startswith(f"{protocol.FILES}/"):
        path = path.removeprefix(f"{protocol.FILES}/")
    file = files.get(path)
    if file is None:
        raise Unacceptable(f"there is no file out/files/{shown_name(path)}")
    if file.refusal:
        raise Unacceptable(
            f"out/files/{shown_name(path)} {file.refusal}; only plain files are taken"
        )
    return path


def _op_error(value: dict[str, Any]) -> OpError:
    retryable, details = value.get("retryable"), value.get("details")
    return OpError(
        type=_text(value.get("type")),
        message=_text(value.get("message")),
        retryable=retryable if isinstance(retryable, bool) else None,
        details=None if is_too_deep(details) else details,
        retry_after_ms=_pause(value.get("retry_after_ms")),
    )


def _pause(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return min(value, _MAX_PAUSE_MS)
    return None


def _text(value: Any) -> str:
    return value[:_MAX_ERROR_TEXT_CHARS] if isinstance(value, str) else ""
