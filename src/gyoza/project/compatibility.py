"""Which changes of an op break those who call it: two definitions in, a list out.

An input breaks a caller when something that was taken is refused: it is gone, needed now, or takes
less. An output breaks whoever reads it when it is gone or can be what it never was. What an op does
with its inputs nobody can compare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gyoza.models import InputSpec, OpDefinition, OutputSpec
from gyoza.models.spec_schemas import takes_null, type_schema
from gyoza.models.value_types import known_type
from gyoza.project.schema_losses import Loss, losses

_ANY: Final = "any"


@dataclass(frozen=True, slots=True)
class Breaking:
    """One change that breaks callers.

    Attributes:
        section: `inputs` or `outputs`.
        name: Of the input or output; "" when all are meant.
        text: What was taken or given, and is no longer.
    """

    section: str
    name: str
    text: str

    @property
    def place(self) -> str:
        """Where, as `inputs.name`."""
        return f"{self.section}.{self.name}" if self.name else self.section


def breaking_changes(old: OpDefinition, new: OpDefinition) -> list[Breaking]:
    """Return every change between two versions that breaks callers of the old one.

    Args:
        old: What callers know.
        new: What they would meet.
    """
    return [*_inputs(old, new), *_outputs(old, new)]


def next_version(version: str, *, is_breaking: bool = False) -> str:
    """Return a version after a version: the number that semantic versioning raises, plus one.

    Args:
        version: Any text; one without a number at its end gets one.
        is_breaking: Whether callers of the old version break. Below 1.0.0 the second number says
            so (https://semver.org/#spec-item-4).
    """
    parts = version.split(".")
    if not all(part.isdecimal() for part in parts):
        head, number = re.fullmatch(r"(.*?)(\d*)", version, re.DOTALL).groups()  # pyright: ignore[reportOptionalMemberAccess] - it matches every text
        return f"{head}{int(number) + 1}" if number else f"{version}.1"
    numbers = [int(part) for part in parts]
    raised = (0 if numbers[0] else min(1, len(numbers) - 1)) if is_breaking else len(numbers) - 1
    rest = [0] * (len(numbers) - raised - 1)
    return ".".join(map(str, [*numbers[:raised], numbers[raised] + 1, *rest]))


def _inputs(old: OpDefinition, new: OpDefinition) -> Iterator[Breaking]:
    ours, theirs = old.input_specs.specs, new.input_specs.specs
    if theirs and not ours:
        yield Breaking("inputs", "", "any was taken, now only those that are declared")
    for name, spec in ours.items():
        if name in theirs:
            for text in _narrower(spec, theirs[name]):
                yield Breaking("inputs", name, text)
        else:
            gone = "whoever sends it is refused" if theirs else "the op no longer knows it"
            yield Breaking("inputs", name, f"removed; {gone}")
    for name, spec in theirs.items():
        if name not in ours and spec.required:
            yield Breaking("inputs", name, "new and required; whoever leaves it out is refused")


def _outputs(old: OpDefinition, new: OpDefinition) -> Iterator[Breaking]:
    theirs = new.output_specs.specs
    for name, spec in old.output_specs.specs.items():
        if name not in theirs:
            yield Breaking("outputs", name, "removed; whoever reads it finds nothing")
            continue
        for text in _other(spec, theirs[name]):
            yield Breaking("outputs", name, text)


def _narrower(old: InputSpec, new: InputSpec) -> Iterator[str]:
    if new.required and not old.required:
        yield "required now; whoever leaves it out is refused"
    elif takes_null(old) and not takes_null(new):
        yield "null is refused now, since it has a default; leave it out instead"
    if _type_differs(old, new):
        yield f"type: {old.type} -> {new.type}"
        return
    for loss in losses(type_schema(old), type_schema(new)):
        yield f"takes less: {_words(loss, loss.wider, loss.narrower)}"


def _other(old: OutputSpec, new: OutputSpec) -> Iterator[str]:
    if _type_differs(new, old):
        yield f"type: {old.type} -> {new.type}"
        return
    # What the new one gives and the old one never gave: the old one is the narrower.
    for loss in losses(type_schema(new), type_schema(old)):
        yield f"can be something else: {_words(loss, loss.narrower, loss.wider)}"


def _type_differs(wide: InputSpec | OutputSpec, narrow: InputSpec | OutputSpec) -> bool:
    """Whether the type names alone say that not everything of the one is taken by the other."""
    ours, theirs = known_type(wide.type), known_type(narrow.type)
    if theirs == _ANY:
        return False
    if ours is None or theirs is None:
        return wide.type.strip() != narrow.type.strip()
    return ours != theirs and (ours, theirs) != ("integer", "float")


def _words(loss: Loss, before: str, after: str) -> str:
    where = "".join(f".{name}" for name in loss.path).removeprefix(".")
    at = f"{where}: " if where else ""
    return f"{at}{loss.what} {before or 'none'} -> {after or 'none'}"
