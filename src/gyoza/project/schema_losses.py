"""What one JSON Schema takes and another may not: a comparison of draft 2020-12, values in and out.

Sound for the words that specs use (types, values, bounds, lengths, members, items, alternatives,
references into the schema itself); of other words that differ it says that it cannot judge them.
Members that nobody declared are not compared: to be strict there, every new member would be a loss.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

Schema: TypeAlias = "dict[str, Any]"
Path: TypeAlias = tuple[str, ...]

_ANNOTATIONS: Final = {
    *("$schema", "$id", "$comment", "$defs", "definitions", "title", "description"),
    *("default", "examples", "deprecated", "readOnly", "writeOnly"),
}
_LEAST: Final = ("minLength", "minItems", "minProperties")
_MOST: Final = ("maxLength", "maxItems", "maxProperties")
_LOWER: Final = ("minimum", "exclusiveMinimum")
_UPPER: Final = ("maximum", "exclusiveMaximum")
_ALTERNATIVES: Final = ("anyOf", "oneOf")
_JUDGED: Final = {
    *(*_LEAST, *_MOST, *_LOWER, *_UPPER, *_ALTERNATIVES, *_ANNOTATIONS),
    *("$ref", "type", "enum", "const", "multipleOf", "uniqueItems"),
    *("required", "properties", "additionalProperties", "items", "prefixItems"),
}


@dataclass(frozen=True, slots=True)
class Loss:
    """One way in which a schema takes less than another.

    Attributes:
        path: Where in a value: members' names, `[]` for the items of a list.
        what: The word of JSON Schema that says it.
        wider: What the one says that takes more; "" when it says nothing.
        narrower: What the other says.
    """

    path: Path
    what: str
    wider: str
    narrower: str


def losses(wide: Schema, narrow: Schema) -> list[Loss]:
    """Return every way in which `narrow` may refuse what `wide` takes; none when it takes it all.

    Args:
        wide: A usable schema; its references begin at itself.
        narrow: Another.
    """
    return list(_Comparison(wide, narrow).of(wide, narrow, ()))


@dataclass(slots=True)
class _Comparison:
    wide_root: Schema
    narrow_root: Schema
    seen: set[str] = field(default_factory=set[str])

    def of(self, wide: object, narrow: object, at: Path) -> Iterator[Loss]:
        ours, theirs = _resolved(wide, self.wide_root), _resolved(narrow, self.narrow_root)
        if ours is None:
            return
        if theirs is None:
            yield Loss(at, "schema", "", "nothing")
            return
        # A schema that contains itself comes back to the same two parts.
        key = json.dumps([ours, theirs], sort_keys=True)
        if key in self.seen:
            return
        self.seen.add(key)
        yield from self._alternatives(ours, theirs, at)

    def _alternatives(self, wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
        offered = [_resolved(each, self.narrow_root) for each in _split(narrow)]
        for each in _split(wide):
            ours = _resolved(each, self.wide_root)
            if ours is None:
                continue
            found = [list(self._one(ours, theirs, at)) for theirs in offered if theirs is not None]
            if not found:
                yield Loss(at, "schema", "", "nothing")
            elif not any(not each for each in found):
                near = [each for each in found if each[0].what != "type" or each[0].path != at]
                yield from min(near or [found[0]], key=len)

    def _one(self, wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
        kinds = list(_type_losses(wide, narrow, at))
        yield from kinds
        if kinds:
            return
        yield from _value_losses(wide, narrow, at)
        yield from _bound_losses(wide, narrow, at)
        yield from self._member_losses(wide, narrow, at)
        yield from self._item_losses(wide, narrow, at)
        yield from _length_losses(wide, narrow, at)
        yield from _word_losses(wide, narrow, at)

    def _member_losses(self, wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
        ours, theirs = wide.get("properties", {}), narrow.get("properties", {})
        others, rest = wide.get("additionalProperties"), narrow.get("additionalProperties")
        for name in narrow.get("required", []):
            if name not in wide.get("required", []):
                yield Loss((*at, name), "required", "no", "yes")
        for name, part in ours.items():
            if name in theirs:
                yield from self.of(part, theirs[name], (*at, name))
            elif rest is False:
                yield Loss((*at, name), "member", "known", "unknown")
        if rest is False and others is not False and (others is not None or not ours):
            yield Loss(at, "additionalProperties", _shown(others), "false")
        elif isinstance(rest, dict) and others is not False:
            every = cast("Schema", rest)
            yield from self.of({} if others is None else others, every, (*at, "*"))

    def _item_losses(self, wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
        ours: list[Any] = wide.get("prefixItems", [])
        theirs: list[Any] = narrow.get("prefixItems", [])
        if len(ours) != len(theirs):
            yield Loss(at, "prefixItems", f"{len(ours)} items", f"{len(theirs)} items")
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
            yield from self.of(mine, other, (*at, f"[{index}]"))
        if "items" in narrow:
            yield from self.of(wide.get("items", {}), narrow["items"], (*at, "[]"))


def _resolved(part: object, root: Schema) -> Schema | None:
    """Return a part without reference at its top; None when it takes nothing."""
    if part is False:
        return None
    schema = cast("Schema", part) if isinstance(part, dict) else {}
    followed: set[str] = set()
    while isinstance(reference := schema.get("$ref"), str) and reference not in followed:
        followed.add(reference)
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        target = _at(root, reference)
        if target is None:
            return schema
        schema = {**target, **rest}
    return _merged(schema)


def _at(root: Schema, reference: str) -> Schema | None:
    here: Any = root
    for raw in reference.removeprefix("#").split("/")[1:]:
        name = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(here, list) and name.isdecimal():
            here = dict(enumerate(cast("list[Any]", here))).get(int(name))
        elif isinstance(here, dict) and name in here:
            here = cast("Schema", here)[name]
        else:
            return None
    return cast("Schema", here) if isinstance(here, dict) and reference.startswith("#") else None


def _merged(schema: Schema) -> Schema | None:
    """Return a schema without `allOf` where its parts speak of different things.

    None when they have no type in common: nothing is all of them.
    """
    parts: list[Any] = schema.get("allOf", [])
    merged = {name: value for name, value in schema.items() if name != "allOf"}
    for part in parts:
        if not isinstance(part, dict) or "$ref" in part:
            return schema
        more = dict(cast("Schema", part))
        kinds = _kinds(merged), _kinds(more)
        if kinds[0] and kinds[1]:
            both = _common(*kinds)
            if not both:
                return None
            merged["type"] = more["type"] = sorted(both)
        if any(merged.get(name, value) != value for name, value in more.items()):
            return schema
        merged |= more
    return merged


def _split(schema: Schema) -> list[Schema]:
    """Return the alternatives of a schema, each of one type where it names types."""
    for word in _ALTERNATIVES:
        options: list[Any] = schema.get(word, [])
        rest = {name: value for name, value in schema.items() if name != word}
        if options and all(isinstance(each, dict) for each in options):
            return [alternative for each in options for alternative in _split({**rest, **each})]
    kinds = _kinds(schema)
    if len(kinds) > 1:
        return [{**schema, "type": kind} for kind in sorted(kinds)]
    return [schema]


def _kinds(schema: Schema) -> set[str]:
    named: Any = schema.get("type", [])
    return {named} if isinstance(named, str) else set(named)


def _common(ours: set[str], theirs: set[str]) -> set[str]:
    both = ours & theirs
    if "integer" in ours | theirs and "number" in ours | theirs:
        both |= {"integer"}
    return both


def _type_losses(wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
    ours = _kinds(wide) or {_kind_of(value) for value in _values(wide) or ()}
    theirs = _kinds(narrow)
    if not theirs:
        return
    left = ours - theirs - ({"integer"} if "number" in theirs else set())
    if left or not ours:
        wider = " or ".join(sorted(ours)) or "anything"
        yield Loss(at, "type", wider, " or ".join(sorted(theirs)))


def _kind_of(value: object) -> str:
    kinds: Mapping[type, str] = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
    }
    return kinds.get(type(value), "null")


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _value_losses(wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
    ours, theirs = _values(wide), _values(narrow)
    if theirs is None:
        return
    kept = {json.dumps(value, sort_keys=True) for value in theirs}
    if ours is None or any(json.dumps(value, sort_keys=True) not in kept for value in ours):
        yield Loss(at, "values", _listed(ours), _listed(theirs))


def _bound_losses(wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
    for words, sign in ((_LOWER, 1), (_UPPER, -1)):
        ours, theirs = _bound(wide, words, sign), _bound(narrow, words, sign)
        if theirs is not None and (ours is None or theirs[:2] > ours[:2]):
            yield Loss(at, theirs[2], "" if ours is None else ours[3], theirs[3])
    step, finer = narrow.get("multipleOf"), wide.get("multipleOf")
    if step is not None and (finer is None or finer % step):
        yield Loss(at, "multipleOf", _shown(finer), _shown(step))


def _length_losses(wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
    for name in (*_LEAST, *_MOST):
        ours, theirs = wide.get(name, 0 if name in _LEAST else math.inf), narrow.get(name)
        if theirs is not None and (theirs > ours if name in _LEAST else theirs < ours):
            yield Loss(at, name, _shown(wide.get(name)), _shown(theirs))
    if narrow.get("uniqueItems") and not wide.get("uniqueItems"):
        yield Loss(at, "uniqueItems", "false", "true")


def _word_losses(wide: Schema, narrow: Schema, at: Path) -> Iterator[Loss]:
    """Words that are the same, or of which nobody can say which takes more."""
    for name in sorted(narrow.keys() - _JUDGED):
        if wide.get(name) != narrow[name]:
            yield Loss(at, name, _shown(wide.get(name)), _shown(narrow[name]))


def _bound(
    schema: Schema, words: tuple[str, str], sign: int
) -> tuple[float, bool, str, str] | None:
    """Return the strictest bound of a side: its weight, whether it is open, its word and value."""
    found = [
        (sign * schema[word], word == words[1], word, _shown(schema[word]))
        for word in words
        if isinstance(schema.get(word), int | float)
    ]
    return max(found, default=None)


def _listed(values: list[Any] | None) -> str:
    return "" if values is None else ", ".join(_shown(value) for value in values)


def _shown(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
