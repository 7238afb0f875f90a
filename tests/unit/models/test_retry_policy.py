"""What a retry policy may say, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza.models import ExitCodes, OnOom, RetryPolicy


def test_a_policy_without_extensions_is_written_as_it_always_was() -> None:
    assert RetryPolicy(3, 500).to_dict() == {"max_attempts": 3, "backoff_ms": 500}


def test_extensions_come_back_as_they_were_written() -> None:
    policy = RetryPolicy(3, 500, OnOom(1.5, 4096), ExitCodes((1, 2), (3,)))

    written = policy.to_dict()

    assert written["on_oom"] == {"factor": 1.5, "max_ram_mb": 4096, "max_vram_mb": None}
    assert written["exit_codes"] == {"retry": [1, 2], "fail": [3]}
    assert RetryPolicy.from_dict(written) == policy


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"on_oom": {}}, "on_oom: has no bound; name max_ram_mb or max_vram_mb"),
        ({"on_oom": {"factor": 1, "max_ram_mb": 9}}, "factor: got 1, expected a number from 1.1"),
        ({"on_oom": {"max_ram": 9}}, "max_ram: unknown field; did you mean max_ram_mb?"),
        ({"exit_codes": {"retry": [0]}}, "got 0, expected an exit code from 1 to 255"),
        ({"exit_codes": {"fail": [256]}}, "got 256, expected an exit code from 1 to 255"),
        ({"exit_codes": {"fail": 3}}, "fail: got 3, expected a list"),
        ({"exit_codes": {"retry": [3], "fail": [3]}}, "names 3 both to retry and to fail"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"retry policy") as refused:
        RetryPolicy.from_dict(given)

    assert said in str(refused.value)
