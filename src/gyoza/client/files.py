"""Files in the hands of callers: `FileInput` on the way in, `FileRef` on the way out.

A file input is uploaded before the run is submitted; a file output is fetched when somebody asks
for its bytes. In documents both are `{"$artifact": {sha256, size_bytes, media_type, name}}`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, cast

import msgspec

from gyoza.models.value_types import ARTIFACT_KEY
from gyoza.wire.messages import ArtifactRef, JsonObject, convert
from gyoza.wire.strict_json import StrictJsonError

if TYPE_CHECKING:
    from gyoza.client.async_client import AsyncGyozaClient
    from gyoza.client.sync_client import GyozaClient

FileSource: TypeAlias = str | Path | bytes | bytearray | memoryview | IO[bytes]
_MAX_PART_CHARS: Final = 100
_UNNAMED: Final = "file"


@dataclass(frozen=True, slots=True)
class FileInput:
    """A file that a run is to have as an input.

    A Path, bytes or an open file among the inputs means the same without this class, which is for
    a URL, or to say the name and the media type.

    Attributes:
        source: A path; an `http://` or `https://` URL, which is fetched by this process, never by
            the server; bytes; or an object whose `read` gives bytes, read to its end once.
        name: What the op sees as the file's name; None takes the source's own.
        media_type: Such as `image/png`; None guesses by the name.
    """

    source: FileSource
    name: str | None = None
    media_type: str | None = None


class _Described:
    """What is known of a file without fetching it."""

    def __init__(self, reference: ArtifactRef, base_url: str) -> None:
        self._reference = reference
        self._base_url = base_url

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, in lower-case hexadecimal digits."""
        return self._reference.sha256

    @property
    def size_bytes(self) -> int:
        """Size of the content."""
        return self._reference.size_bytes

    @property
    def media_type(self) -> str:
        """Such as `image/png`."""
        return self._reference.media_type

    @property
    def name(self) -> str:
        """The name that the op gave it; a stranger's words, so never a path to write to."""
        return self._reference.name

    @property
    def url(self) -> str:
        """Where its bytes are; the server may want a key for them."""
        return f"{self._base_url}/api/v1/artifacts/{self.sha256}"

    @property
    def value(self) -> JsonObject:
        """The JSON value that stands for it in documents."""
        return {ARTIFACT_KEY: msgspec.to_builtins(self._reference)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.size_bytes} bytes, {self.sha256})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Described) and self._reference == other._reference

    def __hash__(self) -> int:
        return hash(self.sha256)


class FileRef(_Described):
    """A stored file; its bytes are fetched when they are asked for, and verified by their hash."""

    def __init__(self, client: GyozaClient, reference: ArtifactRef) -> None:
        super().__init__(reference, client.settings.base_url)
        self._client = client

    def read_bytes(self) -> bytes:
        """Return the whole content."""
        return self._client.read_artifact(self.sha256)

    def save(self, path: Path | str) -> Path:
        """Write the file, which appears once it is whole and verified.

        Args:
            path: Of the file, or of an existing folder to put it in under its own name.

        Returns:
            The file's path.
        """
        return self._client.get_artifact(self.sha256, target_in(Path(path), self.name))

    def open(self) -> BinaryIO:
        """Fetch the file and return it open for reading; it goes when it is closed."""
        with tempfile.TemporaryDirectory(prefix="gyoza-") as folder:
            path = Path(folder) / _UNNAMED
            self._client.get_artifact(self.sha256, path)
            return path.open("rb")


class AsyncFileRef(_Described):
    """A stored file; its bytes are fetched when they are asked for, and verified by their hash."""

    def __init__(self, client: AsyncGyozaClient, reference: ArtifactRef) -> None:
        super().__init__(reference, client.settings.base_url)
        self._client = client

    async def read_bytes(self) -> bytes:
        """Return the whole content."""
        return await self._client.read_artifact(self.sha256)

    async def save(self, path: Path | str) -> Path:
        """Write the file, which appears once it is whole and verified.

        Args:
            path: Of the file, or of an existing folder to put it in under its own name.

        Returns:
            The file's path.
        """
        return await self._client.get_artifact(self.sha256, target_in(Path(path), self.name))

    async def open(self) -> BinaryIO:
        """Fetch the file and return it open for reading; it goes when it is closed."""
        with tempfile.TemporaryDirectory(prefix="gyoza-") as folder:
            path = Path(folder) / _UNNAMED
            await self._client.get_artifact(self.sha256, path)
            return path.open("rb")


def with_file_refs(value: Any, make: Callable[[ArtifactRef], Any]) -> Any:
    """Return a JSON value with every file in it replaced, at any depth.

    Args:
        value: Stays as it is.
        make: Gives what stands for a file.
    """
    if isinstance(value, list):
        return [with_file_refs(item, make) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("JsonObject", value)
    reference = find_reference(members)
    if reference is not None:
        return make(reference)
    return {name: with_file_refs(member, make) for name, member in members.items()}


def find_reference(members: Mapping[str, Any]) -> ArtifactRef | None:
    """Return the file that an object stands for; None when it is just an object."""
    if len(members) != 1 or not isinstance(members.get(ARTIFACT_KEY), dict):
        return None
    try:
        return convert(members[ARTIFACT_KEY], ArtifactRef)
    except StrictJsonError:
        return None


def safe_name(name: str) -> PurePosixPath:
    """Return a name that came from a container as a relative path that stays where it is put.

    Folders are kept; what would lead elsewhere or garble a terminal is not.
    """
    parts = [_safe_part(part) for part in name.replace("\\", "/").split("/")]
    return PurePosixPath(*([part for part in parts if part] or [_UNNAMED]))


def target_in(path: Path, name: str) -> Path:
    """Return where to write: `path`, or in it under the file's own name if it is a folder."""
    return path / safe_name(name).name if path.is_dir() else path


def _safe_part(part: str) -> str:
    shown = "".join(char if char.isprintable() else "_" for char in part).strip()
    return "" if not shown.strip(".") else shown[-_MAX_PART_CHARS:]
