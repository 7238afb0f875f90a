"""What an op's image consists of, as one value: decided here once, written down by the renderings.

Pure: from a `BuildSource` and the name of a base image to an `ImagePlan`, without a look at the
disk or an engine. The order of the layers is the order of the fields: what changes least comes
first, the author's code last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from gyoza.op.protocol import VERSION
from gyoza.project.build_source import BuildSource
from gyoza.project.dependencies import LOCK, PYPROJECT, Dependencies
from gyoza.project.project_file import FILE_NAME

USER_ID: Final = 65532
"""The user whom ops run as: "nonroot" of the distroless images; no passwd entry is needed."""

SPEC_LABEL: Final = "org.gyoza.spec"
OP_LABEL: Final = "org.gyoza.op"
NOT_CODE: Final = {FILE_NAME, "gyoza.yaml", PYPROJECT, LOCK}


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What an image consists of.

    Attributes:
        base: Image that it is built on.
        system: Debian packages, in the author's order.
        dependencies: Python packages.
        code: Names at the top of the context that are the op's own, sorted.
        folders: Those of `code` that are folders.
        entrypoint: `module:name` of the op.
        labels: Names and values, sorted.
    """

    base: str
    system: tuple[str, ...]
    dependencies: Dependencies
    code: tuple[str, ...]
    folders: frozenset[str]
    entrypoint: str
    labels: tuple[tuple[str, str], ...]

    def with_labels(self, added: Mapping[str, str]) -> ImagePlan:
        """Return the plan of the same image with more labels."""
        return replace(self, labels=with_labels(self.labels, added))


def plan_image(source: BuildSource, base: str) -> ImagePlan:
    """Return the plan of a source that has no Dockerfile of its own.

    Args:
        source: The project.
        base: Image to build on.

    Raises:
        ValueError: The source has no entrypoint, so that its own Dockerfile must say what runs.
    """
    if source.entrypoint is None:
        raise ValueError(f"{source.file} names no entrypoint")
    paths = [PurePosixPath(name) for name in source.files]
    tops = sorted({path.parts[0] for path in paths} - _kept_out(source))
    return ImagePlan(
        base=base,
        system=source.settings.system,
        dependencies=source.dependencies,
        code=tuple(tops),
        folders=frozenset(path.parts[0] for path in paths if len(path.parts) > 1),
        entrypoint=source.entrypoint,
        labels=labels_of(source, base),
    )


def labels_of(source: BuildSource, base: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the labels of a source's image, without its spec.

    Nothing that differs between two builds of the same source is among them.

    Args:
        source: The project.
        base: Image that it is built on; None when its own Dockerfile says it.
    """
    # https://github.com/opencontainers/image-spec/blob/main/annotations.md
    values = {
        OP_LABEL: source.id,
        "org.gyoza.protocol": str(VERSION),
        "org.gyoza.version": source.version,
        "org.opencontainers.image.base.name": base or "",
        "org.opencontainers.image.description": " ".join(source.description.split()),
        "org.opencontainers.image.title": source.id,
        "org.opencontainers.image.version": source.version,
    }
    return tuple((name, value) for name, value in sorted(values.items()) if value)


def with_labels(
    labels: tuple[tuple[str, str], ...], added: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return labels and others among them, sorted."""
    return tuple(sorted({**dict(labels), **added}.items()))


def _kept_out(source: BuildSource) -> set[str]:
    return NOT_CODE | {name for name in source.dependencies.files if "/" not in name}
