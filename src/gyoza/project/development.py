"""Versions of an op while it is being written: their names, and why one cannot be made. Pure.

A version is immutable, so each change is another one. Its name is made of its content: the same
content again is the same version, which registering makes the current one again.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from gyoza.models import OpDefinition

MARK: Final = "-dev."
_DIGEST_CHARS: Final = 10
_TIMES: Final = ("createdAt", "updatedAt")
_PLACE: Final = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')
# The last line of a traceback: `module.Name: words`, or a name alone.
_VERDICT: Final = re.compile(r"^[A-Za-z_][\w.]*(: .*)?$")
# Vim, Emacs, JetBrains, kate and whoever saves into a file beside and renames it.
_EDITORS: Final = re.compile(
    r".*~|\.#.*|#.*#|\..*\.sw[a-z]|4913|.*___jb_(tmp|old)___|\..*\.kate-swp"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a save makes no version.

    Attributes:
        message: What is wrong, after its place where that is known: `hello.py:7: SyntaxError: ...`.
        lines: What was said about it.
    """

    message: str
    lines: tuple[str, ...] = ()


def development_version(definition: OpDefinition, sources: str) -> str:
    """Return the version of a definition in development.

    Args:
        definition: Under the version that it will have one day, such as 0.1.0.
        sources: Digest of the files that it is run with.

    Returns:
        Such as `0.1.0-dev.3f2a9c1b07`.
    """
    said = {name: value for name, value in definition.to_dict().items() if name not in _TIMES}
    text = json.dumps([said, sources], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{definition.version}{MARK}{digest}"


def is_development(version: str) -> bool:
    """Return whether a version was made by the edit loop."""
    return re.search(rf"{re.escape(MARK)}[0-9a-f]{{{_DIGEST_CHARS}}}$", version) is not None


def is_editors_own(name: str) -> bool:
    """Return whether a file is what an editor puts beside the one that it is writing."""
    return _EDITORS.fullmatch(PurePosixPath(name).name) is not None


def fault_in_image(tail: Sequence[str], folder: str) -> Fault | None:
    """Return what the code in an image said that could not be imported.

    Args:
        tail: Lines that Python printed.
        folder: Where the image has the sources; places are named from there.

    Returns:
        None when the lines are no traceback that leads there.
    """
    verdict = next((line for line in reversed(tail) if _VERDICT.match(line)), None)
    places = [place for line in tail if (place := _PLACE.match(line)) is not None]
    own = [place for place in places if PurePosixPath(place["file"]).is_relative_to(folder)]
    if verdict is None or not own:
        return None
    name = PurePosixPath(own[-1]["file"]).relative_to(folder)
    at = tail.index(own[-1].string)
    shown = [line for line in tail[at + 1 :] if line != verdict and not _PLACE.match(line)]
    return Fault(f"{name}:{own[-1]['line']}: {verdict}", tuple(shown[:2]))


def syntax_fault(sources: Mapping[str, Path]) -> Fault | None:
    """Return the first file that this interpreter cannot parse; None when it can parse all.

    Only for telling why nothing was found in them: an image's Python may be a newer one.
    """
    for name, path in _python(sources):
        try:
            ast.parse(path.read_bytes())
        except SyntaxError as error:
            shown = (error.text or "").rstrip("\n")
            return Fault(f"{name}:{error.lineno}: SyntaxError: {error.msg}", (shown,))
        except (OSError, ValueError) as error:
            return Fault(f"{name}: {error}")
    return None


def _python(sources: Mapping[str, Path]) -> Iterable[tuple[str, Path]]:
    return ((name, path) for name, path in sources.items() if name.endswith(".py"))
