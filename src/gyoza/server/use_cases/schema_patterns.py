"""Regular expressions of JSON Schemas, matched in time linear in the text.

Python's `re` backtracks: `^(a+)+$` against thirty letters takes minutes, in the one thread that
writes the database. RE2 never does, at the price of look-around and back-references, which are
refused when the schema is registered. The keywords here replace those of jsonschema that match.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, cast

import re2  # pyright: ignore[reportMissingTypeStubs]  it has none
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from gyoza.wire.messages import JsonObject
from gyoza.wire.strict_json import pointer_of

_DATA: Final = ("const", "default", "enum", "examples")
_WHY: Final = "look-around and back-references are not supported, because they can take for ever"
_SCHEMA_MAPS: Final = ("$defs", "dependentSchemas", "patternProperties", "properties")


def pattern_faults(schema: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield pointer and message of every expression that cannot be matched in linear time."""
    used = {key: at for at, key, _ in _keywords(schema, "")}
    if {"patternProperties", "unevaluatedProperties"} <= used.keys():
        # The library itself matches there, by backtracking.
        yield used["unevaluatedProperties"], "cannot be used in a schema with patternProperties"
    for pointer, pattern in _patterns(schema):
        reason = _refusal(pattern)
        if reason:
            yield pointer, f"{pattern!r} is no expression in RE2 syntax ({reason}); {_WHY}"


def _refusal(pattern: str) -> str:
    library: Any = re2
    try:
        _compiled(pattern)
    except library.error as error:
        reason = error.args[0]
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return ""


def _pattern(_: Any, pattern: str, instance: Any, __: JsonObject) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: JsonObject, instance: Any, _: JsonObject
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, schema in patterns.items():
            for name, value in cast("JsonObject", instance).items():
                if _matches(pattern, name):
                    yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, rule: Any, instance: Any, schema: JsonObject
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    members = cast("JsonObject", instance)
    extra = [name for name in members if not _is_declared(name, schema)]
    if isinstance(rule, dict):
        for name in extra:
            yield from validator.descend(members[name], rule, path=name)
    elif extra and rule is False:
        names = ", ".join(map(repr, extra))
        verb = "was" if len(extra) == 1 else "were"
        yield ValidationError(f"Additional properties are not allowed ({names} {verb} unexpected)")


def _is_declared(name: str, schema: JsonObject) -> bool:
    return name in schema.get("properties", {}) or any(
        _matches(pattern, name) for pattern in schema.get("patternProperties", {})
    )


_library: Any = validators  # its stubs leave these types open
LinearValidator: Final[Any] = _library.extend(
    Draft202012Validator,
    {
        "additionalProperties": _additional_properties,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
    },
)
"""Draft 2020-12; every expression has passed `pattern_faults` before."""


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    library: Any = re2
    return library.compile(pattern, options=options)


def _patterns(schema: JsonObject) -> Iterator[tuple[str, str]]:
    for at, key, value in _keywords(schema, ""):
        if key == "pattern" and isinstance(value, str):
            yield at, value
        elif key == "patternProperties" and isinstance(value, dict):
            names = cast("JsonObject", value)
            yield from ((at + pointer_of(name), name) for name in names)


def _keywords(part: Any, at: str) -> Iterator[tuple[str, str, Any]]:
    """Every keyword of a schema and of those inside; data that looks like a schema is none."""
    if isinstance(part, list):
        for index, item in enumerate(cast("list[Any]", part)):
            yield from _keywords(item, f"{at}/{index}")
    elif isinstance(part, dict):
        for key, value in cast("JsonObject", part).items():
            here = at + pointer_of(key)
            yield here, key, value
            for place, schema in _schemas_in(key, value, here):
                yield from _keywords(schema, place)


def _schemas_in(key: str, value: Any, at: str) -> list[tuple[str, Any]]:
    if key in _DATA:
        return []
    if key in _SCHEMA_MAPS and isinstance(value, dict):
        named = cast("JsonObject", value)
        return [(at + pointer_of(name), schema) for name, schema in named.items()]
    return [(at, value)]
