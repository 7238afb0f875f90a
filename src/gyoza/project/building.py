"""From a `BuildSource` to an image that carries its spec: the stages of a build, in their order.

The image is built without a name first, asked for its spec, and only then built to its end, under
its name and with the spec in a label; every layer comes from the first build. A spec that cannot be
derived leaves the name with the image that it had.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from gyoza.project.build_context import ContextFile, context_files, write_context
from gyoza.project.build_progress import Step
from gyoza.project.build_source import BuildSource
from gyoza.project.engine_build import Builder, BuildError, BuiltImage, Engine, Order
from gyoza.project.errors import ProjectError
from gyoza.project.image_plan import SPEC_LABEL, ImagePlan, labels_of, plan_image, with_labels
from gyoza.project.image_spec import completed
from gyoza.project.renderings import for_buildkit, for_classic
from gyoza.project.source_hash import SOURCE_LABEL, source_hash
from gyoza.wire import strict_json

BASE_ARGUMENT: Final = "BASE"
"""The ARG of a project's own Dockerfile that `--base` fills."""

_ARG: Final = re.compile(rf"(?im)^\s*ARG\s+{BASE_ARGUMENT}\b")
Labels = tuple[tuple[str, str], ...]


class Listener(Protocol):
    """Is told how a build goes on."""

    def step(self, step: Step) -> None:
        """Take an instruction of the Dockerfile that was carried out."""
        ...

    def stage(self, name: str, seconds: float, detail: str) -> None:
        """Take a stage that is over."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted.

    Attributes:
        source: The project.
        base: Base image for a plan; what fills the ARG of an own Dockerfile, None leaves it alone.
        tag: Name of the image.
        uses_cache: Whether steps of earlier builds count.
        pushes: Whether the image is pushed at the end.
    """

    source: BuildSource
    base: str | None
    tag: str
    uses_cache: bool = True
    pushes: bool = False


def dockerfile_of(source: BuildSource, base: str | None, builder: Builder) -> str:
    """Return the Dockerfile that a builder gets: the project's own, else the plan's rendering.

    Args:
        source: The project.
        base: Base image; only a source with an own Dockerfile goes without.
        builder: The other builder cannot read everything that this one can.
    """
    if source.dockerfile is not None or base is None:
        return source.dockerfile or ""
    return _rendered(plan_image(source, base), builder)


def build(
    request: Request, engine: Engine, listener: Listener, monotonic: Callable[[], float]
) -> BuiltImage:
    """Build an image.

    Args:
        request: What is wanted.
        engine: Builds it.
        listener: Is told how it goes on.
        monotonic: Clock in seconds.

    Returns:
        The image, as the engine describes it.

    Raises:
        BuildError: The build, the spec or the push failed.
        ProjectError: The project file and the code contradict each other.
        OSError: A file of the project cannot be read.
    """
    return _Build(request, engine, listener, monotonic).run()


@dataclass(slots=True)
class _Build:
    request: Request
    engine: Engine
    listener: Listener
    monotonic: Callable[[], float]

    def run(self) -> BuiltImage:
        """Go through the stages."""
        entrypoint = self.request.source.entrypoint
        # Taken before the build: what is changed while it goes on is another source.
        labels = {SOURCE_LABEL: source_hash(self.request.source, self.request.base)}
        if entrypoint is None:
            self._image("build", labels, self.request.tag)
        else:
            unnamed = self._image("build", {}, None)
            try:
                spec = self._spec(unnamed, entrypoint)
            except (BuildError, ProjectError):
                self.engine.forget(unnamed)
                raise
            named = self._image("name", {**labels, SPEC_LABEL: spec}, self.request.tag)
            if named != unnamed:
                self.engine.forget(unnamed)
        if self.request.pushes:
            began = self.monotonic()
            self.engine.push(self.request.tag)
            self._tell("push", began, self.request.tag)
        return self.engine.inspect(self.request.tag)

    def _image(self, stage: str, added: Mapping[str, str], tag: str | None) -> str:
        request, began = self.request, self.monotonic()
        dockerfile, labels = self._instructions(added)
        files = context_files(request.source, dockerfile)
        # Naming an image repeats the steps of building it: no cache there would run them twice.
        is_first = stage == "build"
        with tempfile.TemporaryFile() as context:
            write_context(files, context)
            size = context.tell()
            context.seek(0)
            order = Order(
                context=context,
                tag=tag,
                labels=labels,
                arguments=self._arguments(),
                uses_cache=request.uses_cache or not is_first,
                is_own=request.source.dockerfile is not None,
            )
            on_step = self.listener.step if is_first else _ignore
            image_id = self.engine.build(order, on_step, self.monotonic)
        detail = _context_words(files, size) if is_first else request.tag
        self._tell(stage, began, detail)
        return image_id

    def _instructions(self, added: Mapping[str, str]) -> tuple[str, Labels]:
        """Return the Dockerfile, and the labels that it does not say itself."""
        source, base = self.request.source, self.request.base
        if source.dockerfile is not None or base is None:
            return source.dockerfile or "", with_labels(labels_of(source), added)
        return _rendered(plan_image(source, base).with_labels(added), self.engine.builder), ()

    def _arguments(self) -> Mapping[str, str]:
        source, base = self.request.source, self.request.base
        takes_base = source.dockerfile is not None and _ARG.search(source.dockerfile)
        return {BASE_ARGUMENT: base} if takes_base and base else {}

    def _spec(self, image_id: str, entrypoint: str) -> str:
        began = self.monotonic()
        command = ["python3", "-m", "gyoza.op", entrypoint, "--spec"]
        printed = self.engine.output_of(image_id, command)
        try:
            spec: Any = strict_json.loads(printed.encode())
        except strict_json.StrictJsonError as error:
            hint = "an op's module must print nothing when it is imported"
            failure = f"the spec of {entrypoint} is not JSON: {error}"
            raise BuildError(failure, printed.splitlines()[-5:], hint=hint) from error
        self._tell("spec", began, _spec_words(spec))
        text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        completed(self.request.source.project, {SPEC_LABEL: text})
        return text

    def _tell(self, stage: str, began: float, detail: str) -> None:
        self.listener.stage(stage, self.monotonic() - began, detail)


def _rendered(plan: ImagePlan, builder: Builder) -> str:
    return for_buildkit(plan) if builder is Builder.BUILDKIT else for_classic(plan)


def _ignore(_step: Step) -> None:
    """The steps of naming an image are those of building it, once more."""


def _context_words(files: Mapping[str, ContextFile], size_bytes: int) -> str:
    return f"{len(files)} files, {size_bytes / 1000:.0f} kB of context"


def _spec_words(spec: Any) -> str:
    if not isinstance(spec, dict):
        raise BuildError("the spec is not a JSON object")
    members = cast("dict[str, Any]", spec)
    names = [", ".join(members.get(key) or {}) or "nothing" for key in _SPECS]
    return " -> ".join(names)


_SPECS: Final = ("input_specs", "output_specs")
