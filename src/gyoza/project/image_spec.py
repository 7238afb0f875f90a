"""What an image says of the op inside, in the label that `gyoza build` writes, beside `gyoza.yml`.

The code declares inputs and outputs; the file may add what code cannot say, and what it says of
resources and execution wins over the code. Of inputs and outputs both may speak, but not differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gyoza.models import Constraints, Execution, InputSpecs, OutputSpecs, RetryPolicy
from gyoza.models.fields import InvalidFields, Reader, read_fields, text
from gyoza.project.errors import Problem, ProjectError
from gyoza.project.image_plan import SPEC_LABEL
from gyoza.project.project_file import Project
from gyoza.wire import strict_json


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The op of an image as its code declares it.

    Attributes:
        input_specs: Its parameters.
        output_specs: What it returns.
        constraints: What `@op` asks for.
        retry_policy: What `@op` asks for.
        execution: What `@op` asks for.
        target: `module:name` of the code; "" when the label does not say.
    """

    input_specs: InputSpecs = field(default_factory=InputSpecs)
    output_specs: OutputSpecs = field(default_factory=OutputSpecs)
    constraints: Constraints = field(default_factory=Constraints)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    execution: Execution = field(default_factory=Execution)
    target: str = ""


def spec_of(labels: Mapping[str, str]) -> ImageSpec | None:
    """Read the spec among an image's labels; None when the image was not made by `gyoza build`.

    Raises:
        ValueError: The label is there and cannot be read.
    """
    text = labels.get(SPEC_LABEL)
    if text is None:
        return None
    value = strict_json.loads(text)
    return ImageSpec(**read_fields(SPEC_LABEL, value, _READERS, ignore_unknown=True))


def completed(project: Project, labels: Mapping[str, str]) -> Project:
    """Return the project with what its file leaves to the code of its image.

    Raises:
        ProjectError: The label cannot be read, or file and code contradict each other.
    """
    try:
        spec = spec_of(labels)
    except (strict_json.StrictJsonError, InvalidFields) as error:
        problem = f"the image's label {SPEC_LABEL} cannot be read ({error}); build it again"
        raise ProjectError(project.file, [Problem(0, ("image",), problem)]) from None
    if spec is None:
        return project
    problems = [
        *_contradictions(project, spec, "inputs", project.inputs, spec.input_specs),
        *_contradictions(project, spec, "outputs", project.outputs, spec.output_specs),
    ]
    if problems:
        raise ProjectError(project.file, problems)
    return replace(
        project,
        inputs=project.inputs if project.inputs.specs else spec.input_specs,
        outputs=project.outputs if project.outputs.specs else spec.output_specs,
        constraints=_first_said(project.constraints, spec.constraints, Constraints()),
        retry=_first_said(project.retry, spec.retry_policy, RetryPolicy()),
        execution=_first_said(project.execution, spec.execution, Execution()),
    )


def _contradictions(
    project: Project,
    spec: ImageSpec,
    section: str,
    said: InputSpecs | OutputSpecs,
    coded: InputSpecs | OutputSpecs,
) -> list[Problem]:
    """Names and types on which file and code differ; a file may leave them all to the code."""
    if not said.specs or not coded.specs:
        return []
    ours = {name: spec.type for name, spec in said.specs.items()}
    theirs = {name: spec.type for name, spec in coded.specs.items()}
    code = f"the code ({spec.target})" if spec.target else "the code"
    return [
        Problem(
            project.line_of(section, name),
            (section, name),
            f"{project.file.name} says {ours.get(name, 'nothing of it')}, "
            f"{code} in the image says {theirs.get(name, 'nothing of it')}; "
            f"leave `{section}` out to take the code's",
        )
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]


def _first_said(said: Any, coded: Any, nothing: Any) -> Any:
    return coded if said == nothing else said


_READERS: Final[Mapping[str, Reader]] = {
    "input_specs": InputSpecs.from_dict,
    "output_specs": OutputSpecs.from_dict,
    "constraints": Constraints.from_dict,
    "retry_policy": RetryPolicy.from_dict,
    "execution": Execution.from_dict,
    "target": text,
}
