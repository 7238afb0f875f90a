"""How many open files the engine can give."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.worker.runtime.docker_host import affordable_nofile, nofile_limit

CONFINED = "CapEff:\t000001fffeffffff\n"
ROOT = "CapEff:\t000001ffffffffff\n"


def limits(hard: str) -> str:
    return f"Max core file size        0   unlimited   bytes\nMax open files  1024  {hard}  files\n"


@pytest.mark.parametrize(
    ("hard", "status", "expected"),
    [
        ("20000", CONFINED, 20_000),
        ("1048576", CONFINED, 65_536),
        ("unlimited", CONFINED, 65_536),
        ("20000", ROOT, 65_536),
        ("20000", "", 20_000),
    ],
)
def test_an_engine_that_cannot_raise_limits_gives_no_more_than_it_has(
    hard: str, status: str, expected: int
) -> None:
    assert affordable_nofile(limits(hard), status) == expected


def test_an_engine_that_cannot_be_looked_at_is_taken_for_an_ordinary_one(tmp_path: Path) -> None:
    assert nofile_limit(str(tmp_path / "no-engine.sock")) == 65_536
