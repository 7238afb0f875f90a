"""Sample inputs out of input specs: the smallest that should be taken, and some that should not.

A default, an example or the schema decides; what only its author can know (a pattern, an opaque
type) has to be given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from gyoza.models import InputSpec, InputSpecs
from gyoza.models.value_types import known_type

_DEPTH: Final = 8
_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")
_WRONG: Final[Mapping[str, Any]] = {
    "string": 12345,
    "integer": "not a number",
    "float": "not a number",
    "boolean": "perhaps",
    "object": "not an object",
    "array": "not a list",
    "file": 12345,
}
_BY_TYPE: Final[Mapping[str, Any]] = {
    "string": "sample",
    "integer": 1,
    "float": 1.0,
    "boolean": True,
    "object": {},
    "array": [],
    "any": "sample",
}
_BY_FORMAT: Final[Mapping[str, str]] = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "PT1M",
    "email": "somebody@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}


class NoSample(Exception):
    """No value can be made up; the message says for what."""


def sample_inputs(specs: InputSpecs, folder: Path) -> dict[str, Any]:
    """Return the inputs to try: every required one, and the defaults of the others.

    Args:
        specs: What the op declares.
        folder: For sample files; it must exist.

    Raises:
        NoSample: With the name of the input.
    """
    found: dict[str, Any] = {}
    for name, spec in specs.specs.items():
        if not spec.required:
            continue
        try:
            found[name] = _of_spec(name, spec, folder)
        except NoSample as error:
            raise NoSample(f"input {name}: {error}") from None
    return found


def wrong_inputs(specs: InputSpecs, right: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Return inputs that the op has to refuse, and what is wrong with them.

    None when everything is right for it: it declares nothing, or takes anything.
    """
    required = [name for name, spec in specs.specs.items() if spec.required]
    if required:
        name = required[0]
        return {key: value for key, value in right.items() if key != name}, f"{name} is missing"
    for name, spec in specs.specs.items():
        wrong = _WRONG.get(known_type(spec.type) or "")
        if wrong is not None:
            return {**right, name: wrong}, f"{name} is {wrong!r}, its type is {spec.type}"
    return None


def _of_spec(name: str, spec: InputSpec, folder: Path) -> Any:
    if spec.default is not None:
        return spec.default
    known = known_type(spec.type)
    schema = spec.schema or {}
    if known == "file":
        return _sample_file(name, schema, folder)
    if spec.schema:
        return _Sampler(schema).value(schema)
    if known is None:
        raise NoSample(f"type {spec.type} says nothing about its values")
    return _BY_TYPE[known]


def _sample_file(name: str, schema: Mapping[str, Any], folder: Path) -> Path:
    if schema.get("contentMediaType", "text/plain").partition("/")[0] != "text":
        raise NoSample(f"a file of type {schema['contentMediaType']} cannot be made up")
    path = folder / f"{name}.txt"
    path.write_text("sample\n")
    return path


class _Sampler:
    """Makes values out of one schema.

    Args:
        root: The whole schema, for references.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def value(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        """Return a small value that the schema should take."""
        said = [schema[key] for key in ("default", "const") if key in schema]
        said += [schema[key][0] for key in ("examples", "enum") if schema.get(key)]
        if said:
            return said[0]
        if depth > _DEPTH:
            raise NoSample("its schema refers to itself")
        if "$ref" in schema:
            return self.value(self._referred(schema["$ref"]), depth + 1)
        options = next((schema[key] for key in _ALTERNATIVES if schema.get(key)), None)
        if options is not None:
            return self._one_of(options, depth + 1)
        return self._of_type(schema, depth + 1)

    def _of_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind: Any = schema.get("type", "string")
        kinds = cast("list[str]", kind) if isinstance(kind, list) else [str(kind)]
        chosen = next((each for each in kinds if each != "null"), "null")
        if chosen in ("array", "object"):
            inner = self._items if chosen == "array" else self._members
            return inner(schema, depth)
        make = _SCALARS.get(chosen)
        return make(schema) if make else None

    def _one_of(self, options: list[Any], depth: int) -> Any:
        schemas = [option for option in options if option.get("type") != "null"] or options
        refusals: list[str] = []
        for option in schemas:
            try:
                return self.value(option, depth)
            except NoSample as error:
                refusals.append(str(error))
        raise NoSample(refusals[0])

    def _referred(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                found = found[step.replace("~1", "/").replace("~0", "~")]
        return cast("Mapping[str, Any]", found)

    def _items(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = [self.value(each, depth) for each in schema.get("prefixItems", [])]
        missing = int(schema.get("minItems", 0)) - len(first)
        rest: Any = schema.get("items")
        each = cast("dict[str, Any]", rest) if isinstance(rest, dict) else {"type": "string"}
        return [*first, *(self.value(each, depth) for _ in range(missing))]

    def _members(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        known: dict[str, Any] = schema.get("properties", {})
        return {name: self.value(known.get(name, {}), depth) for name in schema.get("required", [])}


def _text(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        raise NoSample(f"nothing is known that matches the pattern {schema['pattern']}")
    text = _BY_FORMAT.get(schema.get("format", ""), "sample")
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Mapping[str, Any]) -> float:
    least = _least(schema)
    step = schema.get("multipleOf")
    return step * -(-least // step) if step else least


def _least(schema: Mapping[str, Any]) -> float:
    """The number nearest to one that the bounds take."""
    is_whole = schema.get("type") == "integer"
    if "exclusiveMinimum" in schema:
        below = schema["exclusiveMinimum"]
        above = schema.get("maximum", schema.get("exclusiveMaximum", below + 2))
        return below + 1 if is_whole or below + 1 < above else (below + above) / 2
    least = max(1, schema.get("minimum", 1))
    if "exclusiveMaximum" in schema:
        most = schema["exclusiveMaximum"]
        under = most - 1 if is_whole else (schema.get("minimum", most - 1) + most) / 2
        return min(least, under)
    return min(least, schema.get("maximum", least))


_SCALARS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": lambda _: True,
}
