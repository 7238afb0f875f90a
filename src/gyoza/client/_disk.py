"""What a conversation keeps on disk: files that arrive, and copies of what can be read only once.

For the drivers only. A file that arrives appears under its name once it is whole and its hash is
right; until then it can go on where its connection broke.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import httpx2

from gyoza import __version__
from gyoza.client._effects import Spooled
from gyoza.client.errors import ConnectionLost, FetchFailed

_OK: Final = 200
_PARTIAL: Final = 206
_NO_SUCH_RANGE: Final = 416
_FAULT: Final = 500
_PIECE: Final = 256 * 1024
_FETCH_TIMEOUT_S: Final = 60.0
_SHOWN_NAME_CHARS: Final = 100


class Arriving:
    """A file on its way here.

    Args:
        path: Where it appears.
        sha256: What its hash has to be.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        self._path = path
        self._expected = sha256
        name = path.name[:_SHOWN_NAME_CHARS]
        self._part = path.with_name(f".{name}.{secrets.token_hex(4)}.part")
        self._begin_anew()

    @property
    def range(self) -> dict[str, str]:
        """The header that asks for the rest."""
        return {"Range": f"bytes={self._received}-"} if self._received else {}

    def takes(self, status: int) -> bool:
        """Whether an answer of this status brings bytes; else it is a refusal."""
        return status in {_OK, _PARTIAL} or (status == _NO_SUCH_RANGE and self._received > 0)

    @contextmanager
    def open(self, status: int) -> Generator[None]:
        """Take the bytes of an answer: the rest when it is partial, else all of them."""
        if status == _OK:
            self._begin_anew()
        with self._part.open("ab" if self._received else "wb") as self._file:
            self._is_void = status == _NO_SUCH_RANGE  # its body is no part of the file
            yield

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        if self._is_void:
            return
        self._file.write(piece)
        self._digest.update(piece)
        self._received += len(piece)

    def finish(self) -> None:
        """Let the file appear.

        Raises:
            ConnectionLost: The bytes are not those of the hash; the next time begins anew.
        """
        if self._digest.hexdigest() != self._expected:
            self._begin_anew()
            raise ConnectionLost(
                f"the bytes of artifact {self._expected} arrived incomplete or changed"
            )
        self._part.replace(self._path)

    def discard(self) -> None:
        """Remove what is only half here."""
        self._part.unlink(missing_ok=True)

    def _begin_anew(self) -> None:
        self._digest = hashlib.sha256()
        self._received = 0


class Disk:
    """The files of one conversation."""

    def __init__(self) -> None:
        self._arriving: dict[Path, Arriving] = {}
        self._copies: list[Path] = []

    def arriving(self, path: Path, sha256: str) -> Arriving:
        """Return the file that arrives at a path, as far as it has come."""
        return self._arriving.setdefault(path, Arriving(path, sha256))

    def spool(self, source: Any) -> Spooled:
        """Copy an open file, or what is at a URL, to disk.

        Raises:
            FetchFailed: The URL does not give it.
        """
        with tempfile.NamedTemporaryFile(prefix="gyoza-", delete=False) as copy:
            path = Path(copy.name)
            self._copies.append(path)
            if isinstance(source, str):
                return Spooled(path, _fetch(source, copy))
            shutil.copyfileobj(source, copy, _PIECE)
        return Spooled(path)

    def clear(self) -> None:
        """Remove copies, and what has not arrived."""
        for file in self._arriving.values():
            file.discard()
        for path in self._copies:
            path.unlink(missing_ok=True)
        self._arriving, self._copies = {}, []


def _fetch(url: str, file: IO[bytes]) -> str:
    # Not the client that talks to the server: a stranger's host must not get the key.
    headers = {"User-Agent": f"gyoza/{__version__}"}
    try:
        with httpx2.stream(
            "GET", url, headers=headers, follow_redirects=True, timeout=_FETCH_TIMEOUT_S
        ) as response:
            if response.status_code != _OK:
                raise FetchFailed(
                    f"{url} answered {response.status_code} {response.reason_phrase}",
                    may_pass=response.status_code >= _FAULT,
                )
            for piece in response.iter_bytes(_PIECE):
                file.write(piece)
            return response.headers.get("content-type", "").partition(";")[0].strip()
    except (httpx2.TransportError, httpx2.InvalidURL, httpx2.TooManyRedirects) as error:
        may_pass = isinstance(error, httpx2.NetworkError | httpx2.TimeoutException)
        why = str(error) or type(error).__name__
        raise FetchFailed(f"{url} cannot be fetched: {why}", may_pass=may_pass) from error
