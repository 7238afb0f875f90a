"""`gyoza.yml`, or a script's own block, as a typed Project, and the OpDefinition it stands for.

Which fields there are and what they take is said in `file_fields`; this module finds and reads the
file, and gives every problem its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from gyoza.models import (
    Constraints,
    EventDelivery,
    Execution,
    InputSpecs,
    OpDefinition,
    OutputSpecs,
    RetryPolicy,
)
from gyoza.models.fields import InvalidFields, Unexpected
from gyoza.project.build_settings import BuildSettings
from gyoza.project.errors import Problem, ProjectError
from gyoza.project.field_readers import op_id
from gyoza.project.file_fields import PROJECT, SCRIPT
from gyoza.project.inline_script import has_block, read_inline_script
from gyoza.project.yaml_lines import Lines, parse

FILE_NAME: Final = "gyoza.yml"
SCRIPT_SUFFIX: Final = ".py"
_FIRST_VERSION: Final = "0.1.0"
_OTHER_NAMES: Final = ("gyoza.yaml",)
_MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Project:
    """What a `gyoza.yml` says.

    Attributes:
        file: Where it was read.
        id: Op id.
        version: Version of the op.
        image: Reference of its image; None when it is given at deploy.
        description: For people.
        inputs: Declared inputs; none declares nothing.
        outputs: Declared outputs; none declares nothing.
        constraints: CPUs, RAM and VRAM.
        retry: Retry policy.
        events: Event delivery.
        execution: How containers are started, bounded and placed.
        entrypoint: `module:name` of the op in a built image; None leaves it to be found.
        build: How the image is built.
        lines: Where the file says what, by the keys from the top down; what is not there has the
            line of what is around it, or none.
    """

    file: Path
    id: str
    version: str
    image: str | None = None
    description: str = ""
    inputs: InputSpecs = field(default_factory=InputSpecs)
    outputs: OutputSpecs = field(default_factory=OutputSpecs)
    constraints: Constraints = field(default_factory=Constraints)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    events: EventDelivery = field(default_factory=EventDelivery)
    execution: Execution = field(default_factory=Execution)
    entrypoint: str | None = None
    build: BuildSettings = field(default_factory=BuildSettings)
    lines: Mapping[tuple[str, ...], int] = field(
        default_factory=dict[tuple[str, ...], int], compare=False, repr=False
    )

    def line_of(self, *path: str) -> int:
        """Return the line that says something; 0 when none does."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def definition(
        self,
        *,
        image: str | None = None,
        version: str | None = None,
        image_digest: str | None = None,
        now: datetime | None = None,
    ) -> OpDefinition:
        """Return the definition that the project stands for.

        Args:
            image: Instead of the file's.
            version: Instead of the file's.
            image_digest: What the image's tag stands for; None while unresolved.
            now: The moment of its creation; None asks the clock.

        Raises:
            ProjectError: Neither the file nor the argument names an image.
        """
        reference = image or self.image
        if not reference:
            missing = "missing; name the image here or pass --image"
            raise ProjectError(self.file, [Problem(1, ("image",), missing)])
        return OpDefinition.create(
            self.id,
            version or self.version,
            reference,
            self.inputs,
            self.outputs,
            self.constraints,
            self.retry,
            self.events,
            image_digest=image_digest,
            execution=self.execution,
            now=now,
        )


def find_project_file(path: Path) -> Path:
    """Return the project file that a path means: itself, or the one in the folder.

    Raises:
        ProjectError: There is none.
    """
    if path.is_file():
        return path
    for name in (FILE_NAME, *_OTHER_NAMES):
        if (path / name).is_file():
            return path / name
    what = _no_project(path) if path.exists() else "no such file or folder"
    raise ProjectError(path, [Problem(0, (), what)])


def _no_project(folder: Path) -> str:
    what = f"no {FILE_NAME} in this folder"
    scripts = [str(file) for file in sorted(folder.glob(f"*{SCRIPT_SUFFIX}")) if _is_script(file)]
    if not scripts:
        return f"{what}; `gyoza init` writes a project"
    return f"{what}; a project of one file goes by the file's name: {' or '.join(scripts)}"


def _is_script(file: Path) -> bool:
    try:
        return has_block(_text_of(file))
    except (OSError, ProjectError):
        return False


def read_project(path: Path) -> Project:
    """Read a project file, the one in a folder, or a Python file's own block.

    A script's id is its name and its version 0.1.0 where its block names none.

    Raises:
        ProjectError: With every problem of the file and its line.
    """
    if path.suffix == SCRIPT_SUFFIX and path.is_file():
        return _of_script(path)
    file = find_project_file(path)
    lines = parse(_text_of(file))
    if lines.problems:
        raise ProjectError(file, lines.problems)
    try:
        values = PROJECT.read(_as_written(lines))
    except InvalidFields as error:
        problems = [Problem(lines.line_of(p.path), p.path, p.text) for p in error.problems]
        raise ProjectError(file, problems) from None
    return Project(file=file, lines=lines.lines, **values)


def _of_script(file: Path) -> Project:
    script = read_inline_script(file, _text_of(file))
    try:
        values = SCRIPT.read(script.settings)
    except InvalidFields as error:
        problems = [
            Problem(script.line_of(p.path), ("tool", "gyoza", *p.path), p.text)
            for p in error.problems
        ]
        raise ProjectError(file, problems) from None
    given: dict[str, Any] = {"id": _id_of(file), "version": _FIRST_VERSION, **values}
    return Project(file=file, lines={(): script.line}, **given)


def _id_of(file: Path) -> str:
    name = file.stem.lower().replace("_", "-").strip("-.")
    try:
        return op_id(name)
    except Unexpected as error:
        unnamed = f"no op can be called {name!r}; write `id` in [tool.gyoza]: {error}"
        raise ProjectError(file, [Problem(0, ("id",), unnamed)]) from None


def _text_of(file: Path) -> str:
    try:
        content = file.read_bytes()
        if len(content) > _MAX_BYTES:
            too_long = f"{len(content)} bytes, at most {_MAX_BYTES} are read"
            raise ProjectError(file, [Problem(0, (), too_long)])
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProjectError(file, [Problem(0, (), f"not UTF-8: byte {error.start}")]) from None
    except OSError as error:
        raise ProjectError(file, [Problem(0, (), error.strerror or str(error))]) from None


def _as_written(lines: Lines) -> Any:
    value: Any = lines.value if lines.value is not None else {}
    if not isinstance(value, dict):
        return value
    raw = cast("dict[str, Any]", value)
    # `version: 1.10` means the text and not the number 1.1.
    if isinstance(raw.get("version"), int | float):
        return {**raw, "version": lines.written[("version",)]}
    return raw
