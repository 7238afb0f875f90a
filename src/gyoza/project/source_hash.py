"""One hash of everything that an op's image is made of: whether an image is still its source's.

An image carries the hash in a label. What does not enter the image does not enter the hash: a
changed retry policy builds nothing. What a name stands for elsewhere (a base image's tag, a package
without a lock file) is not in it either; `gyoza build --no-cache` asks for that anew.
"""

from __future__ import annotations

import hashlib
from typing import Final

from gyoza.project.build_context import context_files
from gyoza.project.build_source import DOCKERFILE, BuildSource
from gyoza.project.image_plan import NOT_CODE, labels_of

SOURCE_LABEL: Final = "org.gyoza.source"


def source_hash(source: BuildSource, base: str | None) -> str:
    """Return the hash of a source built on a base image.

    Args:
        source: The project.
        base: As for `building.Request`.

    Raises:
        OSError: A file of the project cannot be read.
    """
    digest = hashlib.sha256()
    said = [source.dockerfile, base, source.entrypoint, *source.settings.system]
    _add(digest, "said", repr([*said, source.dependencies, labels_of(source, base)]).encode())
    left_out = {DOCKERFILE, *(() if source.dockerfile else NOT_CODE)}
    for name, file in context_files(source, "").items():
        if name in left_out.difference(source.dependencies.files):
            continue
        content = file.content
        data = content if isinstance(content, bytes) else content.read_bytes()
        _add(digest, f"{name} {file.is_program}", data)
    return f"sha256:{digest.hexdigest()}"


def _add(digest: hashlib._Hash, name: str, content: bytes) -> None:  # pyright: ignore[reportPrivateUsage] - the library names the type no other way
    # Lengths keep apart what would else run together.
    for part in (name.encode(), content):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
