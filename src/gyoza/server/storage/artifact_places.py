"""From `GYOZA_ARTIFACT_STORE` to the files of the server: which place a URL names.

What is on its way in is always a file of this machine, beside a folder store (so that storing it
is a rename) or in the data folder: only what was verified reaches an object store.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from gyoza.server.errors import StoreUnavailable
from gyoza.server.storage.artifact_files import ArtifactFiles
from gyoza.server.storage.artifact_store import FolderStore
from gyoza.server.storage.artifact_uploads import Uploads

OBJECT_SCHEMES: Final = ("s3", "gs", "az")
_INCOMING: Final = "incoming"


def open_artifact_files(
    url: str | None, artifacts_dir: Path, monotonic: Callable[[], float]
) -> ArtifactFiles:
    """Open the place of the artifacts.

    Args:
        url: `file:///folder`, `s3://bucket/prefix`, `gs://...`, `az://...`; None is the folder.
        artifacts_dir: The folder of a server that was told no place.
        monotonic: Tells how long a connection has been silent.

    Raises:
        StoreUnavailable: The URL names no place that gyoza has, an extra is not installed, or the
            folder cannot be made.
    """
    if url is None:
        return _in_folder(artifacts_dir, monotonic)
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return _in_folder(_folder_in(url), monotonic)
    if scheme not in OBJECT_SCHEMES:
        expected = "file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
        raise StoreUnavailable(f"GYOZA_ARTIFACT_STORE {url!r} is no place; expected {expected}")
    return ArtifactFiles(_object_store(url), Uploads(artifacts_dir / _INCOMING, monotonic))


def _in_folder(folder: Path, monotonic: Callable[[], float]) -> ArtifactFiles:
    return ArtifactFiles(FolderStore(folder), Uploads(folder / _INCOMING, monotonic))


def _folder_in(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise StoreUnavailable(
            f"GYOZA_ARTIFACT_STORE {url!r} names no folder; expected file:///absolute/path"
        )
    return Path(unquote(parts.path))


def _object_store(url: str) -> Any:
    try:
        places: Any = importlib.import_module("obstore.store")
        objects: Any = importlib.import_module("gyoza.server.storage.artifact_objects")
    except ImportError as error:
        raise StoreUnavailable(
            f"GYOZA_ARTIFACT_STORE {url!r} needs an extra: pip install 'gyoza-ops[objects]'"
        ) from error
    try:
        return objects.ObjectStore(url, places.from_url(url))
    except Exception as error:  # each cloud has its own kinds of wrong settings
        why = str(error).partition("\n")[0]  # what follows is the library's own debugging
        raise StoreUnavailable(f"GYOZA_ARTIFACT_STORE {url!r} cannot be used: {why}") from error
