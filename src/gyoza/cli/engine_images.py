"""Asking the local container engine what an image is, over its Unix socket.

Only what `deploy` and `dev` need to know before a worker exists: is there an engine, which bytes
does a tag stand for, here or in its registry. Running containers is the worker's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import httpx2

from gyoza.wire import strict_json
from gyoza.worker.runtime.registry_auth import (
    HEADER,
    CredentialsUnreadable,
    registry_auth,
)

DEFAULT_SOCKET: Final = "unix:///var/run/docker.sock"
_TIMEOUT_S: Final = 5.0
_REGISTRY_S: Final = 30.0
_PULL_S: Final = 3600.0
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


class RegistryRefused(Exception):
    """The image's registry does not have it, does not give it, or cannot be reached."""


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
    ours = [digest for digest in repo_digests if repository_of(digest) == repository_of(reference)]
    if ours or repo_digests:
        return LocalImage((ours or repo_digests)[0], is_local_only=False, labels=labels)
    return LocalImage(str(facts["Id"]), is_local_only=True, labels=labels)


def registry_digest(address: str, reference: str, environment: Mapping[str, str]) -> str:
    """Ask an image's registry, by way of the engine and with its user's credentials.

    Returns:
        `name@sha256:...`, what a worker on any machine pulls.

    Raises:
        EngineUnreachable: No engine answers.
        RegistryRefused: The registry does not say; the text says why.
    """
    # Docker Engine API, DistributionInspect.
    path = f"/distribution/{quote(reference, safe='/:@')}/json"
    answer = _get(address, path, headers=_credentials(reference, environment), limit_s=_REGISTRY_S)
    if answer.status_code != _OK:
        raise RegistryRefused(_refusal(answer))
    descriptor = cast("dict[str, Any]", _object(answer).get("Descriptor") or {})
    return f"{repository_of(reference)}@{descriptor['digest']}"


def pull_image(address: str, reference: str, environment: Mapping[str, str]) -> None:
    """Bring an image to this machine.

    Raises:
        EngineUnreachable: No engine answers.
        RegistryRefused: The registry does not give it; the text says why.
    """
    # Docker Engine API, ImageCreate: without a tag it would pull every one.
    has_tag = ":" in reference.rpartition("/")[2] or "@" in reference
    named = reference if has_tag else f"{reference}:latest"
    path = f"/images/create?fromImage={quote(named, safe='')}"
    headers = _credentials(reference, environment)
    answer = _get(address, path, method="POST", headers=headers, limit_s=_PULL_S)
    if answer.status_code != _OK:
        raise RegistryRefused(_refusal(answer))
    # A pull that fails half-way has said 200 long before.
    failed = [line for line in answer.text.splitlines() if '"errorDetail"' in line]
    if failed:
        raise RegistryRefused(str(json.loads(failed[0]).get("error", "the pull failed")))


def _credentials(reference: str, environment: Mapping[str, str]) -> dict[str, str]:
    try:
        value = registry_auth(reference, environment)
    except CredentialsUnreadable as error:
        raise RegistryRefused(str(error)) from error
    return {HEADER: value} if value else {}


def _refusal(answer: httpx2.Response) -> str:
    try:
        return str(strict_json.loads(answer.content)["message"])
    except (strict_json.StrictJsonError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"


def repository_of(reference: str) -> str:
    """Return an image's name without tag and digest."""
    bare = reference.partition("@")[0]
    head, slash, tail = bare.rpartition("/")
    return head + slash + tail.partition(":")[0]


def _get(
    address: str,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    limit_s: float = _TIMEOUT_S,
) -> httpx2.Response:
    scheme, _, rest = address.partition("://")
    # Looked at first: httpcore leaks its socket when there is nothing to connect to.
    if scheme == "unix" and not Path(rest).is_socket():
        raise EngineUnreachable(f"{address}: no such socket")
    transport = httpx2.HTTPTransport(uds=rest) if scheme == "unix" else None
    base = "http://engine" if scheme == "unix" else f"http://{rest}"
    try:
        with httpx2.Client(
            base_url=base, transport=transport, timeout=limit_s, trust_env=False
        ) as client:
            return client.request(method, path, headers=dict(headers or {}))
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
