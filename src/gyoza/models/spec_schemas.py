"""Input and output specs as one JSON Schema each: what a caller may send, what an op gives back.

Pure values, draft 2020-12. The parts are those by which the server checks: a spec's type name and
its own schema, both of which a value has to keep. Whether a schema is usable, and what is wrong
with a value under it, is the server's business.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, TypeAlias, cast

from gyoza.models.json_values import copy_json, pointer
from gyoza.models.op_definition import InputSpec, InputSpecs, OutputSpec, OutputSpecs
from gyoza.models.value_types import ARTIFACT_KEY, known_type

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema: TypeAlias = "dict[str, Any]"

_FILE: Final[Schema] = {
    "type": ["string", "object"],
    "properties": {ARTIFACT_KEY: {"type": "object"}},
    "required": [ARTIFACT_KEY],
}
_BY_TYPE: Final[dict[str, Schema]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "array": {"type": "array"},
    "file": _FILE,
    "any": {},
}
# A type nobody knows takes every value but null.
_OPAQUE: Final[Schema] = {"type": ["string", "number", "boolean", "object", "array"]}
_DATA: Final = {"const", "enum", "default", "examples"}
# Words whose members are named by the author and mean nothing by themselves.
_NAMED: Final = {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
# Words that make a part of a schema a document of its own, or that name places in one.
_OWN_DOCUMENT: Final = {"$id", "$anchor", "$dynamicAnchor", "$dynamicRef"}


def inputs_schema(specs: InputSpecs) -> Schema:
    """Return the schema of the inputs as one object; without specs it takes every object."""
    parts = {name: _input(name, spec) for name, spec in specs.specs.items()}
    return _object(parts, [name for name, spec in specs.specs.items() if spec.required])


def outputs_schema(specs: OutputSpecs) -> Schema:
    """Return the schema of the outputs as one object; without specs it takes every object."""
    parts = {
        name: _described(spec, _placed(type_schema(spec), ("properties", name)))
        for name, spec in specs.specs.items()
    }
    return _object(parts, list(parts))


def takes_null(spec: InputSpec) -> bool:
    """Whether null may stand for the absent input."""
    is_any = known_type(spec.type) == "any"
    return not spec.required and (spec.default is None or is_any)


def type_schema(spec: InputSpec | OutputSpec) -> Schema:
    """Return what a present value has to keep: the type's own schema together with the author's.

    References in the author's part still begin at that part.
    """
    known = known_type(spec.type)
    by_type = copy_json(_BY_TYPE[known] if known else _OPAQUE)
    if spec.schema is None:
        return by_type
    own = copy_json(spec.schema)
    own.pop("$schema", None)
    if all(own.get(name, value) == value for name, value in by_type.items()):
        return {**by_type, **own}
    # An author's `type` that is narrower says all that the type name says.
    if by_type.keys() == {"type"} and _types(own) and _types(own) <= _types(by_type):
        return own
    return {"allOf": [by_type, _placed(own, ("allOf", "1"))]}


def _types(schema: Schema) -> set[str]:
    named: object = schema.get("type", [])
    return set(cast("list[str]", named) if isinstance(named, list) else [str(named)])


def _input(name: str, spec: InputSpec) -> Schema:
    at = ("properties", name)
    if not takes_null(spec):
        part = _placed(type_schema(spec), at)
    else:
        part = _or_null(type_schema(spec), at)
    described = _described(spec, part)
    if spec.default is not None:
        described["default"] = copy_json(spec.default)
    return described


def _or_null(schema: Schema, at: tuple[str, ...]) -> Schema:
    if not schema:
        return {}
    if schema.keys() == {"type"}:
        return {"type": [*sorted(_types(schema) - {"null"}), "null"]}
    options = schema.get("anyOf")
    if schema.keys() == {"anyOf"} and isinstance(options, list) and {"type": "null"} in options:
        return _placed(schema, at)
    return {"anyOf": [_placed(schema, (*at, "anyOf", "0")), {"type": "null"}]}


def _described(spec: InputSpec | OutputSpec, part: Schema) -> Schema:
    return {**part, "description": spec.description} if spec.description else dict(part)


def _object(parts: dict[str, Schema], required: list[str]) -> Schema:
    if not parts:
        return {"$schema": DIALECT, "type": "object"}
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": parts,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _placed(schema: Schema, at: tuple[str, ...]) -> Schema:
    """Return a schema whose references still lead to the same places when it stands at `at`."""
    if not _has_own_names(schema):
        return _moved(schema, f"#{pointer(*at)}")
    # Its references begin at itself, wherever it stands, once it has a name of its own; one made of
    # its content is nobody else's.
    content = json.dumps(schema, sort_keys=True).encode()
    name = f"urn:gyoza:{hashlib.sha256(content).hexdigest()[:32]}"
    return {"$id": name, **schema}


def _has_own_names(part: object) -> bool:
    if isinstance(part, dict):
        members = cast("Schema", part)
        return not _OWN_DOCUMENT.isdisjoint(members) or any(map(_has_own_names, members.values()))
    return isinstance(part, list) and any(map(_has_own_names, cast("list[Any]", part)))


def _moved(part: Any, root: str) -> Any:
    if isinstance(part, list):
        return [_moved(item, root) for item in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    moved: Schema = {}
    for name, value in cast("Schema", part).items():
        if name == "$ref" and isinstance(value, str) and value.startswith("#"):
            moved[name] = root + value[1:]
        elif name in _NAMED and isinstance(value, dict):
            named = cast("Schema", value)
            moved[name] = {key: _moved(each, root) for key, each in named.items()}
        else:
            moved[name] = value if name in _DATA else _moved(value, root)
    return moved
