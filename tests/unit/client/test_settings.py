from __future__ import annotations

import os
from pathlib import Path

import pytest

from gyoza.client.settings import Backoff, read_settings

ENVIRONMENT = {"GYOZA_SERVER_URL": "http://box:1", "GYOZA_API_KEY": "secret"}


def test_an_argument_goes_before_the_environment_and_that_before_the_default(
    tmp_path: Path,
) -> None:
    assert read_settings("http://here:2", environment=ENVIRONMENT).base_url == "http://here:2"
    assert read_settings(environment=ENVIRONMENT).base_url == "http://box:1"
    assert read_settings(environment=nothing_runs(tmp_path)).base_url == "http://localhost:5555"


def nothing_runs(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path)}


def test_a_running_dev_is_found_where_neither_argument_nor_environment_name_a_server(
    tmp_path: Path,
) -> None:
    file = tmp_path / "gyoza" / "endpoint.json"
    file.parent.mkdir()
    url = "http://127.0.0.1:5556"
    file.write_text(f'{{"url": "{url}", "pid": {os.getpid()}, "data_dir": "/data"}}')
    found = nothing_runs(tmp_path)

    assert read_settings(environment=found).base_url == url
    assert read_settings(environment={**found, **ENVIRONMENT}).base_url == "http://box:1"
    assert read_settings("http://here:2", environment=found).base_url == "http://here:2"


@pytest.mark.parametrize("content", ["", "[]", '{"url": "http://x"}', '{"url": 1, "pid": 0}'])
def test_an_endpoint_file_that_says_nothing_usable_counts_as_absent(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "gyoza" / "endpoint.json"
    file.parent.mkdir()
    file.write_text(content)

    assert read_settings(environment=nothing_runs(tmp_path)).base_url == "http://localhost:5555"


def test_the_key_comes_from_the_environment_unless_it_is_given() -> None:
    assert read_settings(environment=ENVIRONMENT).api_key == "secret"
    assert read_settings(api_key="other", environment=ENVIRONMENT).api_key == "other"
    assert read_settings(environment={"GYOZA_API_KEY": ""}).api_key is None


@pytest.mark.parametrize("url", ["http://box:1/", "http://box:1/api/v1", "http://box:1/api/v1/"])
def test_the_address_is_the_servers_also_when_more_was_copied(url: str) -> None:
    assert read_settings(url, environment={}).base_url == "http://box:1"


@pytest.mark.parametrize("url", ["box:5555", "ftp://box", "http://", "localhost"])
def test_what_is_no_address_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ValueError, match="write it like http://localhost:5555"):
        read_settings(url, environment={})


def test_a_timeout_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout 0"):
        read_settings(timeout=0, environment={})


def test_pauses_double_up_to_the_cap_and_are_jittered_downwards_by_half_at_most() -> None:
    low, high = (Backoff(first_s=1, cap_s=10, random=lambda at=at: at) for at in (0.0, 1.0))

    assert [high.pause_s(n) for n in (1, 2, 3, 4, 5, 1000)] == [1, 2, 4, 8, 10, 10]
    assert low.pause_s(3) == 2
