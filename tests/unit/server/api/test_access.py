"""Who may come in: keys, and without keys the names the server answers to."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.datastructures import Headers

from gyoza.server.api.access import (
    Access,
    AllowedHosts,
    Keys,
    UnsafeSettings,
    is_loopback,
    refuse_unsafe_binding,
)
from gyoza.server.errors import HostNotAllowed, NotAllowed, NotAuthenticated
from gyoza.server.settings import Settings

KEYS = Keys(caller=b"caller-key", worker=b"worker-key")


def sent(key: str | None) -> Headers:
    return Headers({} if key is None else {"X-API-Key": key})


@pytest.mark.parametrize(
    ("key", "access"),
    [
        ("caller-key", Access.CALLER),
        ("caller-key", Access.EITHER),
        ("worker-key", Access.WORKER),
        ("worker-key", Access.EITHER),
        (None, Access.PUBLIC),
        ("wrong", Access.PUBLIC),
    ],
)
def test_a_key_opens_what_it_is_for(key: str | None, access: Access) -> None:
    KEYS.admit(sent(key), access)


@pytest.mark.parametrize(
    ("key", "access"), [("caller-key", Access.WORKER), ("worker-key", Access.CALLER)]
)
def test_a_good_key_for_something_else_is_not_allowed(key: str, access: Access) -> None:
    with pytest.raises(NotAllowed, match="the key sent is a"):
        KEYS.admit(sent(key), access)


@pytest.mark.parametrize("access", [Access.CALLER, Access.WORKER, Access.EITHER])
@pytest.mark.parametrize("key", [None, "", "wrong", "caller-keyx", "caller-ke", "schlüssel"])
def test_no_key_or_an_unknown_one_is_not_authenticated(key: str | None, access: Access) -> None:
    with pytest.raises(NotAuthenticated, match="GYOZA_API_KEY"):
        KEYS.admit(sent(key), access)


@pytest.mark.parametrize("access", [Access.CALLER, Access.EITHER])
@pytest.mark.parametrize("key", [None, "", "worker-key"])
def test_one_key_alone_closes_the_other_door_too(key: str | None, access: Access) -> None:
    only_worker = Keys(worker=b"worker-key")

    if key == "worker-key" and access is Access.EITHER:
        only_worker.admit(sent(key), access)
    else:
        with pytest.raises((NotAuthenticated, NotAllowed)):
            only_worker.admit(sent(key), access)


def test_without_keys_nobody_is_asked_for_one() -> None:
    Keys().admit(sent(None), Access.WORKER)


def test_the_same_key_for_callers_and_workers_is_refused(tmp_path: Path) -> None:
    same = SecretStr("one")

    with pytest.raises(UnsafeSettings, match="GYOZA_WORKER_KEY"):
        Keys.of(Settings(data_dir=tmp_path, api_key=same, worker_key=same))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5555", "127.0.0.1:80", "[::1]:5555", "[::1]", "box.lan:5555"]
)
def test_a_server_without_keys_answers_to_its_own_names(host: str) -> None:
    AllowedHosts(("Box.lan",)).admit(Headers({"Host": host}))


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "a@b"]
)
def test_a_server_without_keys_answers_to_no_other_name(host: str) -> None:
    with pytest.raises(HostNotAllowed, match="GYOZA_ALLOWED_HOSTS"):
        AllowedHosts().admit(Headers({"Host": host}))


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_a_web_page_of_another_host_may_not_use_a_server_without_keys(origin: str) -> None:
    with pytest.raises(NotAllowed, match="page"):
        AllowedHosts().admit(Headers({"Host": "localhost", "Origin": origin}))


def test_a_web_page_of_this_host_may() -> None:
    AllowedHosts().admit(Headers({"Host": "localhost:5555", "Origin": "http://localhost:5555"}))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    assert is_loopback(host)
    refuse_unsafe_binding(host, Keys())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.lan", ""])
def test_listening_beyond_loopback_without_keys_is_refused_and_names_both(host: str) -> None:
    with pytest.raises(UnsafeSettings, match=r"GYOZA_API_KEY.*GYOZA_WORKER_KEY"):
        refuse_unsafe_binding(host, Keys())


def test_listening_beyond_loopback_with_keys_is_allowed() -> None:
    refuse_unsafe_binding("0.0.0.0", KEYS)
