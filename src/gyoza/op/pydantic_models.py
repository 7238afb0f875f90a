"""Pydantic models where an author has Pydantic: recognised by what they offer, never imported.

A model builds its own schema, reads and writes itself; errors are turned into ours.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal, cast

from gyoza.op.errors import Problem, pointer

Mode = Literal["validation", "serialization"]
_OFFERS: Final = ("model_json_schema", "model_validate_json", "model_dump", "model_fields")


def is_model(hint: Any) -> bool:
    """Whether it is a Pydantic model class."""
    return isinstance(hint, type) and all(hasattr(hint, name) for name in _OFFERS)


def schema(python: Any, mode: Mode, definitions: str) -> dict[str, Any]:
    """The model's own JSON Schema.

    Args:
        python: The model.
        mode: What it reads, or what it writes.
        definitions: Where its definitions will be, with `{model}` for each one's name.
    """
    return python.model_json_schema(mode=mode, ref_template=definitions)


def read(python: Any, value: Any, place: tuple[str | int, ...]) -> tuple[Any, list[Problem]]:
    """Return the model of a JSON value, or what is wrong with the value."""
    try:
        return python.model_validate_json(json.dumps(value)), []
    except ValueError as error:
        if not hasattr(error, "errors"):
            raise
        found = cast("list[dict[str, Any]]", cast("Any", error).errors())
    return None, [Problem(pointer((*place, *each["loc"])), each["msg"]) for each in found]


def write(value: Any) -> Any:
    """Return what a model writes as JSON, with its files marked by `LOCAL_FILE_KEY`."""
    return value.model_dump(mode="json", by_alias=True)
