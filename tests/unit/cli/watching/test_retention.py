"""Which versions' sources are kept: a decision over two values."""

from __future__ import annotations

from gyoza.cli.watching.retention import to_keep
from gyoza.worker.execution.dev_sources import DevSource


def a_source(number: int) -> DevSource:
    return DevSource("greet", f"1-dev.{number}", "sha256:a", f"/kept/{number}", "/op")


SOURCES = [a_source(number) for number in range(5)]


def test_the_newest_are_kept() -> None:
    assert to_keep(SOURCES, needed=(), count=2) == SOURCES[3:]


def test_a_version_that_a_run_still_needs_is_kept_however_old() -> None:
    assert to_keep(SOURCES, needed={"1-dev.0"}, count=2) == [SOURCES[0], *SOURCES[3:]]


def test_with_fewer_than_the_count_all_are_kept() -> None:
    assert to_keep(SOURCES, needed=(), count=9) == SOURCES
