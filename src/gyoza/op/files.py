"""Files as values: what an author takes as input and returns as output.

A `File` is a path with a media type; it opens nothing by itself. Staging inputs is the worker's
business, placing outputs under `out/files/` is done in `output_files`.
"""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path
from typing import IO, Any, ClassVar

from gyoza.op.protocol import ARTIFACT_KEY

FORMAT = "gyoza-file"
"""`format` of a file's schema, by which forms and clients recognise it."""

LOCAL_FILE_KEY = "$gyoza_local_file"
"""How a file stands in what a Pydantic model writes, until it gets its place among the outputs."""


class File(os.PathLike[str]):
    """A file on this machine: an input that was brought here, or an output to be kept.

    Args:
        path: Where it is; it need not exist yet.
        media_type: Such as `image/png`; None guesses by the name's ending.
    """

    media: ClassVar[str] = ""
    """Media type of every file of the class, possibly with a wildcard; "" says nothing."""

    __slots__ = ("_media_type", "path")

    def __init__(self, path: str | os.PathLike[str], media_type: str | None = None) -> None:
        self.path = Path(path)
        self._media_type = media_type

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    @property
    def media_type(self) -> str:
        """As given, else guessed by the name; `application/octet-stream` when that says nothing."""
        guessed = self._media_type or mimetypes.guess_type(self.path.name)[0]
        return guessed or "application/octet-stream"

    @property
    def size_bytes(self) -> int:
        """As the file system says right now.

        Raises:
            OSError: There is no such file.
        """
        return self.path.stat().st_size

    def open(self, mode: str = "rb", **options: Any) -> IO[Any]:
        """Open the file as `Path.open` does, in binary unless told otherwise."""
        return self.path.open(mode, **options)

    def read_bytes(self) -> bytes:
        """Read the whole file."""
        return self.path.read_bytes()

    def read_text(self, encoding: str = "utf-8") -> str:
        """Read the whole file as text."""
        return self.path.read_text(encoding)

    def __fspath__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.path == other.path

    def __hash__(self) -> int:
        return hash((type(self), self.path))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Let Pydantic models hold files; a core schema is plain data, so nothing is imported."""
        del source, handler

        def read(value: Any) -> File:
            if isinstance(value, cls):
                return value
            if isinstance(value, str):
                return cls(value)
            raise ValueError(f"expected the path of a file, got {value!r}")

        def write(value: File) -> dict[str, str]:
            return {LOCAL_FILE_KEY: str(value.path)}

        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": read},
            "serialization": {"type": "function-plain", "function": write, "when_used": "json"},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """The same schema as outside of Pydantic models."""
        del schema, handler
        return file_schema(cls.media)


class Image(File):
    """A picture, in whatever format."""

    media = "image/*"


class Table(File):
    """Rows and columns: comma-separated values unless `Field(media=...)` says otherwise."""

    media = "text/csv"


def file_schema(media: str = "") -> dict[str, Any]:
    """JSON Schema of a file: its path, or the object that stands for a stored one.

    The members for objects constrain objects only, so that the schema needs no alternatives.
    """
    artifact = {"type": "object", "required": ["sha256", "size_bytes"]}
    schema: dict[str, Any] = {
        "type": ["string", "object"],
        "format": FORMAT,
        "minLength": 1,
        "properties": {ARTIFACT_KEY: artifact},
        "required": [ARTIFACT_KEY],
        "additionalProperties": False,
    }
    return {**schema, "contentMediaType": media} if media else schema
