"""JSON Schemas of specs: whether one is usable, and what is wrong with a value under it.

Draft 2020-12 only, and a schema stands alone: a reference that leads out of it is refused, so that
nobody makes the server fetch an address. Every fault is reported, each with its JSON pointer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from gyoza.server.use_cases.schema_patterns import LinearValidator, pattern_faults
from gyoza.wire.messages import Fault, JsonObject
from gyoza.wire.strict_json import pointer_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES: Final = ("$ref", "$dynamicRef")
_SHOWN_CHARS: Final = 300
_NOTHING_ELSE: Final = cast("Any", Registry())  # pyright: ignore[reportUnknownArgumentType]


def schema_faults(schema: JsonObject, at: str) -> list[Fault]:
    """Return everything that makes a schema unusable.

    Args:
        schema: What the author wrote.
        at: JSON pointer to it in its document.
    """
    dialect = schema.get("$schema", DIALECT)
    if dialect != DIALECT:
        return [Fault(pointer=f"{at}/$schema", message=f"is {dialect!r}, expected {DIALECT}")]
    try:
        Draft202012Validator.check_schema(
            schema, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
    except SchemaError as error:
        return [_fault(error, at)]
    return [
        Fault(pointer=at + pointer, message=message)
        for pointer, message in (*_reference_faults(schema), *pattern_faults(schema))
    ]


def value_faults(schema: JsonObject, value: Any, at: str) -> list[Fault]:
    """Return everything that is wrong with a value under a schema that `schema_faults` passed.

    Args:
        schema: A usable schema.
        value: Any JSON value.
        at: JSON pointer to the value in its document.
    """
    validator = LinearValidator(schema, registry=_NOTHING_ELSE)
    try:
        errors: list[ValidationError] = list(validator.iter_errors(value))
    except RecursionError:
        return [Fault(pointer=at, message="its schema refers to itself without end")]
    return [_fault(error, at) for error in errors]


def _fault(error: ValidationError | SchemaError, at: str) -> Fault:
    message = error.message
    if len(message) > _SHOWN_CHARS:
        message = f"{message[:_SHOWN_CHARS]}... (violates {error.validator})"
    return Fault(pointer=at + pointer_of(*error.absolute_path), message=message)


def _reference_faults(schema: JsonObject) -> Iterator[tuple[str, str]]:
    resource: Any = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver: Any = _NOTHING_ELSE.resolver_with_root(resource)
    for pointer, reference in _references(schema, ""):
        if not isinstance(reference, str) or not reference.startswith("#"):
            yield pointer, f"refers to {reference!r}, outside of the schema; only #... is followed"
            continue
        try:
            resolver.lookup(reference)
        except Unresolvable:
            yield pointer, f"refers to {reference!r}, which the schema does not have"


def _references(part: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        for key, value in cast("JsonObject", part).items():
            if key in _REFERENCES:
                yield at + pointer_of(key), value
            yield from _references(value, at + pointer_of(key))
    elif isinstance(part, list):
        for index, value in enumerate(cast("list[Any]", part)):
            yield from _references(value, f"{at}/{index}")
