"""What the container engine knows and the worker need not ask: labels, use of memory, changes.

Questions about one image or container of this machine, over the engine's socket. Running containers
is the worker's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self, cast
from urllib.parse import quote

import httpx2

from gyoza.wire import strict_json

_TIMEOUT_S: Final = 10.0
_MIB: Final = 1024 * 1024
_KINDS: Final = {0: "changed", 1: "added", 2: "deleted"}
_PROCESS_COLUMNS: Final = "-eo pid,ppid,stat,comm"


class EngineUnreachable(Exception):
    """No container engine answers; the message says where it was looked for."""


class ImageUnknown(Exception):
    """The engine has no such image."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says of itself.

    Attributes:
        id: `sha256:...`.
        labels: Written by whoever made it.
        user: Whom it would run as by itself; "" for root.
        command: What it starts.
        size_bytes: Unpacked.
    """

    id: str
    labels: Mapping[str, str]
    user: str
    command: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Change:
    """A file or folder of an image that a container has changed.

    Attributes:
        path: Inside the container.
        kind: added, changed or deleted.
    """

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a container.

    Attributes:
        pid: On this machine.
        parent: Its parent's.
        state: As `ps` writes it; `Z` first for a zombie.
        name: Of its program.
    """

    pid: int
    parent: int
    state: str
    name: str


class EngineFacts:
    """Asks one engine; an async context manager.

    Args:
        address: Such as `unix:///var/run/docker.sock`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        scheme, _, rest = address.partition("://")
        is_socket = scheme == "unix"
        self._socket = Path(rest) if is_socket else None
        self._client = httpx2.AsyncClient(
            base_url="http://engine" if is_socket else f"http://{rest}",
            transport=httpx2.AsyncHTTPTransport(uds=rest) if is_socket else None,
            timeout=_TIMEOUT_S,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def answers(self) -> None:
        """Return if the engine answers.

        Raises:
            EngineUnreachable: It does not.
        """
        await self._get("/version")

    async def image(self, reference: str) -> ImageFacts:
        """Return what an image of this machine says of itself.

        Raises:
            EngineUnreachable: No engine answers.
            ImageUnknown: It has no such image.
        """
        known = _members(await self._get(f"/images/{quote(reference, safe='/:@')}/json"))
        if not known:
            raise ImageUnknown(f"{reference} is not on this machine; build or pull it first")
        config: dict[str, Any] = known.get("Config") or {}
        command = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        return ImageFacts(
            id=str(known["Id"]),
            labels=config.get("Labels") or {},
            user=str(config.get("User") or ""),
            command=tuple(command),
            size_bytes=int(known.get("Size") or 0),
        )

    async def changes(self, container: str) -> list[Change]:
        """Return what a container has changed of its image, by path; none when it is gone."""
        found = await self._get(f"/containers/{container}/changes")
        listed = cast("list[dict[str, Any]]", found) if isinstance(found, list) else []
        changes = [Change(each["Path"], _KINDS.get(each["Kind"], "changed")) for each in listed]
        return sorted(changes, key=lambda change: change.path)

    async def memory_mb(self, container: str) -> float | None:
        """Return the memory in use; the most so far where the kernel tells (cgroup v1).

        None when the container does not run.
        """
        facts = await self._get(f"/containers/{container}/stats?stream=false&one-shot=true")
        stats: dict[str, Any] = _members(facts).get("memory_stats") or {}
        used = max(int(stats.get("max_usage") or 0), int(stats.get("usage") or 0))
        return used / _MIB if used else None

    async def processes(self, container: str) -> list[Process]:
        """Return the processes of a container; none when it does not run."""
        query = quote(_PROCESS_COLUMNS, safe="")
        facts = await self._get(f"/containers/{container}/top?ps_args={query}")
        rows: list[list[str]] = _members(facts).get("Processes") or []
        return [Process(int(row[0]), int(row[1]), row[2], row[3]) for row in rows]

    async def create(self, name: str, body: Mapping[str, Any]) -> str | None:
        """Make a container and return its id; None when the engine refuses.

        For containers that the worker's own runtime would not make: see `conformance`.

        Raises:
            EngineUnreachable: No engine answers.
        """
        content = strict_json.dumps(dict(body))
        made = await self._ask("POST", f"/containers/create?name={name}", content)
        return str(made["Id"]) if made else None

    async def _get(self, path: str) -> Any:
        """The answer's JSON; None when there is no such thing, or it does not run."""
        return await self._ask("GET", path)

    async def _ask(self, method: str, path: str, content: bytes | None = None) -> Any:
        # Looked at first: httpcore leaks its socket when there is nothing to connect to.
        if self._socket is not None and not self._socket.is_socket():
            raise EngineUnreachable(f"no container engine at {self.address}: no such socket")
        try:
            answer = await self._client.request(
                method, path, content=content, headers={"Content-Type": "application/json"}
            )
        except httpx2.TransportError as error:
            raise EngineUnreachable(f"no container engine at {self.address}: {error}") from error
        if answer.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
            return None
        return strict_json.loads(answer.content)


def _members(facts: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", facts) if isinstance(facts, dict) else {}
