"""OpDefinition aggregate and input/output specification types.

Checks that inputs and outputs are what the specs say, by their type names. Which ids, versions
and images are acceptable is the use cases' business, as is checking against JSON Schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from gyoza.models.fields import (
    Reader,
    anything,
    extension_fields,
    flag,
    instant,
    mapping,
    optional,
    read_fields,
    read_named,
    text,
)
from gyoza.models.json_values import copy_json, pointer
from gyoza.models.resources import Constraints, EventDelivery, Execution, RetryPolicy
from gyoza.models.timestamps import as_utc, format_time, utc_now
from gyoza.models.value_types import mismatch, undeclared

OP_ID_PATTERN = r"[a-z0-9][a-z0-9._-]*"
"""What a definition's id matches, whole; enforced by the use case that registers it."""


class _ValueErrors(Exception):
    def __init__(self, errors: list[str], *, pointers: list[str] | None = None) -> None:
        super().__init__(errors)
        self.errors = errors
        self.pointers = pointers or []

    def __str__(self) -> str:
        return "; ".join(self.errors)


class InputValidationError(_ValueErrors):
    """Raised when input validation fails against an OpDefinition's specs.

    Args:
        errors: List of validation error messages.
        pointers: The JSON pointer of each error's input, in the same order; None when unknown.
    """


class OutputValidationError(_ValueErrors):
    """Raised when outputs are not what an OpDefinition declares.

    Args:
        errors: List of validation error messages.
        pointers: The JSON pointer of each error's output, in the same order; None when unknown.
    """


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Specification for a single input parameter.

    Args:
        type: Type name (e.g. ``"string"``, ``"float"``); an unknown name takes any value.
        required: Whether the input must be given.
        default: Value of an input that is not required and not given; None leaves it out.
        schema: JSON Schema for the server to check; None means the type says all.
        description: What the input means, for people.
    """

    type: str
    required: bool = True
    default: Any = None
    schema: dict[str, Any] | None = None
    description: str = ""

    _READERS: ClassVar[dict[str, Reader]] = {
        "type": text,
        "required": flag,
        "default": anything,
        "schema": optional(mapping),
        "description": text,
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "default", copy_json(self.default))
        object.__setattr__(self, "schema", copy_json(self.schema))

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary."""
        return {
            "type": self.type,
            "required": self.required,
            "default": copy_json(self.default),
            **extension_fields(self, ("schema", "description")),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> InputSpec:
        """Deserialise from a dictionary that has at least a ``type``.

        Raises:
            ValueError: With every unknown or missing field and every unexpected value.
        """
        return cls(**read_fields("input spec", data, cls._READERS, required=("type",)))

    def problem(self, value: object) -> str | None:
        """Say what is wrong with a given value, or None; null stands for an absent optional."""
        if value is None and not self.required and self.default is None:
            return None
        return mismatch(self.type, value)


@dataclass(frozen=True, slots=True)
class InputSpecs:
    """Collection of input specifications keyed by parameter name.

    Args:
        specs: Mapping of input names to their specifications; none declares nothing, and then
            every input is taken.
    """

    specs: dict[str, InputSpec] = field(default_factory=dict[str, InputSpec])

    def __post_init__(self) -> None:
        object.__setattr__(self, "specs", dict(self.specs))

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary: input names to their serialised specs."""
        return {name: spec.to_dict() for name, spec in self.specs.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> InputSpecs:
        """Deserialise from a mapping of input names to raw specs (or ready ``InputSpec``s).

        Raises:
            ValueError: With the problems of all specs.
        """
        return cls(read_named("input specs", data, _input_spec))

    def check(self, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the JSON pointer and message of everything wrong with the inputs."""
        found = [
            (pointer(name), _missing_input(spec))
            for name, spec in self.specs.items()
            if spec.required and name not in inputs
        ]
        return found + _check_values(self.specs, inputs)


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """Specification for a single output field.

    Args:
        type: Type name of the output (e.g. ``"string"``, ``"float"``).
        schema: JSON Schema for the server to check; None means the type says all.
        description: What the output means, for people.
    """

    type: str
    schema: dict[str, Any] | None = None
    description: str = ""

    _READERS: ClassVar[dict[str, Reader]] = {
        "type": text,
        "schema": optional(mapping),
        "description": text,
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", copy_json(self.schema))

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary."""
        return {"type": self.type, **extension_fields(self, ("schema", "description"))}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> OutputSpec:
        """Deserialise from a dictionary that has at least a ``type``.

        Raises:
            ValueError: With every unknown or missing field and every unexpected value.
        """
        return cls(**read_fields("output spec", data, cls._READERS, required=("type",)))

    def problem(self, value: object) -> str | None:
        """Say what is wrong with a value, or None."""
        return mismatch(self.type, value)


@dataclass(frozen=True, slots=True)
class OutputSpecs:
    """Collection of output specifications keyed by field name.

    Args:
        specs: Mapping of output field names to their specifications; none declares nothing, and
            then every output is taken.
    """

    specs: dict[str, OutputSpec] = field(default_factory=dict[str, OutputSpec])

    def __post_init__(self) -> None:
        object.__setattr__(self, "specs", dict(self.specs))

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary: output names to their serialised specs."""
        return {name: spec.to_dict() for name, spec in self.specs.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> OutputSpecs:
        """Deserialise from a mapping of output names to raw specs (or ready ``OutputSpec``s).

        Raises:
            ValueError: With the problems of all specs.
        """
        return cls(read_named("output specs", data, _output_spec))

    def check(self, outputs: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the JSON pointer and message of everything wrong with the outputs."""
        found = [
            (pointer(name), f"declared output is missing, expected type {spec.type}")
            for name, spec in self.specs.items()
            if name not in outputs
        ]
        return found + _check_values(self.specs, outputs)


@dataclass(slots=True)
class OpDefinition:
    """Aggregate root describing an operation and its execution requirements.

    Serves as the template from which op runs are created.

    Args:
        id: Unique human-readable identifier (e.g. ``"sugarcane_lines_product"``).
        version: Semantic version string (e.g. ``"1.2.0"``).
        image: Docker image reference including registry and tag.
        input_specs: Accepted input parameters.
        output_specs: Output fields produced by the operation.
        constraints: Hardware requirements for execution.
        retry_policy: Failure recovery rules.
        event_delivery: Event delivery configuration for runs of this definition.
        created_at: When the definition was registered.
        updated_at: When it was last updated.
        image_digest: What the image's tag meant at registration; None while unresolved.
        execution: How containers of this definition are started, bounded and placed.
    """

    id: str
    version: str
    image: str
    input_specs: InputSpecs = field(default_factory=InputSpecs)
    output_specs: OutputSpecs = field(default_factory=OutputSpecs)
    constraints: Constraints = field(default_factory=Constraints)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    event_delivery: EventDelivery = field(default_factory=EventDelivery)
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)
    image_digest: str | None = None
    execution: Execution = field(default_factory=Execution)

    _READERS: ClassVar[dict[str, Reader]] = {
        "id": text,
        "version": text,
        "image": text,
        "input_specs": InputSpecs.from_dict,
        "output_specs": OutputSpecs.from_dict,
        "constraints": Constraints.from_dict,
        "retry_policy": RetryPolicy.from_dict,
        "event_delivery": EventDelivery.from_dict,
        "createdAt": instant,
        "updatedAt": instant,
        "image_digest": optional(text),
        "execution": Execution.from_dict,
    }

    @classmethod
    def create(
        cls,
        id: str,  # noqa: A002 - the reference fixes the name
        version: str,
        image: str,
        input_specs: InputSpecs | dict[str, Any] | None = None,
        output_specs: OutputSpecs | dict[str, Any] | None = None,
        constraints: Constraints | None = None,
        retry_policy: RetryPolicy | None = None,
        event_delivery: EventDelivery | None = None,
        *,
        image_digest: str | None = None,
        execution: Execution | None = None,
        now: datetime | None = None,
    ) -> OpDefinition:
        """Create a new OpDefinition with both timestamps set to now.

        Args:
            id: Unique human-readable identifier.
            version: Semantic version of the definition.
            image: Docker image reference.
            input_specs: Accepted input parameters, or a mapping of names to raw specs.
            output_specs: Output field definitions, or a mapping of names to raw specs.
            constraints: Hardware requirements; None sets none.
            retry_policy: Failure recovery rules; None means one attempt.
            event_delivery: Event delivery configuration; None means the sink's defaults.
            image_digest: What the image's tag resolved to; None while unknown.
            execution: How containers are started; None means the defaults.
            now: The moment of creation; None asks the clock.

        Raises:
            ValueError: A raw spec is invalid; all problems are listed.
        """
        moment = as_utc(now)
        return cls(
            id=id,
            version=version,
            image=image,
            input_specs=_input_specs(input_specs),
            output_specs=_output_specs(output_specs),
            constraints=constraints or Constraints(),
            retry_policy=retry_policy or RetryPolicy(),
            event_delivery=copy_json(event_delivery) or EventDelivery(),
            created_at=moment,
            updated_at=moment,
            image_digest=image_digest,
            execution=copy_json(execution) or Execution(),
        )

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """Validate inputs against the definition's input specs.

        Raises:
            InputValidationError: Inputs are missing, of another type, or undeclared where any
                are declared; all of it at once.
        """
        problems = self.input_specs.check(inputs)
        if problems:
            raise InputValidationError(_lines(problems), pointers=[at for at, _ in problems])

    def prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Validate inputs and apply defaults.

        Returns:
            A copy of the inputs with the defaults of absent optional ones; those whose default
            is None stay absent.

        Raises:
            InputValidationError: As ``validate_inputs``.
        """
        self.validate_inputs(inputs)
        defaults = {
            name: copy_json(spec.default)
            for name, spec in self.input_specs.specs.items()
            if name not in inputs and spec.default is not None
        }
        return {**copy_json(dict(inputs)), **defaults}

    def validate_outputs(self, outputs: dict[str, Any]) -> None:
        """Validate outputs against the definition's output specs.

        Raises:
            OutputValidationError: Outputs are missing, of another type, or undeclared where any
                are declared; all of it at once.
        """
        problems = self.output_specs.check(outputs)
        if problems:
            raise OutputValidationError(_lines(problems), pointers=[at for at, _ in problems])

    def update(
        self,
        version: str | None = None,
        image: str | None = None,
        input_specs: InputSpecs | dict[str, Any] | None = None,
        output_specs: OutputSpecs | dict[str, Any] | None = None,
        constraints: Constraints | None = None,
        retry_policy: RetryPolicy | None = None,
        *,
        event_delivery: EventDelivery | None = None,
        image_digest: str | None = None,
        execution: Execution | None = None,
        now: datetime | None = None,
    ) -> None:
        """Update definition fields in place; what is None stays as it is.

        Args:
            version: New version string.
            image: New Docker image reference.
            input_specs: New input specifications, or a mapping of names to raw specs.
            output_specs: New output specifications, or a mapping of names to raw specs.
            constraints: New hardware requirements.
            retry_policy: New retry policy.
            event_delivery: New event delivery configuration.
            image_digest: What the new image's tag resolved to.
            execution: New execution settings.
            now: The moment of the update; None asks the clock.

        Raises:
            ValueError: A raw spec is invalid; nothing was changed.
        """
        changes = {
            "version": version,
            "image": image,
            "input_specs": None if input_specs is None else _input_specs(input_specs),
            "output_specs": None if output_specs is None else _output_specs(output_specs),
            "constraints": constraints,
            "retry_policy": retry_policy,
            "event_delivery": copy_json(event_delivery),
            "image_digest": image_digest,
            "execution": copy_json(execution),
        }
        for name, value in changes.items():
            if value is not None:
                setattr(self, name, value)
        self.updated_at = as_utc(now)

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary.

        Returns:
            The fields in snake_case, but the timestamps as ``createdAt`` and ``updatedAt``.
        """
        return {
            "id": self.id,
            "version": self.version,
            "image": self.image,
            "input_specs": self.input_specs.to_dict(),
            "output_specs": self.output_specs.to_dict(),
            "constraints": self.constraints.to_dict(),
            "retry_policy": self.retry_policy.to_dict(),
            "event_delivery": self.event_delivery.to_dict(),
            "createdAt": format_time(self.created_at),
            "updatedAt": format_time(self.updated_at),
            **extension_fields(self, ("image_digest", "execution")),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> OpDefinition:
        """Deserialise from a dictionary; absent times are the current one.

        Raises:
            ValueError: With every unknown or missing field and every unexpected value.
        """
        required = ("id", "version", "image")
        values = read_fields("op definition", data, cls._READERS, required=required)
        for key, name in (("createdAt", "created_at"), ("updatedAt", "updated_at")):
            if key in values:
                values[name] = values.pop(key)
        return cls(**values)


def _input_spec(value: Any) -> InputSpec:
    return value if isinstance(value, InputSpec) else InputSpec.from_dict(value)


def _output_spec(value: Any) -> OutputSpec:
    return value if isinstance(value, OutputSpec) else OutputSpec.from_dict(value)


def _input_specs(value: InputSpecs | dict[str, Any] | None) -> InputSpecs:
    return value if isinstance(value, InputSpecs) else InputSpecs.from_dict(value or {})


def _output_specs(value: OutputSpecs | dict[str, Any] | None) -> OutputSpecs:
    return value if isinstance(value, OutputSpecs) else OutputSpecs.from_dict(value or {})


def _missing_input(spec: InputSpec) -> str:
    message = f"required input is missing, expected type {spec.type}"
    if spec.default is None:
        return message
    return f"{message} (its default is used only where the spec says required: false)"


def _check_values(
    specs: Mapping[str, InputSpec] | Mapping[str, OutputSpec], values: Mapping[str, Any]
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        spec = specs.get(name)
        problem = spec.problem(value) if spec else undeclared(name, specs) if specs else None
        if problem:
            found.append((pointer(name), problem))
    return found


def _lines(problems: list[tuple[str, str]]) -> list[str]:
    return [f"{_unescaped(at)}: {message}" for at, message in problems]


def _unescaped(at: str) -> str:
    return at.removeprefix("/").replace("~1", "/").replace("~0", "~")
