"""From a project to the image that a deploy registers: built here, taken here, or in a registry.

What is decided lies in `gyoza.project.image_choice`; here it is asked for, carried out and told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gyoza.cli.engine_images import (
    EngineUnreachable,
    ImageUnknown,
    LocalImage,
    RegistryRefused,
    engine_address,
    inspect_image,
    pull_image,
    registry_digest,
    repository_of,
)
from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.image_builds import base_of, build_image, tag_of
from gyoza.project import Project, ProjectError
from gyoza.project.build_settings import BuildSettings
from gyoza.project.build_source import DOCKERFILE, BuildSource, read_build_source
from gyoza.project.building import Request
from gyoza.project.image_choice import Found, ImageChoice, Wish, choose_image
from gyoza.project.source_hash import source_hash

if TYPE_CHECKING:
    from gyoza.cli.context import Context


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of the image.

    Attributes:
        image: Named on the command line; then nothing is built. None is the project's own.
        wish: Whether to build.
        base: Base image named on the command line; None is the project's.
        pushes: Whether the image is pushed.
        is_dry: Whether nothing leaves this machine.
    """

    image: str | None = None
    wish: Wish = Wish.AS_NEEDED
    base: str | None = None
    pushes: bool = False
    is_dry: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """The image of a version.

    Attributes:
        reference: Its name.
        digest: What the name stands for; None while nobody could say.
        labels: What whoever made it wrote on it.
    """

    reference: str
    digest: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def image_of(
    project: Project,
    wanted: Wanted,
    context: Context,
    refuse_replacing: Callable[[str], None],
) -> Image:
    """Return the image, built if it has to be.

    Args:
        project: The project.
        wanted: What is wanted of the image.
        context: Where engine and person are.
        refuse_replacing: Is told the digest of an image whose source has changed, before it is
            built anew under the same name; raises where that cannot end well.

    Raises:
        CliError: There is no image and none can be built.
        ProjectError: The project cannot be built.
        BuildError: The build failed.
    """
    source = None if wanted.image else _source(project)
    reference = wanted.image or (tag_of(source) if source else project.image) or ""
    if not reference:
        # Says what is missing, and where.
        project.definition()
    is_named = bool(wanted.image or project.image)
    try:
        here = _here(reference, context)
    except EngineUnreachable as error:
        return _without_engine(reference, error, context, wanted, is_named=is_named)
    base = None if source is None else base_of(source, wanted.base, context)
    found = Found(None if here is None else here.labels)
    digest = _in_registry(reference, context) if here is None and is_named else None
    hashed = None if source is None else source_hash(source, base)
    choice = choose_image(hashed, replace(found, in_registry=digest is not None), wanted.wish)
    if choice.builds and choice.is_outdated and here is not None:
        refuse_replacing(here.digest)
    _tell(choice, reference, context, is_known=here is not None or digest is not None)
    if choice.builds and source is not None:
        pushes = wanted.pushes and not wanted.is_dry
        build_image(Request(source, base, reference, pushes=pushes), None, context)
        here = _here(reference, context)
    elif wanted.pushes and not wanted.is_dry and _lacks(here, reference):
        _push(reference, context)
        here = _here(reference, context)
    if here is None:
        return _elsewhere(project, reference, digest, context)
    if here.is_local_only:
        _say_where(reference, wanted, context)
    return Image(reference, here.digest, here.labels)


def _source(project: Project) -> BuildSource | None:
    """Return what the project's image is built from; None when nothing says how."""
    has_own = (project.file.parent / DOCKERFILE).is_file()
    says_how = project.entrypoint is not None or project.build != BuildSettings() or has_own
    try:
        return read_build_source(project.file)
    except ProjectError:
        # Who names an image and nothing of a build has built it elsewhere.
        if says_how or project.image is None:
            raise
        return None


def _here(reference: str, context: Context) -> LocalImage | None:
    try:
        return inspect_image(engine_address(context.environment), reference)
    except ImageUnknown:
        return None


def _lacks(here: LocalImage | None, reference: str) -> bool:
    """Return whether an image is here that the registry of its name was never seen to have."""
    return here is not None and repository_of(here.digest) != repository_of(reference)


def _in_registry(reference: str, context: Context) -> str | None:
    try:
        return registry_digest(engine_address(context.environment), reference, context.environment)
    except (EngineUnreachable, RegistryRefused) as error:
        context.output.hint(f"{reference} is not on this machine, nor in reach elsewhere ({error})")
        return None


def _without_engine(
    reference: str, error: EngineUnreachable, context: Context, wanted: Wanted, *, is_named: bool
) -> Image:
    if not is_named or wanted.wish is Wish.BUILD or wanted.pushes:
        hint = "start the engine, or name an image that workers can pull with --image"
        raise CliError(
            f"{reference} cannot be built: no container engine answers ({error})",
            ExitCode.UNAVAILABLE,
            hint=hint,
        ) from error
    context.output.hint(f"no container engine answers ({error}): the tag is kept as it is")
    return Image(reference)


def _tell(choice: ImageChoice, reference: str, context: Context, *, is_known: bool) -> None:
    if choice.builds or is_known:
        context.output.hint(f"{reference} {choice.reason}")
    else:
        context.output.hint(f"{reference} is not on this machine: the tag is kept as it is")


def _elsewhere(project: Project, reference: str, digest: str | None, context: Context) -> Image:
    says_all = project.inputs.specs or project.outputs.specs
    if digest is None or says_all:
        return Image(reference, digest)
    # Inputs and outputs stand in a label, and only an image that is here shows its labels.
    context.output.hint(f"pulling {reference}, to read its inputs and outputs")
    address = engine_address(context.environment)
    try:
        pull_image(address, reference, context.environment)
    except (EngineUnreachable, RegistryRefused) as error:
        raise CliError(f"{reference} could not be pulled: {error}", ExitCode.UNAVAILABLE) from error
    return Image(reference, digest, inspect_image(address, reference).labels)


def _push(reference: str, context: Context) -> None:
    from gyoza.project.engine_build import find_engine

    context.output.hint(f"pushing {reference}")
    find_engine(context.environment).push(reference)


def _say_where(reference: str, wanted: Wanted, context: Context) -> None:
    if wanted.pushes:
        context.output.hint(f"{reference} would be pushed: its digest is known after that")
    else:
        context.output.hint(f"{reference} is in no registry: only workers on this machine have it")
