"""What an image is built from: a project's folder, or one Python file, read into one value.

Files are listed and their names kept; their content is read when the build context is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gyoza.project.build_settings import BuildSettings
from gyoza.project.dependencies import Dependencies, Source, find_dependencies
from gyoza.project.entrypoints import find_entrypoints
from gyoza.project.errors import Problem, ProjectError
from gyoza.project.inline_script import InlineScript, read_inline_script
from gyoza.project.project_file import (
    SCRIPT_SUFFIX,
    Project,
    find_project_file,
    read_project,
)
from gyoza.project.project_tree import list_files

DOCKERFILE: Final = "Dockerfile"
ADDED: Final = ".gyoza"
"""Folder of the build context that holds what a build adds to the project's own files."""


@dataclass(frozen=True, slots=True)
class BuildSource:
    """A project as a build sees it.

    Attributes:
        file: The project file or script; errors name it.
        id: Op id.
        version: Version of the op.
        project: All that the file says.
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
    project: Project
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
    return _of_script(path) if path.suffix == SCRIPT_SUFFIX else _of_folder(find_project_file(path))


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
        project=project,
    )


def _only_entrypoint(file: Path, files: Mapping[str, Path]) -> str:
    sources = [name for name in files if name.endswith(SCRIPT_SUFFIX) and "/" not in name]
    found = [
        candidate
        for name in sorted(sources)
        for candidate in find_entrypoints(
            name.removesuffix(SCRIPT_SUFFIX),
            files[name].read_text(encoding="utf-8", errors="replace"),
        )
    ]
    if len(found) == 1:
        return found[0]
    names = f"one of {', '.join(found)}" if found else "module:function"
    what = "several functions are" if found else "no function of this folder is"
    problem = f"missing, and {what} decorated with @op; write `entrypoint:` with {names}"
    raise ProjectError(file, [Problem(0, ("entrypoint",), problem)])


def _of_script(file: Path) -> BuildSource:
    project = read_project(file)
    script = read_inline_script(file, file.read_text(encoding="utf-8"))
    lock = file.with_name(f"{file.name}.lock")
    dependencies, added = _of_block(file, script, lock if lock.is_file() else None)
    return BuildSource(
        file=file,
        id=project.id,
        version=project.version,
        description=project.description,
        image=project.image,
        entrypoint=project.entrypoint or _only_entrypoint(file, {file.name: file}),
        settings=project.build,
        dependencies=dependencies,
        files={file.name: file},
        added=added,
        project=project,
    )


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
