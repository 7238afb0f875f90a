"""Images that travel: pushed with the user's credentials, found by digest, pulled by a worker."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gyoza.cli.engine_images import (
    DEFAULT_SOCKET,
    RegistryRefused,
    inspect_image,
    pull_image,
    registry_digest,
)
from gyoza.worker.runtime.docker import DockerRuntime
from gyoza.worker.runtime.interface import PullDenied
from gyoza.worker.runtime.registry_auth import registry_auth
from tests.support.engine import busybox_image, require_engine
from tests.support.registry import PASSWORD, USER, a_registry

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(120)]

OWN = {"PATH": os.environ.get("PATH", "")}  # noqa: TID251 - real processes need a real one


@pytest.fixture
def image() -> Iterator[str]:
    """A small image on this machine."""
    engine = require_engine()
    yield busybox_image(engine)
    engine.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    with a_registry(tmp_path / "registry", has_password=True) as host:
        yield host


def docker(*words: str, config: Path | None = None, fails: bool = False) -> str:
    environment = {**OWN, "DOCKER_CONFIG": str(config)} if config else OWN
    done = subprocess.run(
        ["docker", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert fails or done.returncode == 0, done.stderr
    return done.stdout.strip()


def logged_in(folder: Path, host: str) -> dict[str, str]:
    folder.mkdir()
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {**OWN, "DOCKER_CONFIG": str(folder)}


def pushed(image: str, host: str, config: Path) -> str:
    """Push an image and forget it here; gives its name."""
    reference = f"{host}/team/op:1"
    docker("tag", image, reference)
    docker("push", reference, config=config)
    docker("image", "rm", reference)
    return reference


def test_a_private_registry_says_the_digest_to_who_logged_in(
    image: str, guarded: str, tmp_path: Path
) -> None:
    environment = logged_in(tmp_path / "docker", guarded)
    reference = pushed(image, guarded, tmp_path / "docker")

    digest = registry_digest(DEFAULT_SOCKET, reference, environment)

    assert digest.startswith(f"{guarded}/team/op@sha256:")
    with pytest.raises(RegistryRefused, match=r"(?i)unauthorized|no basic auth|denied"):
        registry_digest(DEFAULT_SOCKET, reference, OWN)


def test_what_a_registry_does_not_have_is_told_so(guarded: str, tmp_path: Path) -> None:
    environment = logged_in(tmp_path / "docker", guarded)

    with pytest.raises(RegistryRefused, match=r"(?i)unknown|not found|denied|unauthorized"):
        registry_digest(DEFAULT_SOCKET, f"{guarded}/team/absent:1", environment)
    with pytest.raises(RegistryRefused):
        pull_image(DEFAULT_SOCKET, f"{guarded}/team/absent:1", environment)


def test_an_image_that_is_brought_here_is_known_by_its_registrys_digest(
    image: str, guarded: str, tmp_path: Path
) -> None:
    environment = logged_in(tmp_path / "docker", guarded)
    reference = pushed(image, guarded, tmp_path / "docker")
    digest = registry_digest(DEFAULT_SOCKET, reference, environment)

    pull_image(DEFAULT_SOCKET, reference, environment)

    found = inspect_image(DEFAULT_SOCKET, reference)
    docker("image", "rm", reference)
    assert (found.digest, found.is_local_only) == (digest, False)


@pytest.mark.anyio
async def test_a_worker_pulls_by_digest_with_its_users_credentials(
    image: str, guarded: str, tmp_path: Path
) -> None:
    environment = logged_in(tmp_path / "docker", guarded)
    reference = pushed(image, guarded, tmp_path / "docker")
    digest = registry_digest(DEFAULT_SOCKET, reference, environment)
    stranger = DockerRuntime(registry_auth=partial(registry_auth, environment=OWN))
    known = DockerRuntime(registry_auth=partial(registry_auth, environment=environment))
    seen: list[Any] = []

    try:
        with pytest.raises(PullDenied):
            await stranger.pull(digest, seen.append)
        found = await known.pull(digest, seen.append)
    finally:
        await stranger.close()
        await known.close()

    docker("image", "rm", digest)
    assert found.id == docker("image", "inspect", "--format", "{{.Id}}", image)
