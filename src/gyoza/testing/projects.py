"""An author's project on this machine: what it is, its image, and its interpreter.

A project is a folder with a `gyoza.yml`, that file, or one Python file. Reading and building are
done in `gyoza.project`; here a project becomes something that can be run without a server.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gyoza.models import OpDefinition
from gyoza.project.base_images import choose_base
from gyoza.project.build_context import sdk_files
from gyoza.project.build_source import BuildSource, read_build_source
from gyoza.project.building import Listener, Request, build
from gyoza.project.engine_build import BuiltImage, find_engine
from gyoza.project.image_plan import SPEC_LABEL
from gyoza.testing.ops import definition_of

IMAGES: Final = "gyoza-run"
"""First part of the names of images that are built to be run here, never those deployed."""

_SPEC_S: Final = 120.0
_NO_TAG: Final = re.compile(r"[^A-Za-z0-9_.-]")
_TAG_CHARS: Final = 128


class CodeRefused(Exception):
    """No spec can be made of a project's code.

    Attributes:
        lines: What the interpreter said: a line per parameter, or a traceback.
    """

    def __init__(self, message: str, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join([message, *lines]))
        self.message = message
        self.lines = lines


@dataclass(frozen=True, slots=True)
class LocalProject:
    """A project that was read.

    Attributes:
        source: As a build sees it.
    """

    source: BuildSource

    @property
    def folder(self) -> Path:
        """Where its code is."""
        return self.source.file.parent.resolve()

    @property
    def tag(self) -> str:
        """The name of the image that is built to be run here."""
        version = _NO_TAG.sub("-", self.source.version)[:_TAG_CHARS]
        return f"{IMAGES}/{self.source.id}:{version}"

    def definition(self, image: str, labels: Mapping[str, str], *, now: datetime) -> OpDefinition:
        """Return the definition of the op in an image of this project.

        Raises:
            ProjectError: File and code contradict each other.
        """
        found = definition_of(image, labels, self.source.project, now=now)
        found.id, found.version = self.source.id, self.source.version
        return found


def read_local_project(path: Path) -> LocalProject:
    """Read a project.

    Raises:
        ProjectError: With every problem found and its place.
        OSError: A file cannot be read.
    """
    return LocalProject(read_build_source(path))


def build_local(
    project: LocalProject,
    environment: Mapping[str, str],
    listener: Listener,
    monotonic: Callable[[], float],
    *,
    base: str | None = None,
) -> BuiltImage:
    """Build the image that is run here, under a name of its own.

    Args:
        project: What to build.
        environment: `PATH` and `GYOZA_BASE_IMAGE`.
        listener: Is told how it goes on.
        monotonic: Clock in seconds.
        base: Base image; None is the project's, the machine's or the public one.

    Raises:
        BuildError: Nothing here can build, or the build failed.
    """
    chosen = base
    if project.source.dockerfile is None:
        chosen = choose_base(base, project.source.settings, environment)
    request = Request(project.source, chosen, project.tag)
    return build(request, find_engine(environment), listener, monotonic)


def find_python(folder: Path, environment: Mapping[str, str]) -> Path:
    """Return the author's interpreter: the folder's environment, the active one, else this one."""
    active = environment.get("VIRTUAL_ENV")
    environments = [folder / ".venv", *([Path(active)] if active else [])]
    found = (each / "bin" / "python" for each in environments)
    return next((path for path in found if path.exists()), Path(sys.executable))


def python_command(project: LocalProject, python: Path) -> tuple[str, ...]:
    """Return what runs the op in an interpreter.

    Raises:
        CodeRefused: The project has a Dockerfile of its own, so only its image knows what to run.
    """
    if project.source.entrypoint is None:
        what = f"{project.source.file}: its Dockerfile decides what runs, so it needs a container"
        raise CodeRefused(what, ())
    return (str(python), "-m", "gyoza.op", project.source.entrypoint)


def python_environment(environment: Mapping[str, str], sdk: Path) -> dict[str, str]:
    """Return an environment in which `gyoza.op` can be imported as in an image.

    Args:
        environment: The process's own.
        sdk: Folder to write it into; it must exist.
    """
    for name, content in sdk_files().items():
        target = sdk / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    before = environment.get("PYTHONPATH")
    path = str(sdk) if not before else f"{sdk}:{before}"
    # Bytecode would be written into the author's folder, and a container could not.
    ours = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**environment, **ours}


def labels_by_code(
    command: tuple[str, ...], folder: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Ask an interpreter for an op's spec, as a build asks an image.

    Args:
        command: As `python_command` gives it.
        folder: Where the code is.
        environment: As `python_environment` gives it.

    Returns:
        The label that an image would carry.

    Raises:
        CodeRefused: There is none; with what was said.
    """
    words = [*command, "--spec"]
    try:
        done = subprocess.run(  # noqa: S603  a list of words, no shell
            words,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SPEC_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CodeRefused(f"importing the code took more than {_SPEC_S:.0f} s", ()) from None
    except OSError as error:
        raise CodeRefused(f"{command[0]} cannot be started: {error.strerror}", ()) from error
    if done.returncode != 0:
        raise CodeRefused(f"no spec of {command[-1]}", tuple(done.stderr.splitlines()))
    return {SPEC_LABEL: done.stdout}
