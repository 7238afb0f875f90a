"""Copies of a project's files as they were at one save, so that a run sees what it was given.

    <folder>/files/<sha256>        each content once, whatever its names
    <folder>/<digest>/...          a snapshot: hard links to these

Two saves with the same files are one snapshot. A large file is copied once and then only looked at.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_FILES: Final = "files"
_PIECE: Final = 1024 * 1024
_Signature = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A project's files at one moment.

    Attributes:
        digest: Of every path and content; the same files have the same.
        folder: Where they are.
    """

    digest: str
    folder: Path


@dataclass(slots=True)
class Snapshots:
    """Takes and removes the snapshots of one project.

    Args:
        folder: Holds them; only one process may use it at a time.
    """

    folder: Path
    _known: dict[Path, tuple[_Signature, str]] = field(
        default_factory=dict[Path, tuple[_Signature, str]]
    )

    def take(self, files: Mapping[str, Path]) -> Snapshot:
        """Copy files as they are now.

        Args:
            files: By their paths in the snapshot.

        Raises:
            OSError: One is gone or cannot be read.
        """
        kept = {name: self._keep(path) for name, path in sorted(files.items())}
        lines = "".join(f"{name}\0{content}\n" for name, content in kept.items())
        digest = hashlib.sha256(lines.encode()).hexdigest()
        folder = self.folder / digest
        if not folder.is_dir():
            self._link(kept, folder)
        return Snapshot(digest, folder)

    def keep_only(self, folders: Collection[Path]) -> None:
        """Remove every other snapshot, and the contents that none has any more."""
        for entry in self.folder.iterdir():
            if entry.name != _FILES and entry not in folders:
                shutil.rmtree(entry)
        for content in (self.folder / _FILES).iterdir():
            if content.stat().st_nlink == 1:
                content.unlink()

    def _keep(self, path: Path) -> str:
        """Return the name of a file's content; copied, unless it is known by its times."""
        facts = path.stat()
        signature = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        before = self._known.get(path)
        if before and before[0] == signature and (self.folder / _FILES / before[1]).is_file():
            return before[1]
        name = self._copy(path, is_program=bool(facts.st_mode & stat.S_IXUSR))
        self._known[path] = (signature, name)
        return name

    def _copy(self, path: Path, *, is_program: bool) -> str:
        contents = self.folder / _FILES
        contents.mkdir(parents=True, exist_ok=True, mode=0o755)
        part, found = contents / ".part", hashlib.sha256()
        with path.open("rb") as source, part.open("wb") as target:
            # Hashed on its way, so that the name is that of what was copied, whatever comes later.
            while piece := source.read(_PIECE):
                found.update(piece)
                target.write(piece)
        # Readable by whomever the container runs as; links share the mode, so it is in the name.
        part.chmod(0o755 if is_program else 0o644)
        name = f"{found.hexdigest()}{'.x' if is_program else ''}"
        part.replace(contents / name)
        return name

    def _link(self, kept: Mapping[str, str], folder: Path) -> None:
        part = folder.with_name(f".{folder.name}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o755)
        for name, content in kept.items():
            target = part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.folder / _FILES / content, target)
        for made in (part, *(each for each in part.rglob("*") if each.is_dir())):
            made.chmod(0o755)  # whatever the umask took away
        part.rename(folder)
