"""The engine's refusals, in its own words, sorted into faults."""

from __future__ import annotations

import pytest

from gyoza.worker.runtime.docker_errors import (
    create_refused,
    pull_refused,
    refused,
    start_refused,
)
from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerSpec,
    GpuFailed,
    ImageNotFound,
    NameConflict,
    OutOfResources,
    PullDenied,
    PullFailed,
    RuntimeFault,
    StartFailed,
)

SPEC = ContainerSpec(name="run-1", image="op:1", cpus=64)
USER, MACHINERY = True, False


@pytest.mark.parametrize(
    ("status", "words", "kind", "charged", "is_recoverable"),
    [
        (404, "No such image: op:1", ImageNotFound, USER, False),
        (
            409,
            'Conflict. The container name "/run-1" is already in use by container "ab12".',
            NameConflict,
            MACHINERY,
            False,
        ),
        (
            400,
            "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            OutOfResources,
            MACHINERY,
            True,
        ),
        (400, "Minimum memory limit allowed is 6MB", OutOfResources, USER, False),
        (400, "No command specified", StartFailed, USER, False),
        (
            400,
            'invalid mount config for type "bind": bind source path does not exist: /x',
            StartFailed,
            MACHINERY,
            True,
        ),
        (500, "something that nobody has seen yet", StartFailed, MACHINERY, True),
    ],
)
def test_a_refused_create(
    *, status: int, words: str, kind: type[RuntimeFault], charged: bool, is_recoverable: bool
) -> None:
    fault = create_refused(SPEC, status, words)

    assert type(fault) is kind
    assert (fault.charged, fault.is_recoverable) == (charged, is_recoverable)
    assert fault.detail == words


@pytest.mark.parametrize(
    ("status", "words", "kind", "charged"),
    [
        (404, "No such container: ab12", ContainerGone, MACHINERY),
        (
            400,
            'OCI runtime create failed: exec: "nosuch": executable file not found in $PATH',
            StartFailed,
            USER,
        ),
        (
            400,
            'OCI runtime create failed: exec: "/op": permission denied: unknown',
            StartFailed,
            USER,
        ),
        (500, "exec /op: exec format error", StartFailed, USER),
        (
            400,
            "unable to find user app: no matching entries in passwd file",
            StartFailed,
            USER,
        ),
        (
            500,
            "error setting rlimit type 7: operation not permitted: unknown",
            StartFailed,
            MACHINERY,
        ),
        (
            500,
            "stat /run/containerd/io.containerd/x: no such file or directory",
            StartFailed,
            MACHINERY,
        ),
        (500, "failed to create shim: no space left on device", OutOfResources, MACHINERY),
        (
            500,
            'could not select device driver "nvidia" with capabilities: [[gpu]]',
            GpuFailed,
            MACHINERY,
        ),
        (
            500,
            "nvidia-container-cli: initialization error: nvml error: gpu is lost: unknown",
            GpuFailed,
            MACHINERY,
        ),
    ],
)
def test_a_refused_start(
    *, status: int, words: str, kind: type[RuntimeFault], charged: bool
) -> None:
    fault = start_refused("run-1", status, words)

    assert type(fault) is kind
    assert fault.charged is charged
    assert fault.detail == words


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (404, "manifest for op:1 not found: manifest unknown: manifest unknown", ImageNotFound),
        (404, "no matching manifest for linux/arm64 in the manifest list", ImageNotFound),
        (400, "invalid reference format", ImageNotFound),
        (
            404,
            "pull access denied for op, repository does not exist or may require 'docker login'",
            PullDenied,
        ),
        (500, "unauthorized: authentication required", PullDenied),
        (500, "no basic auth credentials", PullDenied),
        (
            500,
            'Get "https://r.example/v2/": dial tcp: lookup r.example: no such host',
            PullFailed,
        ),
        (500, "toomanyrequests: You have reached your pull rate limit", PullFailed),
        (0, "write /var/lib/docker/tmp/x: no space left on device", PullFailed),
        (0, "filesystem layer verification failed for digest sha256:ab", PullFailed),
        (500, "received unexpected HTTP status: 503 Service Unavailable", PullFailed),
    ],
)
def test_a_refused_pull(status: int, words: str, kind: type[RuntimeFault]) -> None:
    fault = pull_refused("op:1", status, words)

    assert type(fault) is kind
    assert fault.charged is (kind is not PullFailed)
    assert fault.is_recoverable is (kind is PullFailed)
    assert "op:1" in fault.message
    assert fault.detail == words


def test_what_is_not_there_is_gone() -> None:
    assert type(refused("inspect run-1", 404, "No such container: ab12")) is ContainerGone


def test_a_refusal_of_no_known_kind_is_the_machinerys() -> None:
    fault = refused("inspect run-1", 500, "who knows")

    assert type(fault) is RuntimeFault
    assert not fault.charged
    assert fault.is_recoverable
    assert "who knows" in fault.message
