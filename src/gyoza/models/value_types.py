"""The type names of input and output specs, and which JSON values each of them takes.

``type`` is what people read and a first check; the ``schema`` of a spec is checked by the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from gyoza.models.json_values import is_number, is_whole, nearest, shown

ARTIFACT_KEY = "$artifact"
"""The one key of a value that stands for a stored file."""

_SYNONYMS = {
    "string": ("string", "str", "text"),
    "integer": ("integer", "int"),
    "float": ("float", "number", "double"),
    "boolean": ("boolean", "bool"),
    "object": ("object", "dict", "json"),
    "array": ("array", "list"),
    "file": ("file", "image", "audio", "video"),
    "any": ("any",),
}
_KNOWN = {word: name for name, words in _SYNONYMS.items() for word in words}


def known_type(name: str) -> str | None:
    """Return the canonical name (``integer`` for ``Int``), or None for an opaque type."""
    return _KNOWN.get(name.strip().lower())


def mismatch(type_name: str, value: object) -> str | None:
    """Say what is wrong with a value of the type, or None when nothing is.

    Null is none of any type's values but of ``any``. Opaque types take every other value.
    """
    known = known_type(type_name)
    if known == "any":
        return None
    if value is None:
        return f"got null, expected {_DESCRIPTIONS[known] if known else type_name}"
    if known is None or _CHECKS[known](value):
        return None
    return f"got {shown(value)}, expected {_DESCRIPTIONS[known]}"


def undeclared(name: str, declared: Iterable[str]) -> str:
    """Say that nobody declared the name, and which was probably meant."""
    names = list(declared)
    guess = nearest(name, names)
    hint = f"did you mean {guess}?" if guess else f"expected only {', '.join(names)}"
    return f"not declared; {hint}"


def _is_file(value: object) -> bool:
    if isinstance(value, dict):
        return isinstance(cast("dict[Any, Any]", value).get(ARTIFACT_KEY), dict)
    return isinstance(value, str)


_CHECKS: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": is_whole,
    "float": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, (list, tuple)),
    "file": _is_file,
}

_DESCRIPTIONS = {
    "string": "a string",
    "integer": "a whole number",
    "float": "a finite number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "file": f'a file (a URL or path, or {{"{ARTIFACT_KEY}": {{...}}}})',
}
