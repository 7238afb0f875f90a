"""What the Docker Engine says when it refuses, sorted into the faults of the interface.

Pure functions from (HTTP status, the engine's words) to a `RuntimeFault`. The engine has no error
codes beyond the status, so its words decide; they were collected from Docker 20.10 to 28. A text
that nobody foresaw ends as the fault of the machinery, never as the user's.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerSpec,
    EngineTimeout,
    EngineUnavailable,
    GpuFailed,
    ImageNotFound,
    NameConflict,
    OutOfResources,
    PullDenied,
    PullFailed,
    RuntimeFault,
    StartFailed,
)

SMALLEST_MEMORY_MB: Final = 6

_USERS_MISTAKE: Final = re.compile(
    r"executable file not found|exec format error|no command specified|chdir to cwd"
    r"|exec:? .*(no such file or directory|permission denied|(is|not) a directory)"
    r"|unable to find (user|group)|no matching entries in (passwd|group) file",
    re.IGNORECASE,
)
_PULL_NOT_FOUND: Final = re.compile(
    r"not found|manifest unknown|name unknown|no matching manifest|invalid reference"
    r"|does not exist(?! or may require)|repository name must|no such image",
    re.IGNORECASE,
)
_PULL_DENIED: Final = re.compile(
    r"denied|unauthorized|authentication required|no basic auth|forbidden|incorrect username",
    re.IGNORECASE,
)
_MACHINE_IS_FULL: Final = re.compile(
    r"range of cpus|no space left|cannot allocate memory|too many open files|resource temporarily",
    re.IGNORECASE,
)
# Of the engine itself, and of the NVIDIA Container Toolkit, whose words are passed on.
_GPU_TROUBLE: Final = re.compile(
    r"could not select device driver|nvidia-container|libnvidia-|nvml|unresolvable CDI devices",
    re.IGNORECASE,
)
_PULL_TROUBLE: Final = re.compile(
    r"toomanyrequests|rate limit|dial tcp|lookup |i/o timeout|connection re|no space left",
    re.IGNORECASE,
)


def unavailable(verb: str, words: str) -> EngineUnavailable:
    """The engine could not be reached, or went away in the middle of an answer."""
    return EngineUnavailable(
        f"could not {verb}: the Docker Engine does not answer ({words}); is it running?",
        detail=words,
    )


def timed_out(verb: str, seconds: float) -> EngineTimeout:
    """The engine was reached and did not answer in time."""
    return EngineTimeout(
        f"could not {verb}: the Docker Engine did not answer within {seconds:g} s;"
        " the request may still have been carried out"
    )


def refused(verb: str, status: int, words: str) -> RuntimeFault:
    """A refusal of no special kind: of a container that is gone, or simply unknown."""
    if status == HTTPStatus.NOT_FOUND:
        return ContainerGone(f"could not {verb}: {words}", detail=words)
    return RuntimeFault(f"could not {verb}: the Docker Engine says: {words}", detail=words)


def create_refused(spec: ContainerSpec, status: int, words: str) -> RuntimeFault:
    """Why a container could not be created."""
    if status == HTTPStatus.NOT_FOUND and "image" in words.lower():
        return ImageNotFound(
            f"image {spec.image} is not on this machine; pull or build it first", detail=words
        )
    if status == HTTPStatus.CONFLICT:
        return NameConflict(f"the container name {spec.name} is taken: {words}", detail=words)
    if spec.memory_mb < SMALLEST_MEMORY_MB or "minimum memory limit" in words.lower():
        return OutOfResources(
            f"{spec.memory_mb} MB of memory is less than the engine can give a container;"
            f" ask for at least {SMALLEST_MEMORY_MB} MB",
            is_recoverable=False,
            charged=True,
            detail=words,
        )
    if _MACHINE_IS_FULL.search(words):
        return OutOfResources(
            f"this machine cannot give container {spec.name} its {spec.cpus:g} CPUs and"
            f" {spec.memory_mb} MB: {words}",
            detail=words,
        )
    return _start_refused(f"create container {spec.name} from {spec.image}", words)


def start_refused(name: str, status: int, words: str) -> RuntimeFault:
    """Why a container could not be started."""
    if status == HTTPStatus.NOT_FOUND and "no such container" in words.lower():
        return ContainerGone(f"could not start container {name}: {words}", detail=words)
    if _MACHINE_IS_FULL.search(words):
        return OutOfResources(f"could not start container {name}: {words}", detail=words)
    return _start_refused(f"start container {name}", words)


def _start_refused(what: str, words: str) -> RuntimeFault:
    is_users = bool(_USERS_MISTAKE.search(words))
    if not is_users and _GPU_TROUBLE.search(words):
        return GpuFailed(
            f"the Docker Engine could not {what} with its GPU: {words}; `gyoza doctor` on that"
            " machine says what is missing",
            detail=words,
        )
    return StartFailed(
        f"the Docker Engine could not {what}: {words}",
        is_recoverable=not is_users,
        charged=is_users,
        detail=words,
    )


def pull_refused(ref: str, status: int, words: str) -> RuntimeFault:
    """Why an image could not be pulled.

    A registry that answers "denied" for what does not exist (Docker Hub does) is believed.
    """
    if not _PULL_TROUBLE.search(words):
        if _PULL_DENIED.search(words) or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return PullDenied(f"the registry refuses image {ref}: {words}", detail=words)
        if _PULL_NOT_FOUND.search(words) or status == HTTPStatus.NOT_FOUND:
            return ImageNotFound(f"the registry has no image {ref}: {words}", detail=words)
    return PullFailed(f"image {ref} could not be pulled: {words}", detail=words)
