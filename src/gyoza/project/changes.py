"""What differs between two definitions of an op, field by field: for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from gyoza.models import InputSpec, OpDefinition, OutputSpec
from gyoza.project.schema_words import input_words, output_words

_TIMES: Final = ("createdAt", "updatedAt")
_SPECS: Final = ("input_specs", "output_specs")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was.

    Attributes:
        name: Such as `version`, `inputs.tile` or `constraints.cpu`.
        before: In words; None when it was not there.
        after: In words; None when it is gone.
    """

    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.name}: {self.after}"
        if self.after is None:
            return f"- {self.name}: {self.before}"
        return f"~ {self.name}: {self.before} -> {self.after}"


def changes_in_words(old: OpDefinition | None, new: OpDefinition) -> list[Change]:
    """Return the changes as people read them; None is an op that nobody knows yet.

    Inputs and outputs come last, each in words of its own; what its words leave out is named by its
    place in the schema.
    """
    before, after = _before(old, new), _words(new)
    found = [
        Change(name, before.get(name), after.get(name))
        for name in _in_order(before, after)
        if before.get(name) != after.get(name)
    ]
    told = {change.name for change in found}
    return found if old is None else [*found, *_beyond_words(old, new, told)]


def changed_fields(old: OpDefinition | None, new: OpDefinition) -> list[dict[str, Any]]:
    """Return the changes as programs read them: `field` with dots, `before` and `after` as JSON.

    What is not there is null.
    """
    before = {} if old is None else _flat(_document(old))
    after = _flat(_document(new))
    return [
        {"field": name, "before": before.get(name), "after": after.get(name)}
        for name in sorted({*before, *after})
        if _json(before.get(name)) != _json(after.get(name)) or (name in before) != (name in after)
    ]


def _words(op: OpDefinition) -> dict[str, str]:
    document = {k: v for k, v in _document(op).items() if k not in (*_SPECS, "id")}
    plain = {name: _plain(value) for name, value in _flat(document).items() if value is not None}
    inputs = _described("inputs", op.input_specs.specs, input_words)
    outputs = _described("outputs", op.output_specs.specs, output_words)
    return {**plain, **inputs, **outputs}


def _before(old: OpDefinition | None, new: OpDefinition) -> dict[str, str]:
    if old is not None:
        return _words(old)
    # Of a new op nobody needs to hear what it leaves at its defaults.
    blank = _words(OpDefinition.create(new.id, "", ""))
    return {name: value for name, value in blank.items() if name not in {"version", "image"}}


def _beyond_words(old: OpDefinition, new: OpDefinition, told: set[str]) -> Iterator[Change]:
    before, after = _spec_fields(old), _spec_fields(new)
    for place in sorted((before.keys() & after.keys()) - told):
        ours, theirs = before[place], after[place]
        for name in sorted({*ours, *theirs} - told):
            if _json_of(ours, name) != _json_of(theirs, name):
                yield Change(name, _json_of(ours, name), _json_of(theirs, name))


def _spec_fields(op: OpDefinition) -> dict[str, dict[str, Any]]:
    """Return every field of every input and output by its place, the places apart."""
    sections = {"inputs": op.input_specs.specs, "outputs": op.output_specs.specs}
    return {
        f"{section}.{name}": _flat(spec.to_dict(), f"{section}.{name}.")
        for section, specs in sections.items()
        for name, spec in specs.items()
    }


def _json_of(values: Mapping[str, Any], name: str) -> str | None:
    return _json(values[name]) if name in values else None


def _described(
    section: str,
    specs: Mapping[str, InputSpec] | Mapping[str, OutputSpec],
    words: Callable[[Any], str],
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, spec in specs.items():
        found[f"{section}.{name}"] = words(spec)
        if spec.description:
            found[f"{section}.{name}.description"] = _json(spec.description)
    return found


def _in_order(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    names = dict.fromkeys([*after, *before])
    last = {"inputs": 1, "outputs": 2}
    yield from sorted(names, key=lambda name: last.get(name.partition(".")[0], 0))


def _document(op: OpDefinition) -> dict[str, Any]:
    return {name: value for name, value in op.to_dict().items() if name not in _TIMES}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict):
            flat.update(_flat(cast("dict[str, Any]", item), f"{prefix}{name}."))
        else:
            flat[prefix + name] = item
    return flat


def _plain(value: object) -> str:
    return value if isinstance(value, str) and value else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
