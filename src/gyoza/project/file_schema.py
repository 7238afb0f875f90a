"""The JSON Schema of `gyoza.yml`, made of the tables by which it is read, for editors."""

from __future__ import annotations

from typing import Any, Final

from gyoza.models.spec_schemas import DIALECT
from gyoza.project.file_fields import NAMED, NESTED, PROJECT, Field, Section

_TITLE: Final = "gyoza.yml: a gyoza op project"


def file_schema() -> dict[str, Any]:
    """Return the schema of the whole file (draft 2020-12)."""
    return {"$schema": DIALECT, "title": _TITLE, **_section(PROJECT)}


def _section(section: Section) -> dict[str, Any]:
    pairs = [{"not": _both(section, name, plain)} for name, plain in section.pairs()]
    return {
        "type": "object",
        "properties": {name: _field(name, each) for name, each in section.fields.items()},
        **({"required": list(section.required)} if section.required else {}),
        **({"allOf": pairs} if pairs else {}),
        "additionalProperties": False,
    }


def _both(section: Section, name: str, plain: str) -> dict[str, Any]:
    """Return what a section is that says one thing twice, here or in a section of its own."""
    if plain in section.fields:
        return {"required": [name, plain]}
    inner = next(key for key in section.fields if key in NESTED and plain in NESTED[key].fields)
    return {
        "required": [name, inner],
        "properties": {inner: {"type": "object", "required": [plain]}},
    }


def _field(name: str, field: Field) -> dict[str, Any]:
    if name in NAMED:
        one = {"anyOf": [{"type": "string", "pattern": r"\S"}, _section(NAMED[name])]}
        schema = {"type": "object", "additionalProperties": one}
    elif name in NESTED:
        schema = _section(NESTED[name])
    else:
        schema = field.schema
    return {"description": field.means, **schema}
