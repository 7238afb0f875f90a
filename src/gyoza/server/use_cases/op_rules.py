"""What makes an op definition acceptable, and inputs and outputs acceptable to it: pure functions.

Stricter than the model, which takes whatever its reference says. Every function returns all faults
at once; none of them raises for what a user wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from gyoza.models import (
    OP_ID_PATTERN,
    Constraints,
    Execution,
    InputSpec,
    OpDefinition,
    OutputSpec,
    OutputSpecs,
)
from gyoza.models.fields import InvalidFields
from gyoza.server.scheduling.selectors import BadSelector, parse
from gyoza.server.use_cases.concurrency import concurrency_faults, placeholder_faults
from gyoza.server.use_cases.json_schemas import schema_faults, value_faults
from gyoza.wire.messages import Fault, JsonObject, PutDefinition
from gyoza.wire.strict_json import pointer_of

MAX_ID_CHARS: Final = 128
MAX_VERSION_CHARS: Final = 64
MAX_IMAGE_CHARS: Final = 512
# With less RAM than this the container engine itself refuses.
_LEAST: Final = {"cpu": 1, "ram_mb": 6}
_ID: Final = re.compile(OP_ID_PATTERN)


def definition_from(
    command: PutDefinition, now: datetime
) -> tuple[OpDefinition | None, list[Fault]]:
    """Read a definition out of a document.

    Args:
        command: The document; its timestamps are ignored.
        now: The moment of registration.

    Returns:
        The definition and no faults, or None and every fault.
    """
    document: JsonObject = msgspec.to_builtins(command)
    document.pop("createdAt", None)
    document.pop("updatedAt", None)
    faults = _name_faults(command)
    try:
        definition = OpDefinition.from_dict(document)
    except InvalidFields as error:
        return None, faults + field_faults(error)
    definition.created_at = definition.updated_at = now
    faults += _spec_faults(definition)
    faults += constraint_faults(definition.constraints)
    faults += execution_faults(definition.execution)
    faults += placeholder_faults(definition.execution, definition.input_specs)
    return (None, faults) if faults else (definition, [])


def field_faults(error: InvalidFields, at: str = "") -> list[Fault]:
    """Return the model's own complaints as faults, with pointers under `at`."""
    places = [(at + each.pointer, each.text) for each in error.problems]
    return [Fault(pointer=place, message=_with_our_least(place, said)) for place, said in places]


def _with_our_least(pointer: str, text: str) -> str:
    # The model takes zeros that are refused here: two answers, one after the other, would be odd.
    section, _, name = pointer.rpartition("/")
    least = _LEAST.get(name) if section == "/constraints" else None
    return text if least is None else text.replace("of at least 0", f"of at least {least}")


def image_faults(image: str) -> list[Fault]:
    """Return what is wrong with an image reference; whether it exists the worker finds out."""
    if not image or any(char.isspace() for char in image) or len(image) > MAX_IMAGE_CHARS:
        expected = f"1 to {MAX_IMAGE_CHARS} characters without blanks, such as python:3.12-slim"
        return [Fault(pointer="/image", message=f"got {image[:80]!r}, expected {expected}")]
    return []


def constraint_faults(constraints: Constraints) -> list[Fault]:
    """Return what is wrong with the resources that a run names."""
    faults: list[Fault] = []
    for name, least in _LEAST.items():
        value: int | None = getattr(constraints, name)
        if value is not None and value < least:
            message = f"got {value}, expected at least {least}, or null for the server's default"
            faults.append(Fault(pointer=f"/constraints/{name}", message=message))
    return faults


def execution_faults(execution: Execution) -> list[Fault]:
    """Return what is wrong with the execution settings, or not carried out yet by this version.

    Taking a limit and not keeping it would be worse than refusing it.
    """
    faults = concurrency_faults(execution.concurrency)
    if execution.warm is not None:
        message = "is not available in this version; leave it out"
        faults.append(Fault(pointer="/execution/warm", message=message))
    for name, expression in execution.selectors.items():
        try:
            parse(expression)
        except BadSelector as error:
            at = "/execution/selectors" + pointer_of(name)
            faults.append(Fault(pointer=at, message=str(error)))
    return faults


def input_faults(definition: OpDefinition, inputs: Mapping[str, Any]) -> list[Fault]:
    """Return everything wrong with inputs: names and types first, then each by its schema.

    A value that already has the wrong type is not reported again by its schema.
    """
    specs = definition.input_specs
    found = specs.check(inputs)
    faults = [Fault(pointer=f"/inputs{at}", message=message) for at, message in found]
    return faults + _schema_faults(specs.specs, inputs, {at for at, _ in found}, "/inputs")


def output_faults(specs: OutputSpecs, outputs: Mapping[str, Any]) -> list[Fault]:
    """Return everything wrong with outputs, like `input_faults`, under `/outputs`."""
    found = specs.check(outputs)
    faults = [Fault(pointer=f"/outputs{at}", message=message) for at, message in found]
    return faults + _schema_faults(specs.specs, outputs, {at for at, _ in found}, "/outputs")


def _name_faults(command: PutDefinition) -> list[Fault]:
    faults: list[Fault] = []
    if not _ID.fullmatch(command.id) or len(command.id) > MAX_ID_CHARS:
        expected = f"at most {MAX_ID_CHARS} of a-z 0-9 . _ - that begin with a letter or digit"
        message = f"got {command.id[:80]!r}, expected {expected}"
        faults.append(Fault(pointer="/id", message=message))
    version = command.version
    if not version.strip() or len(version) > MAX_VERSION_CHARS or "/" in version:
        message = f"got {version[:80]!r}, expected 1 to {MAX_VERSION_CHARS} characters without /"
        faults.append(Fault(pointer="/version", message=message))
    return faults + image_faults(command.image)


def _spec_faults(definition: OpDefinition) -> list[Fault]:
    faults: list[Fault] = []
    for name, spec in definition.input_specs.specs.items():
        faults += _one_spec_faults(spec, "/input_specs" + pointer_of(name), name)
    for name, spec in definition.output_specs.specs.items():
        faults += _one_spec_faults(spec, "/output_specs" + pointer_of(name), name)
    return faults


def _one_spec_faults(spec: InputSpec | OutputSpec, at: str, name: str) -> list[Fault]:
    faults: list[Fault] = []
    if not name:
        faults.append(Fault(pointer=at, message="the name is empty, expected a name"))
    if not spec.type.strip():
        faults.append(Fault(pointer=f"{at}/type", message="is empty, expected a type name"))
    if spec.schema is not None:
        faults += schema_faults(spec.schema, f"{at}/schema")
    if not faults and isinstance(spec, InputSpec):
        faults += _default_faults(spec, f"{at}/default")
    return faults


def _default_faults(spec: InputSpec, at: str) -> list[Fault]:
    if spec.default is None:
        return []
    problem = spec.problem(spec.default)
    if problem is not None:
        return [Fault(pointer=at, message=problem)]
    return value_faults(spec.schema, spec.default, at) if spec.schema is not None else []


def _schema_faults(
    specs: Mapping[str, InputSpec] | Mapping[str, OutputSpec],
    values: Mapping[str, Any],
    known: set[str],
    at: str,
) -> list[Fault]:
    faults: list[Fault] = []
    for name, spec in specs.items():
        pointer = pointer_of(name)
        value = values.get(name)
        stands_for_absent = value is None and isinstance(spec, InputSpec) and not spec.required
        if spec.schema is None or name not in values or pointer in known or stands_for_absent:
            continue
        faults += value_faults(spec.schema, value, at + pointer)
    return faults
