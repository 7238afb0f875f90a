"""Which op is meant: from an image, a project or both to the definition that a server would have.

Reading `gyoza.yml` and labels is done in `gyoza.project`; here both are only put together, and
inputs are checked against the result as at a submit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gyoza.models import OpDefinition
from gyoza.project import Project
from gyoza.project.image_spec import completed, spec_of

_UNNAMED = "image"
_UNVERSIONED = "0"


def definition_of(
    image: str, labels: Mapping[str, str], project: Project | None = None, *, now: datetime
) -> OpDefinition:
    """Return the definition of an image's op.

    Args:
        image: Reference.
        labels: Of the image; the one that `gyoza build` writes has the spec.
        project: What a `gyoza.yml` says beside it; None when there is none.
        now: The moment of its creation.

    Raises:
        ProjectError: File and label contradict each other, or the label cannot be read.
        ValueError: Without a file: the label cannot be read.
    """
    if project is not None:
        return completed(project, labels).definition(image=image, now=now)
    spec = spec_of(labels)
    if spec is None:
        return OpDefinition.create(_UNNAMED, _UNVERSIONED, image, now=now)
    return OpDefinition.create(
        _UNNAMED,
        _UNVERSIONED,
        image,
        spec.input_specs,
        spec.output_specs,
        spec.constraints,
        spec.retry_policy,
        execution=spec.execution,
        now=now,
    )


def input_problems(definition: OpDefinition, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the JSON pointer and message of everything a server would refuse in the inputs.

    Names and types are always checked, schemas where `gyoza-ops[server]` is installed: the library
    that checks them comes with it, and the op checks them itself in any case.
    """
    try:
        from gyoza.server.use_cases.op_rules import input_faults  # noqa: PLC0415 - an extra's
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("gyoza"):
            raise
        return definition.input_specs.check(inputs)
    faults = input_faults(definition, inputs)
    return [(fault.pointer.removeprefix("/inputs"), fault.message) for fault in faults]


def refusal_text(problems: list[tuple[str, str]]) -> str:
    """All problems as one line."""
    return "; ".join(f"{pointer or '/'}: {message}" for pointer, message in problems)
