"""Where the files are in a value, as its JSON Schema says: walks both side by side.

A file is a value at a place whose schema has the format `gyoza-file`; what a text looks like counts
for nothing. Of alternatives the first that takes the value counts, as it does for decoding. Known
are `$ref` within the schema, `properties`, `additionalProperties`, `items`, `prefixItems`, `anyOf`,
`oneOf` and `allOf`; a file behind anything else is not found. Whether the value is otherwise valid
is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from gyoza.op.files import FORMAT

Place = tuple[str | int, ...]
"""Steps to a value: names of members, numbers of items."""

_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "boolean": (bool,),
    "null": (type(None),),
}


def file_places(schema: Any, value: Any) -> list[Place]:
    """Return the steps to every value that is a file, in the order of the value.

    Args:
        schema: Self-contained.
        value: As JSON; null is never a file.

    Raises:
        RecursionError: The schema is nested absurdly deep.
    """
    if not mentions_files(schema):
        return []  # nearly always, and then nothing is walked
    return list(dict.fromkeys(_Walk(schema).files(schema, value, ())))


def mentions_files(schema: Any) -> bool:
    """Whether any part of a schema is a file."""
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            members = cast("dict[str, Any]", part)
            if members.get("format") == FORMAT:
                return True
            waiting.extend(members.values())
        elif isinstance(part, list):
            waiting.extend(cast("list[Any]", part))
    return False


def value_at(value: Any, place: Place) -> Any:
    """The value to which the steps lead."""
    for step in place:
        value = value[step]
    return value


def replaced(value: Any, others: Mapping[Place, Any], place: Place = ()) -> Any:
    """Return a value with others in some of its places; the value itself is left as it is."""
    if place in others:
        return others[place]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: replaced(each, others, (*place, name)) for name, each in members.items()}
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [replaced(each, others, (*place, n)) for n, each in enumerate(items)]
    return value


class _Walk:
    """One walk; remembers what it has found out, so that no schema makes it take for ever."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._fitting: dict[tuple[int, Place], bool] = {}
        self._entered: set[tuple[int, Place]] = set()

    def files(self, schema: Any, value: Any, place: Place) -> Iterator[Place]:
        """Places of files within a value, by one schema."""
        if not isinstance(schema, dict) or value is None:
            return
        members = cast("dict[str, Any]", schema)
        key = (id(members), place)
        if key in self._entered:
            return
        self._entered.add(key)
        if members.get("format") == FORMAT:
            yield place
            return
        for also in self._beside(members, value, place):
            yield from self.files(also, value, place)
        for part, inner, step in _parts(members, value):
            yield from self.files(part, inner, (*place, step))

    def _beside(self, schema: dict[str, Any], value: Any, place: Place) -> Iterator[Any]:
        """The other schemas that count for the same value."""
        yield from (*self._referred(schema), *_schemas(schema, "allOf"))
        for keyword in ("anyOf", "oneOf"):
            for option in _schemas(schema, keyword):
                if self.fits(option, value, place):
                    yield option
                    break

    def fits(self, schema: Any, value: Any, place: Place) -> bool:
        """Whether a value has the form of a schema; bounds and patterns are not looked at."""
        if not isinstance(schema, dict):
            return schema is not False
        members = cast("dict[str, Any]", schema)
        key = (id(members), place)
        known = self._fitting.get(key)
        if known is None:
            self._fitting[key] = False  # a schema that is only itself takes nothing
            known = self._fitting[key] = self._is_form_of(members, value, place)
        return known

    def _is_form_of(self, schema: dict[str, Any], value: Any, place: Place) -> bool:
        also = (*self._referred(schema), *_schemas(schema, "allOf"))
        alternatives = [_schemas(schema, keyword) for keyword in ("anyOf", "oneOf")]
        return (
            _is_alike(schema, value)
            and all(self.fits(each, value, place) for each in also)
            and all(
                any(self.fits(option, value, place) for option in options)
                for options in alternatives
                if options
            )
            and all(
                self.fits(part, inner, (*place, step))
                for part, inner, step in _parts(schema, value)
            )
        )

    def _referred(self, schema: dict[str, Any]) -> tuple[Any, ...]:
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return ()
        found = self._root
        for step in filter(None, reference[1:].split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                return (False,)
            found = cast("dict[str, Any]", found)[name]
        return (found,)


def _schemas(schema: dict[str, Any], keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return cast("list[Any]", found) if isinstance(found, list) else []


def _parts(schema: dict[str, Any], value: Any) -> Iterator[tuple[Any, Any, str | int]]:
    """What is directly within a value, each with its schema and the step to it."""
    if isinstance(value, dict):
        known = schema.get("properties")
        properties = cast("dict[str, Any]", known) if isinstance(known, dict) else {}
        others = schema.get("additionalProperties", True)
        for name, member in cast("dict[str, Any]", value).items():
            yield properties.get(name, others), member, name
    elif isinstance(value, list):
        first = _schemas(schema, "prefixItems")
        others = schema.get("items", True)
        for number, item in enumerate(cast("list[Any]", value)):
            yield first[number] if number < len(first) else others, item, number


def _is_alike(schema: dict[str, Any], value: Any) -> bool:
    """Whether type, constants and required members are the value's."""
    kinds = schema.get("type", ())
    names: Iterable[Any] = (kinds,) if isinstance(kinds, str) else kinds
    if "type" in schema and not any(_is_kind(name, value) for name in names):
        return False
    if "const" in schema and not _equal(schema["const"], value):
        return False
    if "enum" in schema and not any(_equal(each, value) for each in _schemas(schema, "enum")):
        return False
    return not isinstance(value, dict) or all(n in value for n in _schemas(schema, "required"))


def _is_kind(name: Any, value: Any) -> bool:
    if name in ("number", "integer"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (name == "number" or value == int(value))
    return isinstance(value, _KINDS.get(name, ()))


def _equal(known: Any, value: Any) -> bool:
    return isinstance(known, bool) == isinstance(value, bool) and known == value
