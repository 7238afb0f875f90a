"""Asking the local container engine what an image is, over its Unix socket.

Only what `deploy` and `dev` need to know before a worker exists: is there an engine, and which
bytes does a tag stand for. Running containers is the worker's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import httpx2

from gyoza.wire import strict_json

DEFAULT_SOCKET: Final = "unix:///var/run/docker.sock"
_TIMEOUT_S: Final = 5.0
_OK: Final = 200
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class LocalImage:
    """What the engine says about an image.

    Attributes:
        digest: `name@sha256:...` of a registry; else the local image id, `sha256:...`.
        is_local_only: Whether no registry knows these bytes, so that only this machine has them.
        labels: What whoever made it wrote on it.
    """

    digest: str
    is_local_only: bool
    labels: Mapping[str, str]


class EngineUnreachable(Exception):
    """No container engine answers."""


class ImageUnknown(Exception):
    """The engine has no such image."""


def engine_address(environment: Mapping[str, str]) -> str:
    """Return where the engine is: the worker's setting, Docker's own, or the usual socket."""
    named = environment.get("GYOZA_DOCKER_HOST") or environment.get("DOCKER_HOST")
    return named or DEFAULT_SOCKET


def engine_version(address: str) -> str:
    """Return the engine's version.

    Raises:
        EngineUnreachable: None answers.
    """
    answer = _get(address, "/version")
    return str(_object(answer).get("Version", "unknown"))


def inspect_image(address: str, reference: str) -> LocalImage:
    """Return which bytes a reference stands for on this machine.

    Raises:
        EngineUnreachable: No engine answers.
        ImageUnknown: The engine has no such image.
    """
    # Docker Engine API, ImageInspect.
    answer = _get(address, f"/images/{quote(reference, safe='/:@')}/json")
    if answer.status_code == _NOT_FOUND:
        raise ImageUnknown(reference)
    facts = _object(answer)
    config = cast("dict[str, Any]", facts.get("Config") or {})
    labels = cast("dict[str, str]", config.get("Labels") or {})
    repo_digests: list[str] = facts.get("RepoDigests") or []
    ours = [digest for digest in repo_digests if _name(digest) == _name(reference)]
    if ours or repo_digests:
        return LocalImage((ours or repo_digests)[0], is_local_only=False, labels=labels)
    return LocalImage(str(facts["Id"]), is_local_only=True, labels=labels)


def _name(reference: str) -> str:
    bare = reference.partition("@")[0]
    head, slash, tail = bare.rpartition("/")
    return head + slash + tail.partition(":")[0]


def _get(address: str, path: str) -> httpx2.Response:
    scheme, _, rest = address.partition("://")
    # Looked at first: httpcore leaks its socket when there is nothing to connect to.
    if scheme == "unix" and not Path(rest).is_socket():
        raise EngineUnreachable(f"{address}: no such socket")
    transport = httpx2.HTTPTransport(uds=rest) if scheme == "unix" else None
    base = "http://engine" if scheme == "unix" else f"http://{rest}"
    try:
        with httpx2.Client(
            base_url=base, transport=transport, timeout=_TIMEOUT_S, trust_env=False
        ) as client:
            return client.get(path)
    except httpx2.TransportError as error:
        raise EngineUnreachable(f"{address}: {error}") from error


def _object(answer: httpx2.Response) -> dict[str, Any]:
    try:
        value: Any = strict_json.loads(answer.content)
    except strict_json.StrictJsonError:
        value = None
    if answer.status_code != _OK or not isinstance(value, dict):
        raise EngineUnreachable(f"HTTP {answer.status_code} instead of an engine's answer")
    return cast("dict[str, Any]", value)
