"""From `-i name=value` and `--input-file` to the inputs of a run.

How a word is read depends on what the op declares: text stays text, everything else is JSON.
Whether the values are right is the server's business; it answers with every fault at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.input_files import Upload, is_url, stored, takes_many_files, with_files
from gyoza.models.value_types import known_type
from gyoza.wire import strict_json

if TYPE_CHECKING:
    from gyoza.client import GyozaClient
    from gyoza.models import InputSpec

_STDIN: Final = "-"


def parse_inputs(
    pairs: Sequence[str],
    file: Path | None,
    specs: Mapping[str, InputSpec],
    *,
    stdin: TextIO,
    upload: Upload,
) -> dict[str, Any]:
    """Return the inputs.

    Args:
        pairs: `name=value`; `name=@path` reads a file, `name=@-` standard input, `name=@@x` is the
            text `@x`; a file input also takes `name=@https://...`, which is fetched here, and so
            does each file within a list or object. For a list of files `name=@path` adds one.
        file: JSON object of inputs; pairs go over it.
        specs: What the op declares of each input.
        stdin: For `@-`.
        upload: Stores a file, by its path or URL, and gives the value that stands for it.

    Raises:
        CliError: A pair without `=`, a file that is not to be read, JSON that is none.
    """
    inputs = {} if file is None else _read_object(file, stdin)
    lists: dict[str, list[Any]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CliError(f"-i {pair!r} is not of the form name=value")
        spec = specs.get(name)
        if _is_one_of_many(value, spec):
            lists.setdefault(name, []).append(stored(value[1:], upload))
            inputs[name] = lists[name]
        else:
            lists.pop(name, None)
            inputs[name] = _value(name, value, spec, stdin, upload)
    return inputs


def uploader(client: GyozaClient) -> Upload:
    """Return what stores a file on the server and gives its `{"$artifact": ...}`."""
    return lambda source: client.upload(source).value


def _is_one_of_many(text: str, spec: InputSpec | None) -> bool:
    is_marked = text.startswith("@") and not text.startswith("@@") and text != f"@{_STDIN}"
    return is_marked and takes_many_files(spec)


def _value(name: str, text: str, spec: InputSpec | None, stdin: TextIO, upload: Upload) -> Any:
    declared = None if spec is None else spec.type
    known = known_type(declared) if declared else None
    if text.startswith("@@"):
        return _read_as(name, text[1:], known)
    if text.startswith("@"):
        source = text[1:]
        if is_url(source):
            return upload(_checked_url(name, source, declared, known))
        if known == "file" and source != _STDIN:
            return upload(Path(source))
        return _read_as(name, _read(source, stdin), known)
    return with_files(name, _read_as(name, text, known), spec, upload)


def _read_as(name: str, text: str, known: str | None) -> Any:
    if known in {"string", "file"} and not _is_artifact(text, known):
        return text
    return _json_or_text(name, text, known)


def _checked_url(name: str, source: str, declared: str | None, known: str | None) -> str:
    # An input that nobody declared, such as an image's, may be a file.
    if declared is None or known in {"file", "any"}:
        return source
    raise CliError(
        f"-i {name}: {source} would be a file, and {name} is declared as {declared}",
        ExitCode.INVALID,
        hint=f"leave out the @ to pass the address itself: -i {name}={source}",
    )


def _is_artifact(text: str, known: str) -> bool:
    return known == "file" and text.lstrip().startswith("{")


def _json_or_text(name: str, text: str, known: str | None) -> Any:
    try:
        return strict_json.loads(text)
    except strict_json.StrictJsonError as error:
        if known in {"object", "array"}:
            raise CliError(f"-i {name}: {error}", ExitCode.INVALID) from error
        return text


def _read_object(file: Path, stdin: TextIO) -> dict[str, Any]:
    try:
        value = strict_json.loads(_read(str(file), stdin))
    except strict_json.StrictJsonError as error:
        raise CliError(f"{_named(file)}: {error}", ExitCode.INVALID) from error
    if not isinstance(value, dict):
        raise CliError(f"{_named(file)}: expected a JSON object of inputs", ExitCode.INVALID)
    return cast("dict[str, Any]", value)


def _named(file: Path) -> str:
    return "standard input" if str(file) == _STDIN else str(file)


def _read(source: str, stdin: TextIO) -> str:
    if source == _STDIN:
        return stdin.read()
    try:
        return Path(source).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CliError(
            f"{source} is not UTF-8 text",
            ExitCode.INVALID,
            hint="declare the input with type file to pass bytes",
        ) from error
