"""From a project as it is saved to a version that runs: the steps of the edit loop, in their order.

What has to be installed is in an image that is built once; the author's files are put over it as
they were at the save. A project with a Dockerfile of its own is built anew each time, since nobody
else knows where its sources go.
"""

from __future__ import annotations

import fcntl
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.project.bare_image import (
    BareImage,
    bare_image,
    code_names,
    context_digest,
    find_or_build,
)
from gyoza.project.base_images import choose_base
from gyoza.project.build_context import context_files
from gyoza.project.build_source import BuildSource, read_build_source
from gyoza.project.building import Request, build
from gyoza.project.development import Fault, development_version, fault_in_image, syntax_fault
from gyoza.project.engine_build import BuildError, Engine
from gyoza.project.errors import ProjectError
from gyoza.project.image_plan import SPEC_LABEL
from gyoza.project.image_spec import completed
from gyoza.project.project_file import Project
from gyoza.project.renderings import CODE_DIR
from gyoza.project.snapshots import Snapshot, Snapshots
from gyoza.worker.execution.dev_sources import (
    DevSource,
    file_of,
    read_dev_sources,
    write_dev_sources,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gyoza.cli.context import Context
    from gyoza.cli.watching.telling import Telling
    from gyoza.client import GyozaClient
    from gyoza.models import OpDefinition

_RENAMING_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Deployed:
    """A save became a version, which is the current one now.

    Attributes:
        definition: The version.
        before: What it differs from: the last one deployed here, else the server's current one;
            None when the op is new.
        was_built: Whether an image had to be built.
    """

    definition: OpDefinition
    before: OpDefinition | None
    was_built: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A save became no version.

    Attributes:
        fault: Why.
        kept: The version that stays current; None when there is none yet.
    """

    fault: Fault
    kept: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """What a save runs in and with.

    Attributes:
        image: Reference of the image.
        image_id: What it stands for.
        labels: What is said of the op inside.
        snapshot: What is put over it; None when the image has its sources itself.
        was_built: Whether it was not there already.
    """

    image: str
    image_id: str
    labels: Mapping[str, str]
    snapshot: Snapshot | None
    was_built: bool


@dataclass(slots=True)
class Updates:
    """Makes versions of one project.

    Args:
        path: A project's folder, its `gyoza.yml`, or a Python file.
        base: `--base`; None leaves it to the project and the machine.
        engine: Builds, and is asked for specs.
        client: Of the server that takes the versions.
        sources: Folder that the worker looks for sources in.
        context: Clocks and environment.
        telling: Is told of a build.
    """

    path: Path
    base: str | None
    engine: Engine
    client: GyozaClient
    sources: Path
    context: Context
    telling: Telling
    last: OpDefinition | None = None
    _seen: Any = None
    _was_refused: bool = False
    _snapshots: dict[str, Snapshots] = field(default_factory=dict[str, Snapshots])
    _locks: list[IO[bytes]] = field(default_factory=list[IO[bytes]])

    def update(self) -> Deployed | Refused | None:
        """Deploy the project as it is now; None when it is as it was.

        Raises:
            GyozaError: The server does not take it.
        """
        try:
            return self._update()
        except FileNotFoundError:
            # An editor that renames leaves nothing there for a moment.
            self.context.sleep(_RENAMING_S)
        try:
            return self._update()
        except OSError as error:
            return self._refused(Fault(f"{error.filename}: {error.strerror}"))

    def _update(self) -> Deployed | Refused | None:
        try:
            source = read_build_source(self.path)
            made = self._made(source)
            if made is None:
                return None
            return self._deploy(source.project, made)
        except ProjectError as error:
            self.forget()
            return self._refused(self._fault_in_project(error))
        except BuildError as error:
            found = fault_in_image(error.tail, CODE_DIR)
            if found is None:
                self.forget()
            return self._refused(found or Fault(error.message, error.tail))

    def forget(self) -> None:
        """Look at the project again at the next save, though it be as it was before."""
        self._seen = None

    def _made(self, source: BuildSource) -> Made | None:
        """Return what the project runs in; None when nothing is new."""
        snapshots = self.snapshots(source.id)
        if source.dockerfile is not None or source.entrypoint is None:
            return self._built_whole(source)
        base = choose_base(self.base, source.settings, self.context.environment)
        image = bare_image(source, base, self.engine.builder)
        snapshot = snapshots.take(code_names(source, base))
        seen = (image.tag, snapshot.digest, source.project)
        if seen == self._seen:
            return None
        # Also of a save that is refused: the same fault is told once.
        self._seen = seen
        return self._with_sources(image, snapshot, source.entrypoint)

    def _with_sources(self, image: BareImage, snapshot: Snapshot, entrypoint: str) -> Made:
        building = self.telling.building(image.tag)
        image_id, was_built = find_or_build(
            image, self.engine, building.step, self.context.monotonic
        )
        command = ["python3", "-m", "gyoza.op", entrypoint, "--spec"]
        spec = self.engine.output_of(image_id, command, {CODE_DIR: snapshot.folder})
        return Made(image.tag, image_id, {SPEC_LABEL: spec}, snapshot, was_built)

    def _built_whole(self, source: BuildSource) -> Made | None:
        from gyoza.cli.engine_images import engine_address, inspect_image

        files = context_files(source, source.dockerfile or "")
        seen = (context_digest(files), source.project)
        if seen == self._seen:
            return None
        self._seen = seen
        tag = f"gyoza-dev/{source.id}:latest"
        building = self.telling.building(tag)
        request = Request(source, self.base, tag)
        built = build(request, self.engine, building, self.context.monotonic)
        found = inspect_image(engine_address(self.context.environment), built.image_id)
        return Made(tag, built.image_id, found.labels, None, was_built=True)

    def _deploy(self, project: Project, made: Made) -> Deployed | None:
        whole = completed(project, made.labels)
        now = self.context.now()
        draft = whole.definition(image=made.image, image_digest=made.image_id, now=now)
        version = development_version(draft, made.snapshot.digest if made.snapshot else "")
        if self.last is not None and self.last.version == version and not self._was_refused:
            return None
        before = self.last or self._current(draft.id)
        definition = whole.definition(
            image=made.image, image_digest=made.image_id, version=version, now=now
        )
        if made.snapshot is not None:
            self._say_what_it_sees(definition, made.snapshot)
        # Told to the worker first: a run may be there the moment the server knows the version.
        self.last = self.client.upsert_definition(definition)
        self._was_refused = False
        return Deployed(self.last, before, made.was_built)

    def _say_what_it_sees(self, definition: OpDefinition, snapshot: Snapshot) -> None:
        file = file_of(self.sources, definition.id)
        source = DevSource(
            op=definition.id,
            version=definition.version,
            image_digest=definition.image_digest or "",
            folder=str(snapshot.folder),
            target=CODE_DIR,
        )
        others = [each for each in read_dev_sources(file) if each.version != source.version]
        write_dev_sources(file, [*others, source])

    def snapshots(self, op_id: str) -> Snapshots:
        """Return where an op's snapshots are; this process's alone from now on.

        Raises:
            CliError: Another process watches a project of the same id.
        """
        if op_id not in self._snapshots:
            self._locks.append(_lock(self.sources, op_id))
            folder = self.sources / op_id
            folder.mkdir(exist_ok=True, mode=0o700)
            self._snapshots[op_id] = Snapshots(folder)
        return self._snapshots[op_id]

    def _current(self, op_id: str) -> OpDefinition | None:
        from gyoza.client.errors import NotFound

        try:
            return self.client.get_definition(op_id)
        except NotFound:
            return None

    def _refused(self, fault: Fault) -> Refused:
        self._was_refused = True
        return Refused(fault, None if self.last is None else self.last.version)

    def _fault_in_project(self, error: ProjectError) -> Fault:
        # Code that cannot be parsed has no function to find: the cause is nearer than the effect.
        if self.path.suffix == ".py":
            files = {self.path.name: self.path}
        else:
            files = {path.name: path for path in sorted(error.file.parent.glob("*.py"))}
        is_about_code = any("entrypoint" in problem.path for problem in error.problems)
        found = syntax_fault(files) if is_about_code else None
        first, *others = str(error).splitlines()
        return found or Fault(first, tuple(others))


def _lock(folder: Path, op_id: str) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (folder / f"{op_id}.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise CliError(
            f"another `gyoza dev` watches a project with the id {op_id}",
            ExitCode.CONFLICT,
            hint="end that one first, or give one of the two projects another id",
        ) from error
    return lock
