"""What an op returns: nothing, one output, several, or a stream of partial ones.

Reads return types and turns what was returned into outputs; collecting a stream is `runtime`'s.
"""

from __future__ import annotations

import typing
from collections import abc
from dataclasses import dataclass, field
from typing import Any, Final

from gyoza.op.encode import Keep, encode, members_of
from gyoza.op.errors import OutputError, Problem, pointer
from gyoza.op.hints import HintReader
from gyoza.op.schema import json_schema
from gyoza.op.shapes import MISSING, Items, Null, OneOf, Record, Shape
from gyoza.op.type_names import type_name

NAME: Final = "result"
"""Of the output of an op that has only one."""

_STREAMS: Final = (
    abc.Iterator,
    abc.Iterable,
    abc.AsyncIterator,
    abc.AsyncIterable,
    abc.Generator,
    abc.AsyncGenerator,
)
_RETURN_PLACE: Final = 2
"""`Generator[yielded, sent, returned]`."""


@dataclass(frozen=True)
class Output:
    """One output.

    Attributes:
        shape: What it holds.
        description: For people.
    """

    shape: Shape
    description: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The output spec, in the shape of an OpDefinition."""
        spec: dict[str, Any] = {
            "type": type_name(self.shape),
            "schema": json_schema(self.shape, "serialization"),
        }
        return {**spec, "description": self.description} if self.description else spec


@dataclass(frozen=True)
class Result:
    """What an op returns.

    Attributes:
        outputs: By name; none for an op that returns nothing.
        whole: The class whose members are the outputs; None when the value is the one output.
        part: What a stream yields; None when nothing is streamed.
        is_collected: The output of a stream is the list of what it yielded.
    """

    outputs: dict[str, Output] = field(default_factory=dict[str, Output])
    whole: Record | None = None
    part: Shape | None = None
    is_collected: bool = False

    @property
    def streams(self) -> bool:
        """Whether partial outputs come before the end."""
        return self.part is not None

    def to_dict(self) -> dict[str, Any]:
        """The output specs, in the shape of an OpDefinition."""
        return {name: output.to_dict() for name, output in self.outputs.items()}

    def encode(self, value: Any, keep: Keep) -> dict[str, Any]:
        """Return the outputs of a returned value, as JSON.

        Raises:
            OutputError: With every output that does not fit.
        """
        if self.whole is not None:
            return self._members(self.whole, value, keep)
        if not self.outputs:
            if value is not None:
                kind = type(value).__name__
                raise OutputError(f"the op returned {kind} and declares -> None; declare its type")
            return {}
        return {NAME: encode(self.outputs[NAME].shape, value, (NAME,), keep)}

    def _members(self, whole: Record, value: Any, keep: Keep) -> dict[str, Any]:
        is_one = isinstance(value, abc.Mapping if whole.is_dict else whole.python)
        if not is_one:
            kind = type(value).__name__
            raise OutputError(f"the op returned {kind}, expected {whole.python.__name__}")
        members = members_of(whole, value)
        found: dict[str, Any] = {}
        problems = [
            Problem(pointer([name]), f"{whole.python.__name__} declares no such output")
            for name in members
            if name not in self.outputs
        ]
        for name, output in self.outputs.items():
            try:
                # A member that may stay away is null then: outputs are all there or none is.
                is_there = name in members or whole.entries[name].required
                given = members.get(name, MISSING)
                if is_there and given is MISSING:
                    problems.append(Problem(pointer([name]), "missing"))
                else:
                    member = given if is_there else None
                    found[name] = encode(output.shape, member, (name,), keep)
            except OutputError as error:
                problems += error.problems
        if problems:
            raise OutputError(problems)
        return found


def read_result(hint: Any, reader: HintReader, description: str) -> Result:
    """Read a return type.

    Args:
        hint: The resolved hint.
        reader: Of the op's hints.
        description: From the docstring.

    Raises:
        Unsupported: It is of no supported type.
    """
    if typing.get_origin(hint) not in _STREAMS:
        return _returned(hint, reader, description)
    arguments: tuple[Any, ...] = typing.get_args(hint) or (Any,)
    part = reader.shape(arguments[0])
    has_return = typing.get_origin(hint) is abc.Generator and len(arguments) > _RETURN_PLACE
    returned = arguments[_RETURN_PLACE] if has_return else None
    if returned not in (None, type(None)):
        last = _returned(returned, reader, description)
        return Result(last.outputs, last.whole, part)
    return Result({NAME: Output(Items(list, part), description)}, part=part, is_collected=True)


def _returned(hint: Any, reader: HintReader, description: str) -> Result:
    shape = reader.shape(hint)
    if isinstance(shape, Null):
        return Result()
    if isinstance(shape, Record):
        return Result(_outputs_of(shape), shape)
    return Result({NAME: Output(shape, shape.field.description or description)})


def _outputs_of(whole: Record) -> dict[str, Output]:
    found: dict[str, Output] = {}
    for name, entry in whole.entries.items():
        is_optional = whole.is_dict and not entry.required
        shape = OneOf((entry.shape, Null())) if is_optional else entry.shape
        found[name] = Output(shape, entry.description)
    return found
