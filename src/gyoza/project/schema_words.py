"""Specs and their JSON Schemas in a few words, for people who look at a difference."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias, cast

from gyoza.models import InputSpec, OutputSpec
from gyoza.models.value_types import known_type

Schema: TypeAlias = "dict[str, Any]"

_DEEPEST: Final = 4
_SILENT: Final = {
    *("$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples"),
    *("type", "enum", "const", "anyOf", "oneOf", "properties", "required", "items", "$ref"),
    "additionalProperties",
}
_LENGTHS: Final = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "items"),
    ("minProperties", "maxProperties", "members"),
)


def input_words(spec: InputSpec) -> str:
    """Return an input in words: `integer from 1 to 9, default 3`."""
    words = [_spec_words(spec)]
    if spec.default is not None:
        words.append(f"default {_json(spec.default)}")
    if not spec.required and spec.default is None:
        words.append("optional")
    if spec.required and spec.default is not None:
        words.append("required")
    return ", ".join(words)


def output_words(spec: OutputSpec) -> str:
    """Return an output in words: `list of string, at most 9 items`."""
    return _spec_words(spec)


def schema_words(schema: object, depth: int = 0) -> str:
    """Return a schema in words; what lies deep inside is only hinted at."""
    if not isinstance(schema, dict):
        return "nothing" if schema is False else "any"
    part = cast("Schema", schema)
    kind = _kind_words(part, depth)
    return ", ".join([kind, *_limits(part)]) if _limits(part) else kind


def _spec_words(spec: InputSpec | OutputSpec) -> str:
    known = known_type(spec.type)
    # The type name says more than its schema where it is none of JSON's: file, Tile.
    if spec.schema is None or known == "file":
        return spec.type
    words = schema_words({"type": known or "any", **spec.schema})
    return words if known else f"{spec.type} ({words})"


def _kind_words(part: Schema, depth: int) -> str:
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2] or "the same"
    if "const" in part:
        return _json(part["const"])
    if "enum" in part:
        return " | ".join(_json(value) for value in part["enum"])
    options: list[Any] = part.get("anyOf") or part.get("oneOf") or []
    if options:
        return " or ".join(schema_words(each, depth + 1) for each in options)
    named: Any = part.get("type", "any")
    kinds = [named] if isinstance(named, str) else list(named)
    return " or ".join(_of_kind(kind, part, depth) for kind in kinds)


def _of_kind(kind: str, part: Schema, depth: int) -> str:
    if kind == "array" and part.get("items") is not None and depth < _DEEPEST:
        return f"list of {schema_words(part['items'], depth + 1)}"
    if kind == "object" and part.get("properties") and depth < _DEEPEST:
        required = part.get("required", [])
        members = [
            f"{name}{'' if name in required else '?'}: {schema_words(each, depth + 1)}"
            for name, each in part["properties"].items()
        ]
        return f"object {{{', '.join(members)}}}"
    return kind


def _limits(part: Schema) -> list[str]:
    found = [*_numbers(part)]
    for least, most, unit in _LENGTHS:
        low, high = part.get(least), part.get(most)
        if low is not None or high is not None:
            found.append(f"{_range(low, high)} {unit}")
    known = {name for low, high, _ in _LENGTHS for name in (low, high)} | _SILENT | set(_NUMBERS)
    found += [f"{name} {_json(part[name])}" for name in part if name not in known]
    return found


_NUMBERS: Final = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}


def _numbers(part: Schema) -> list[str]:
    return [f"{words} {_json(part[name])}" for name, words in _NUMBERS.items() if name in part]


def _range(low: object, high: object) -> str:
    if low == high:
        return str(low)
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
