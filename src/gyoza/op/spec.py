"""What an op takes and returns, read from its signature.

All that is wrong with a signature is reported at once. How a value of each type looks is the
business of `hints` and `schema`; calling the op is `runtime`'s.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gyoza.op import docstrings, protocol
from gyoza.op.context import Context
from gyoza.op.decode import Locate, Undecodable, decode
from gyoza.op.decorator import Needs, needs_of
from gyoza.op.docstrings import Docstring
from gyoza.op.encode import encode_default
from gyoza.op.errors import BadInput, OutputError, Problem, SpecError, pointer
from gyoza.op.file_alternatives import lookalike
from gyoza.op.hints import HintReader, Unsupported
from gyoza.op.results import Result, read_result
from gyoza.op.schema import json_schema
from gyoza.op.shapes import Null, OneOf, Shape
from gyoza.op.type_names import is_nullable, type_name

_NO_TYPE: Final = "has no type; annotate it, for example {name}: str"


@dataclass(frozen=True)
class Parameter:
    """One input.

    Attributes:
        shape: What it takes.
        required: Whether it must be given.
        default: As JSON, when it need not.
        description: For people.
        is_positional: It cannot be passed by name.
    """

    shape: Shape
    required: bool
    default: Any = None
    description: str = ""
    is_positional: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The input spec, in the shape of an OpDefinition."""
        may_be_absent = not self.required and self.default is None
        spec: dict[str, Any] = {
            "type": type_name(self.shape, takes_null=not may_be_absent),
            "required": self.required,
            "default": self.default,
            "schema": json_schema(self.shape),
        }
        return {**spec, "description": self.description} if self.description else spec


@dataclass(frozen=True)
class OpSpec:
    """An op as its code describes it.

    Attributes:
        target: The function, or the class.
        run: What is called for a run; for a class, its `run` without an instance.
        inputs: Its inputs by name.
        result: What it returns.
        contexts: Names of the parameters that get the `Context`.
        words: From the docstring.
        needs: From `@op`.
    """

    target: Callable[..., Any]
    run: Callable[..., Any]
    inputs: dict[str, Parameter]
    result: Result
    contexts: tuple[str, ...] = ()
    words: Docstring = field(default_factory=Docstring)
    needs: Needs = field(default_factory=Needs)

    def to_dict(self) -> dict[str, Any]:
        """Serialise to JSON: specs and needs in the shape of an OpDefinition's members."""
        return {
            "protocol": protocol.VERSION,
            "title": self.words.title,
            "description": self.words.description,
            "input_specs": {name: each.to_dict() for name, each in self.inputs.items()},
            "output_specs": self.result.to_dict(),
            "streams": self.result.streams,
            "constraints": self.needs.constraints,
            "retry_policy": self.needs.retry_policy,
            "execution": self.needs.execution,
        }

    def arguments(
        self, inputs: dict[str, Any], context: Context, locate: Locate
    ) -> tuple[list[Any], dict[str, Any]]:
        """Decode inputs into what the op is called with.

        Raises:
            BadInput: With everything that is wrong with them.
        """
        problems = [
            Problem(pointer([name]), f"unknown; expected only {', '.join(self.inputs) or 'none'}")
            for name in inputs
            if name not in self.inputs
        ]
        values: dict[str, Any] = {}
        for name, parameter in self.inputs.items():
            try:
                if name in inputs:
                    values[name] = decode(parameter.shape, inputs[name], (name,), locate)
                elif parameter.required:
                    problems.append(Problem(pointer([name]), "missing"))
            except Undecodable as failure:
                problems += failure.problems
        if problems:
            raise BadInput(problems)
        positional = [n for n, each in self.inputs.items() if each.is_positional and n in values]
        named = {name: value for name, value in values.items() if name not in positional}
        return [values[n] for n in positional], {**named, **dict.fromkeys(self.contexts, context)}


def derive(target: Any) -> OpSpec:
    """Read the spec of a function, or of a class with `run()`.

    Raises:
        SpecError: With every parameter and type that does not fit.
    """
    run = run_of(target)
    words = docstrings.parse(inspect.getdoc(run))
    if isinstance(target, type):
        words = _over(docstrings.parse(target.__doc__), words)
    reader, problems = _SignatureReader(run, words), list[Problem]()
    inputs, contexts = reader.inputs(problems, skip_self=isinstance(target, type))
    result = reader.result(problems)
    if problems:
        raise SpecError(problems)
    return OpSpec(target, run, inputs, result, contexts, words, needs_of(target) or Needs())


def run_of(target: Any) -> Callable[..., Any]:
    """What is called for a run: the function itself, or the class's `run`.

    Raises:
        SpecError: It is neither.
    """
    name = getattr(target, "__qualname__", repr(target))
    if not isinstance(target, type):
        if callable(target):
            return target
        raise SpecError(f"{name} is no op: expected a function, or a class with run()")
    run = getattr(target, "run", None)
    if not callable(run):
        raise SpecError(f"class {name} has no run(); write one, and setup() for what takes long")
    return run


def context_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters that are annotated `Context`."""
    words = Docstring()
    return _SignatureReader(function, words).inputs([], skip_self=False)[1]


class _SignatureReader:
    """Reads one signature, noting every problem by parameter."""

    def __init__(self, function: Callable[..., Any], words: Docstring) -> None:
        self._function = inspect.unwrap(function)
        self._words = words
        self._hints = HintReader()

    def inputs(
        self, problems: list[Problem], *, skip_self: bool
    ) -> tuple[dict[str, Parameter], tuple[str, ...]]:
        """Return the inputs and the names of context parameters."""
        found: dict[str, Parameter] = {}
        contexts: list[str] = []
        parameters = list(inspect.signature(self._function).parameters.values())
        for parameter in parameters[1:] if skip_self else parameters:
            try:
                if self._resolved(parameter.name, parameter.annotation) is Context:
                    contexts.append(parameter.name)
                else:
                    found[parameter.name] = self._parameter(parameter)
            except (Unsupported, SpecError, OutputError) as error:
                problems.append(Problem(parameter.name, str(error)))
        return found, tuple(contexts)

    def result(self, problems: list[Problem]) -> Result:
        """Return what the op returns."""
        annotation = inspect.signature(self._function).return_annotation
        try:
            if annotation is inspect.Signature.empty:
                raise SpecError("has no type; write -> None if the op returns nothing")  # noqa: TRY301
            hint = self._resolved("return", annotation)
            result = read_result(hint, self._hints, self._words.returns)
            _refuse_lookalikes(*(output.shape for output in result.outputs.values()))
        except (Unsupported, SpecError) as error:
            problems.append(Problem("return", str(error)))
            return Result()
        return result

    def _parameter(self, parameter: inspect.Parameter) -> Parameter:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            instead = "list[T]" if stars == "*" else "dict[str, T]"
            raise SpecError(f"{stars}{parameter.name} has no name to give; take a {instead}")
        if parameter.annotation is inspect.Parameter.empty:
            raise SpecError(_NO_TYPE.format(name=parameter.name))
        shape = self._hints.shape(self._resolved(parameter.name, parameter.annotation))
        _refuse_lookalikes(shape)
        description = shape.field.description or self._words.arguments.get(parameter.name, "")
        is_positional = parameter.kind is parameter.POSITIONAL_ONLY
        if parameter.default is inspect.Parameter.empty:
            return Parameter(shape, True, None, description, is_positional)  # noqa: FBT003
        if parameter.default is None and not is_nullable(shape):
            shape = OneOf((shape, Null()), field=shape.field.only(("description", "examples")))
        default = _default(shape, parameter.default)
        return Parameter(shape, False, default, description, is_positional)  # noqa: FBT003

    def _resolved(self, name: str, annotation: Any) -> Any:
        """A hint with its names looked up, one at a time so that each can fail by itself."""
        if annotation is inspect.Parameter.empty:
            return annotation
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        names = getattr(self._function, "__globals__", {})
        try:
            hints = typing.get_type_hints(holder, globalns=names, include_extras=True)
        except NameError as error:
            raise SpecError(self._unknown_name(annotation, error)) from None
        except (SyntaxError, TypeError) as error:
            raise SpecError(f"type {annotation!r} cannot be read: {error}") from None
        return hints[name]

    def _unknown_name(self, annotation: Any, error: NameError) -> str:
        is_local = "<locals>" in self._function.__qualname__
        where = (
            "the op is defined inside of a function, whose names nobody else can see; "
            "move both to the top of the module"
            if is_local
            else "import or define it at the top of the module (not under TYPE_CHECKING)"
        )
        return f"type {annotation} cannot be read: {error}; {where}"


def _default(shape: Shape, value: Any) -> Any:
    try:
        found = encode_default(shape, value)
        decode(shape, found, ())
    except (OutputError, Undecodable) as error:
        raise SpecError(f"its default does not fit its type: {error}") from None
    return found


def _refuse_lookalikes(*shapes: Shape) -> None:
    for problem in filter(None, map(lookalike, shapes)):
        raise SpecError(problem)


def _over(first: Docstring, second: Docstring) -> Docstring:
    return Docstring(
        first.title or second.title,
        first.description or second.description,
        {**first.arguments, **second.arguments},
        second.returns or first.returns,
    )
