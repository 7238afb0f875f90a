"""Whose credentials go to which registry, read as `docker login` and its helpers leave them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

import pytest

from gyoza.worker.runtime.registry_auth import (
    HUB,
    CredentialsUnreadable,
    registry_auth,
    registry_of,
)

IMAGE: Final = "registry.example.org/team/op:1"
BASIC: Final = base64.b64encode(b"ada:se:cret").decode()


def logged_in(folder: Path, config: Any) -> dict[str, str]:
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return {"DOCKER_CONFIG": str(folder), "PATH": str(folder)}


def opened(header: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(base64.urlsafe_b64decode(header))
    return found


def a_helper(folder: Path, name: str, script: str) -> None:
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("busybox", HUB),
        ("team/op:1", HUB),
        ("docker.io/team/op", HUB),
        ("localhost/op", "localhost"),
        ("localhost:5001/op:1", "localhost:5001"),
        (IMAGE, "registry.example.org"),
        ("registry.example.org/op@sha256:1", "registry.example.org"),
    ],
)
def test_the_first_part_of_a_name_is_its_registry_when_it_looks_like_a_host(
    reference: str, registry: str
) -> None:
    assert registry_of(reference) == registry


@pytest.mark.parametrize("key", ["registry.example.org", "https://registry.example.org/v1/"])
def test_what_docker_login_stored_is_sent(tmp_path: Path, key: str) -> None:
    environment = logged_in(tmp_path, {"auths": {key: {"auth": BASIC}}})

    assert opened(registry_auth(IMAGE, environment)) == {
        "username": "ada",
        "password": "se:cret",
        "serveraddress": "registry.example.org",
    }


def test_the_home_folder_holds_the_file_when_nothing_else_is_named(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    logged_in(tmp_path / ".docker", {"auths": {HUB: {"auth": BASIC}}})

    assert opened(registry_auth("busybox", {"HOME": str(tmp_path)}))["username"] == "ada"


def test_an_identity_token_goes_instead_of_a_password(tmp_path: Path) -> None:
    config = {"auths": {"registry.example.org": {"identitytoken": "t", "auth": BASIC}}}

    header = registry_auth(IMAGE, logged_in(tmp_path, config))

    assert opened(header) == {"identitytoken": "t", "serveraddress": "registry.example.org"}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"auths": {}},
        {"auths": {"registry.example.org": {}}},
        {"auths": {"other": {"auth": BASIC}}},
    ],
)
def test_who_did_not_log_in_there_sends_nothing(tmp_path: Path, config: Any) -> None:
    assert registry_auth(IMAGE, logged_in(tmp_path, config)) == ""


def test_without_a_file_nothing_is_sent(tmp_path: Path) -> None:
    assert registry_auth(IMAGE, {"DOCKER_CONFIG": str(tmp_path)}) == ""
    assert registry_auth(IMAGE, {}) == ""


@pytest.mark.parametrize(
    "config",
    [
        {"credsStore": "box"},
        {"credHelpers": {"registry.example.org": "box"}, "credsStore": "absent"},
    ],
)
def test_a_helper_is_asked_for_the_registry(tmp_path: Path, config: Any) -> None:
    answer = '{"ServerURL":"x","Username":"ada","Secret":"\'$(/bin/cat)\'"}'
    a_helper(tmp_path, "box", f"echo '{answer}'")

    found = opened(registry_auth(IMAGE, logged_in(tmp_path, config)))

    assert (found["username"], found["password"]) == ("ada", "registry.example.org")


def test_a_helper_may_give_a_token(tmp_path: Path) -> None:
    a_helper(tmp_path, "box", """echo '{"Username":"<token>","Secret":"t"}'""")

    found = opened(registry_auth(IMAGE, logged_in(tmp_path, {"credsStore": "box"})))

    assert found["identitytoken"] == "t"


def test_a_helper_that_knows_nothing_leaves_the_word_to_the_file(tmp_path: Path) -> None:
    a_helper(tmp_path, "box", "echo credentials not found in native keychain; exit 1")
    config = {"credsStore": "box", "auths": {"registry.example.org": {"auth": BASIC}}}

    assert opened(registry_auth(IMAGE, logged_in(tmp_path, config)))["username"] == "ada"


@pytest.mark.parametrize(
    ("config", "helper", "words"),
    [
        ("{", "", "config.json cannot be read"),
        ("[]", "", "holds no JSON object"),
        ({"auths": {"registry.example.org": {"auth": "%%"}}}, "", "log in again"),
        ({"credsStore": "absent"}, "", "docker-credential-absent is named"),
        ({"credsStore": "../box"}, "", "no name of a credential helper"),
        ({"credsStore": "box"}, "echo locked >&2; exit 1", "gives nothing for .*: locked"),
        ({"credsStore": "box"}, "echo nonsense", "answered .* with something else"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, config: Any, helper: str, words: str
) -> None:
    a_helper(tmp_path, "box", helper)

    with pytest.raises(CredentialsUnreadable, match=words):
        registry_auth(IMAGE, logged_in(tmp_path, config))
