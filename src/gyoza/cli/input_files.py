"""Files among the inputs somebody typed: `@path` where the op declares a file, at any depth.

Where a file is declared, the op's schema says; nothing else that begins with `@` is touched. Only
what was typed is looked at, never what came out of a file or standard input: nobody else's JSON
makes this machine send its files away.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.models.value_types import known_type
from gyoza.op.file_places import Place, file_places, replaced, value_at
from gyoza.op.files import FORMAT

if TYPE_CHECKING:
    from gyoza.models import InputSpec

Upload = Callable[[Path | str], dict[str, Any]]
MARK: Final = "@"
_ESCAPED: Final = "@@"


def is_url(source: str) -> bool:
    """Whether a word is an address to fetch from, and no path."""
    return source.lower().startswith(("http://", "https://"))


def takes_many_files(spec: InputSpec | None) -> bool:
    """Whether an input is a list of files."""
    if spec is None or known_type(spec.type) != "array":
        return False
    return (0,) in file_places(spec.schema, [""])


def stored(source: str, upload: Upload) -> dict[str, Any]:
    """Store the file at a path or an address, and return the value that stands for it."""
    return upload(source if is_url(source) else Path(source))


def with_files(name: str, value: Any, spec: InputSpec | None, upload: Upload) -> Any:
    """Return a typed value with every `@path` that is a file replaced by what stands for it.

    Args:
        name: Of the input.
        value: As it was typed: text, or the JSON that it was read as.
        spec: What the op declares; None when it declares nothing.
        upload: Stores a file.

    Raises:
        CliError: Where a file is declared stands the name of one, without the `@`.
        OSError: A file cannot be read.
    """
    others: dict[Place, Any] = {}
    for place in file_places(_schema(spec), value):
        text = value_at(value, place)
        if not isinstance(text, str):
            continue
        if text.startswith(_ESCAPED):
            others[place] = text[1:]
        elif text.startswith(MARK):
            others[place] = stored(text[1:], upload)
        else:
            _refuse_forgotten_mark(name, place, text)
    return replaced(value, others) if others else value


def _schema(spec: InputSpec | None) -> dict[str, Any] | None:
    if spec is None:
        return None
    # A `gyoza.yml` says file by the type alone.
    return {"format": FORMAT} if known_type(spec.type) == "file" else spec.schema


def _refuse_forgotten_mark(name: str, place: Place, text: str) -> None:
    if not text or is_url(text) or not _is_file(text):
        return
    steps = "".join(f"/{step}" for step in place)
    typed = f'"@{text}"' if place else f"-i {name}=@{text}"
    raise CliError(
        f"-i {name}: {name}{steps} takes a file, and {text!r} is only the name of one",
        ExitCode.INVALID,
        hint=f"write {typed} to pass the file {text}",
    )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False
