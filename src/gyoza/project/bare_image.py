"""The image of a project without its own files: what the edit loop puts changing sources over.

It differs only when something that has to be installed does, so its name is made of everything
that enters it: the same name is the same image, whoever asks again. Not deployed for others: an op
in it starts only where its sources are put over it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gyoza.project.build_context import ContextFile, context_files, write_context
from gyoza.project.build_progress import Step
from gyoza.project.build_source import BuildSource
from gyoza.project.development import is_editors_own
from gyoza.project.engine_build import Builder, BuildError, Engine, Order
from gyoza.project.image_plan import ImagePlan, plan_image
from gyoza.project.renderings import for_buildkit, for_classic

LABEL: Final = "org.gyoza.dev"
REPOSITORY: Final = "gyoza-dev"
_SRC: Final = "src"
_TAG_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class BareImage:
    """An image to be.

    Attributes:
        tag: Its name, which says all that is in it.
        files: Its build context.
    """

    tag: str
    files: Mapping[str, ContextFile]


def bare_image(source: BuildSource, base: str, builder: Builder) -> BareImage:
    """Return the image of a source without a Dockerfile of its own, and without its code.

    Args:
        source: The project.
        base: Image to build on.
        builder: Whose words the Dockerfile is written in.

    Raises:
        OSError: A file that names dependencies is gone.
    """
    plan = _without_code(plan_image(source, base), source.id)
    dockerfile = for_buildkit(plan) if builder is Builder.BUILDKIT else for_classic(plan)
    files = context_files(replace(source, files={}), dockerfile)
    # A folder of this name is on the path of modules; what is in it is put over it later.
    files |= {f"{name}/.keep": ContextFile(b"") for name in plan.folders}
    return BareImage(f"{REPOSITORY}/{source.id}:{context_digest(files)[:_TAG_CHARS]}", files)


def find_or_build(
    image: BareImage,
    engine: Engine,
    on_step: Callable[[Step], None],
    monotonic: Callable[[], float],
) -> tuple[str, bool]:
    """Return the id of an image, and whether it had to be built.

    Raises:
        BuildError: The build failed.
    """
    try:
        return engine.inspect(image.tag).image_id, False
    except BuildError:
        return _build(image, engine, on_step, monotonic), True


def _build(
    image: BareImage,
    engine: Engine,
    on_step: Callable[[Step], None],
    monotonic: Callable[[], float],
) -> str:
    with tempfile.TemporaryFile() as context:
        write_context(image.files, context)
        context.seek(0)
        return engine.build(Order(context, image.tag), on_step, monotonic)


def code_names(source: BuildSource, base: str) -> dict[str, Path]:
    """Return the op's own files by their paths below the image's source folder.

    What editors put beside a file while it is open is none.
    """
    tops = set(plan_image(source, base).code)
    return {
        name: path
        for name, path in source.files.items()
        if name.split("/")[0] in tops and not is_editors_own(name)
    }


def _without_code(plan: ImagePlan, op_id: str) -> ImagePlan:
    code = tuple(name for name in plan.code if name == _SRC and name in plan.folders)
    labels = ((LABEL, "1"), ("org.gyoza.op", op_id))
    return replace(plan, code=code, folders=frozenset(code), labels=labels)


def context_digest(files: Mapping[str, ContextFile]) -> str:
    """Return a digest of every name and content of a build context.

    Raises:
        OSError: A file is gone.
    """
    found = hashlib.sha256()
    for name, file in files.items():
        content = file.content if isinstance(file.content, bytes) else file.content.read_bytes()
        part = hashlib.sha256(content).hexdigest()
        found.update(f"{name}\0{file.is_program:d}\0{part}\n".encode())
    return found.hexdigest()
