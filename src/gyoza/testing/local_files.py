"""Files of this machine as inputs: known by their hash, read where they are, never copied twice."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from gyoza.models import InputSpecs
from gyoza.models.value_types import ARTIFACT_KEY, known_type


class LocalFiles:
    """The files that the inputs of a run name.

    Attributes:
        paths: Where each is, by its sha256.
    """

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}

    def upload(self, source: Path | str) -> dict[str, Any]:
        """Return the value that stands for a file, as a server would after an upload.

        Raises:
            OSError: It cannot be read: an address, for one, which only a client fetches.
        """
        path = Path(source)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
        self.paths[sha256] = path
        facts = {
            "sha256": sha256,
            "size_bytes": size_bytes,
            "media_type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            "name": path.name,
        }
        return {ARTIFACT_KEY: facts}

    def prepared(self, inputs: Mapping[str, Any], specs: InputSpecs) -> dict[str, Any]:
        """Return inputs with every file replaced by the value that stands for it.

        A `Path` is a file wherever it stands; text is one where the spec says file.

        Raises:
            OSError: A file cannot be read.
        """
        found: dict[str, Any] = {}
        for name, value in inputs.items():
            spec = specs.specs.get(name)
            is_file = spec is not None and known_type(spec.type) == "file"
            found[name] = self._prepared(value, takes_text=is_file)
        return found

    def _prepared(self, value: Any, *, takes_text: bool) -> Any:
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self._prepared(item, takes_text=takes_text) for item in items]
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {key: self._prepared(each, takes_text=False) for key, each in members.items()}
        if isinstance(value, Path) or (takes_text and isinstance(value, str)):
            return self.upload(Path(value))
        return value
