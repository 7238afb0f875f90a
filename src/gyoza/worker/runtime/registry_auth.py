"""The engine user's credentials for a registry, as the Engine API takes them: `X-Registry-Auth`.

Read where `docker login` puts them: `config.json`, and the credential helpers that it names. An
engine keeps no credentials of its own, so whoever asks it to talk to a registry hands them over.
https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

from __future__ import annotations

import base64
import binascii
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

HEADER: Final = "X-Registry-Auth"
HUB: Final = "https://index.docker.io/v1/"
"""The name under which Docker Hub's credentials are kept."""

_HELPER: Final = "docker-credential-"
_HELPER_S: Final = 15.0
# Says that the secret is no password but a token to be exchanged.
_TOKEN_USER: Final = "<token>"  # noqa: S105  the helpers' own word
_NOT_FOUND: Final = "credentials not found"

Helper = Callable[[str, str], "tuple[int, str]"]
"""From the name of a helper and a server to its exit code and what it printed."""


class CredentialsUnreadable(Exception):
    """There may be credentials, and they cannot be read; the text says which and why."""


def registry_of(reference: str) -> str:
    """Return the registry that an image's name leads to, as credentials name it."""
    host, slash, _ = reference.partition("/")
    # https://pkg.go.dev/github.com/distribution/reference: the first part is a host by its look.
    if slash and ("." in host or ":" in host or host == "localhost"):
        return HUB if host in {"docker.io", "index.docker.io"} else host
    return HUB


def registry_auth(
    reference: str, environment: Mapping[str, str], helper: Helper | None = None
) -> str:
    """Return the header's value for an image's registry; "" when nobody logged in there.

    Args:
        reference: Name of the image.
        environment: `DOCKER_CONFIG` or `HOME` lead to the file; `PATH` to the helpers.
        helper: Asks a helper; None runs the program.

    Raises:
        CredentialsUnreadable: The file is no JSON object, or a helper fails.
    """
    config = _config(environment)
    registry = registry_of(reference)
    ask = helper or _program(environment)
    found = _of_helper(config, registry, ask) or _of_file(config, registry)
    if not found:
        return ""
    document = json.dumps({**found, "serveraddress": registry})
    return base64.urlsafe_b64encode(document.encode()).decode()


def _config(environment: Mapping[str, str]) -> dict[str, Any]:
    folder = environment.get("DOCKER_CONFIG")
    home = environment.get("HOME")
    if not folder and not home:
        return {}
    file = (Path(folder) if folder else Path(home or "") / ".docker") / "config.json"
    try:
        value: Any = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CredentialsUnreadable(f"{file} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CredentialsUnreadable(f"{file} holds no JSON object")
    return cast("dict[str, Any]", value)


def _of_file(config: Mapping[str, Any], registry: str) -> dict[str, str]:
    known = _members(config.get("auths"))
    wanted = _host(registry)
    entry = _members(next((known[name] for name in known if _host(name) == wanted), None))
    if entry.get("identitytoken"):
        return {"identitytoken": str(entry["identitytoken"])}
    try:
        both = base64.b64decode(str(entry.get("auth", "")), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        text = f"the credentials of {registry} are not base64; log in again with `docker login`"
        raise CredentialsUnreadable(text) from error
    user, colon, password = both.rstrip("\0").partition(":")
    return {"username": user, "password": password} if colon else {}


def _of_helper(config: Mapping[str, Any], registry: str, ask: Helper) -> dict[str, str]:
    chosen = _members(config.get("credHelpers")).get(registry) or config.get("credsStore")
    if not isinstance(chosen, str) or not chosen:
        return {}
    code, printed = ask(chosen, registry)
    if code != 0:
        if _NOT_FOUND in printed:
            return {}
        words = " ".join(printed.split()) or f"exit code {code}"
        raise CredentialsUnreadable(f"{_HELPER}{chosen} gives nothing for {registry}: {words}")
    try:
        answer = _members(json.loads(printed))
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError) as error:
        text = f"{_HELPER}{chosen} answered for {registry} with something else than it should"
        raise CredentialsUnreadable(text) from error
    return (
        {"identitytoken": secret} if user == _TOKEN_USER else {"username": user, "password": secret}
    )


def _program(environment: Mapping[str, str]) -> Helper:
    def ask(name: str, registry: str) -> tuple[int, str]:
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise CredentialsUnreadable(f"{name!r} is no name of a credential helper")
        try:
            done = subprocess.run(  # noqa: S603  a list of words, no shell
                [f"{_HELPER}{name}", "get"],
                input=registry,
                env=dict(environment),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_HELPER_S,
                check=False,
            )
        except FileNotFoundError:
            text = f"{_HELPER}{name} is named in Docker's config.json and is not on PATH"
            raise CredentialsUnreadable(text) from None
        except subprocess.TimeoutExpired:
            text = f"{_HELPER}{name} gave no answer within {_HELPER_S:.0f} s"
            raise CredentialsUnreadable(text) from None
        return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr

    return ask


def _members(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _host(name: str) -> str:
    bare = name.partition("://")[2] or name
    return bare.partition("/")[0]
