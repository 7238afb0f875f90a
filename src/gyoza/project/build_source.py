"""What an image is built from: a project's folder, or one Python file, read into one value.

Files are listed and
their names kept; their content is read when the build context is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gyoza.models.fields import InvalidFields, Reader, read_fields, text
from gyoza.project.build_settings import BuildSettings, entrypoint
from gyoza.project.dependencies import Dependencies, Source, find_dependencies
from gyoza.project.entrypoints import find_entrypoints
from gyoza.project.errors import Problem, ProjectError
from gyoza.project.field_readers import filled, op_id
from gyoza.project.inline_script import InlineScript, read_inline_script
from gyoza.project.project_file import find_project_file, read_project
from gyoza.project.project_tree import list_files

DOCKERFILE: Final = "Dockerfile"
ADDED: Final = ".gyoza"
"""Folder of the build context that holds what a build adds to the project's own files."""

_DEFAULT_VERSION: Final = "0.1.0"
_SCRIPT: Final = ".py"


@dataclass(frozen=True, slots=True)
class BuildSource:
    """A project as a build sees it.

    Attributes:
        file: The project file or script; errors name it.
        id: Op id.
        version: Version of the op.
        description: For people.
        image: Reference that `gyoza.yml` gives the image; None when it gives none.
        entrypoint: `module:name` of the op; None when a Dockerfile of its own starts something.
        settings: The `build` section.
        dependencies: Where its packages come from.
        dockerfile: The project's own Dockerfile; None when one is made.
        files: The project's files that enter the build context, by their paths in it.
        added: Further files of the context, by their paths: what a single file's block says.
    """

    file: Path
    id: str
    version: str
    description: str = ""
    image: str | None = None
    entrypoint: str | None = None
    settings: BuildSettings = field(default_factory=BuildSettings)
    dependencies: Dependencies = field(default_factory=Dependencies)
    dockerfile: str | None = None
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    added: Mapping[str, str] = field(default_factory=dict[str, str])


def read_build_source(path: Path) -> BuildSource:
    """Read what an image is built from.

    Args:
        path: A project's folder, its `gyoza.yml`, or a Python file with a PEP 723 block.

    Raises:
        ProjectError: With every problem found and its place.
        OSError: A file cannot be read.
    """
    return _of_script(path) if path.suffix == _SCRIPT else _of_folder(find_project_file(path))


def _of_folder(file: Path) -> BuildSource:
    project = read_project(file)
    root = file.parent
    own = root / DOCKERFILE
    dockerfile = own.read_text(encoding="utf-8") if own.is_file() else None
    files = list_files(root)
    entry = project.entrypoint
    if dockerfile is None and entry is None:
        entry = _only_entrypoint(file, files)
    return BuildSource(
        file=file,
        id=project.id,
        version=project.version,
        description=project.description,
        image=project.image,
        entrypoint=entry,
        settings=project.build,
        dependencies=Dependencies() if dockerfile else find_dependencies(root),
        dockerfile=dockerfile,
        files=files,
    )


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    settings = values.pop("build", None)
    return values if settings is None else {**values, "settings": settings}


def _only_entrypoint(file: Path, files: Mapping[str, Path]) -> str:
    sources = [name for name in files if name.endswith(_SCRIPT) and "/" not in name]
    found = [
        candidate
        for name in sorted(sources)
        for candidate in find_entrypoints(
            name.removesuffix(_SCRIPT), files[name].read_text(encoding="utf-8", errors="replace")
        )
    ]
    if len(found) == 1:
        return found[0]
    names = f"one of {', '.join(found)}" if found else "module:function"
    what = "several functions are" if found else "no function of this folder is"
    problem = f"missing, and {what} decorated with @op; write `entrypoint:` with {names}"
    raise ProjectError(file, [Problem(0, ("entrypoint",), problem)])


def _of_script(file: Path) -> BuildSource:
    source = file.read_text(encoding="utf-8")
    script = read_inline_script(file, source)
    said = _said_inline(file, script)
    if "entrypoint" not in said:
        said["entrypoint"] = _only_entrypoint(file, {file.name: file})
    lock = file.with_name(f"{file.name}.lock")
    dependencies, added = _of_block(file, script, lock if lock.is_file() else None)
    values: dict[str, Any] = {"id": _id_of(file), "version": _DEFAULT_VERSION, **said}
    return BuildSource(
        file=file, dependencies=dependencies, files={file.name: file}, added=added, **values
    )


def _said_inline(file: Path, script: InlineScript) -> dict[str, Any]:
    try:
        # The other fields of the table are those of `gyoza.yml`.
        values = read_fields("tool.gyoza", script.settings, _READERS, ignore_unknown=True)
    except InvalidFields as error:
        problems = [
            Problem(script.line, ("tool", "gyoza", *p.path), p.text) for p in error.problems
        ]
        raise ProjectError(file, problems) from None
    return _renamed(values)


def _of_block(
    file: Path, script: InlineScript, lock: Path | None
) -> tuple[Dependencies, dict[str, str]]:
    """Return the dependencies of a block, and the files that carry them into the context.

    The block travels without the code, so that editing the code installs nothing anew.
    """
    if lock is not None:
        added = {
            f"{ADDED}/{file.name}": script.block,
            f"{ADDED}/{lock.name}": lock.read_text(encoding="utf-8"),
        }
        return Dependencies(Source.SCRIPT_LOCK, tuple(added)), added
    if not script.dependencies:
        return Dependencies(), {}
    requirements = f"{ADDED}/requirements.txt"
    return Dependencies(Source.SCRIPT, (requirements,)), {
        requirements: "".join(f"{line}\n" for line in script.dependencies)
    }


def _id_of(file: Path) -> str:
    return file.stem.lower().replace("_", "-").strip("-.")


_READERS: Final[Mapping[str, Reader]] = {
    "id": op_id,
    "version": filled,
    "description": text,
    "image": filled,
    "entrypoint": entrypoint,
    "build": BuildSettings.from_dict,
}
