"""The build context: what an engine gets to build an image from, as one tar.

The same files make the same bytes, whoever builds them, when and on which machine: names are
sorted, owners and times are not kept, of the mode only whether a file can be executed. A builder
finds its cache by content, and so does everybody who compares two builds.
"""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Final

from gyoza.project.build_source import DOCKERFILE, BuildSource
from gyoza.project.dependencies import Source
from gyoza.project.renderings import SDK, UV_INSTALLER

_FILE: Final = 0o644
_PROGRAM: Final = 0o755


@dataclass(frozen=True, slots=True)
class ContextFile:
    """One file of a context.

    Attributes:
        content: Its bytes, or the file that has them.
        is_program: Whether it can be executed.
    """

    content: bytes | Path
    is_program: bool = False


def context_files(source: BuildSource, dockerfile: str) -> dict[str, ContextFile]:
    """Return every file of a source's context by its path: the Dockerfile, then the rest, sorted.

    Args:
        source: The project.
        dockerfile: What the context's Dockerfile says.

    Raises:
        OSError: A file of the project is gone.
    """
    files = {name: _of_disk(path) for name, path in source.files.items() if name != DOCKERFILE}
    for name, text in source.added.items():
        files[name] = ContextFile(text.encode())
    files |= {f"{SDK}/{name}": ContextFile(content) for name, content in sdk_files().items()}
    if source.dependencies.source is not Source.NONE:
        installer = resources.files("gyoza.project") / "image_parts" / "install_uv.py"
        files[UV_INSTALLER] = ContextFile(installer.read_bytes())
        # Needed although `.dockerignore` may leave them out of the image.
        root = source.file.parent
        missing = (name for name in source.dependencies.files if name not in files)
        files |= {name: _of_disk(root / name) for name in missing}
    # First, since the docker command tells a tar from a Dockerfile by the first 512 bytes: a longer
    # name, or one that is not ASCII, would need more.
    return {DOCKERFILE: ContextFile(dockerfile.encode()), **dict(sorted(files.items()))}


def write_context(files: Mapping[str, ContextFile], target: IO[bytes]) -> None:
    """Write a context as a tar.

    Args:
        files: By their paths, in the order in which they are written.
        target: Open for writing.
    """
    # Only the tar of 2001 (PAX) knows names of any length; without times it is as reproducible.
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, file in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode = _PROGRAM if file.is_program else _FILE
            with _opened(file.content) as content:
                entry.size = content.seek(0, io.SEEK_END)
                content.seek(0)
                tar.addfile(entry, content)


def sdk_files() -> dict[str, bytes]:
    """Return what images need of gyoza, by path: `gyoza.op`, and the package it lives in."""
    package = resources.files("gyoza")
    files = {"gyoza/__init__.py": (package / "__init__.py").read_bytes()}
    files |= {f"gyoza/op/{name}": file.read_bytes() for name, file in _sources(package / "op")}
    return files


def _sources(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield prefix + entry.name, entry


def _of_disk(path: Path) -> ContextFile:
    return ContextFile(path, is_program=bool(path.stat().st_mode & stat.S_IXUSR))


def _opened(content: bytes | Path) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
