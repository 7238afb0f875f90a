"""Which versions' sources are kept, and what becomes of the others."""

from __future__ import annotations

from pathlib import Path

import httpx2

from gyoza.cli.watching.retention import KEPT, remove_old, to_keep
from gyoza.client import GyozaClient
from gyoza.project.engine_build import Builder, Engine
from gyoza.project.snapshots import Snapshots
from gyoza.worker.execution.dev_sources import (
    DevSource,
    file_of,
    read_dev_sources,
    write_dev_sources,
)
from tests.support.run_documents import a_run


def a_source(number: int) -> DevSource:
    return DevSource("greet", f"1-dev.{number}", "sha256:a", f"/kept/{number}", "/op")


SOURCES = [a_source(number) for number in range(5)]


def test_the_newest_are_kept() -> None:
    assert to_keep(SOURCES, needed=(), count=2) == SOURCES[3:]


def test_a_version_that_a_run_still_needs_is_kept_however_old() -> None:
    assert to_keep(SOURCES, needed={"1-dev.0"}, count=2) == [SOURCES[0], *SOURCES[3:]]


def test_with_fewer_than_the_count_all_are_kept() -> None:
    assert to_keep(SOURCES, needed=(), count=9) == SOURCES


def a_client(*needed: str) -> GyozaClient:
    """A client of a server on which a run of each of these versions waits."""
    runs = [{**a_run().to_dict(), "op_version": version} for version in needed]
    page = {"items": runs, "next_page_token": ""}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=page))
    return GyozaClient("http://pretend", transport=transport)


def test_old_snapshots_go_and_their_rows_stay_to_say_so(tmp_path: Path) -> None:
    code = tmp_path / "greet.py"
    (tmp_path / "sources" / "greet").mkdir(parents=True)
    snapshots = Snapshots(tmp_path / "sources" / "greet")
    rows: list[DevSource] = []
    for number in range(KEPT + 3):
        code.write_text(f"number = {number}\n")
        folder = snapshots.take({"greet.py": code}).folder
        rows.append(DevSource("greet", f"1-dev.{number}", "sha256:a", str(folder), "/op"))
    file = file_of(tmp_path / "sources", "greet")
    write_dev_sources(file, rows)

    with a_client("1-dev.1") as client:
        engine = Engine("true", Builder.CLASSIC, {})
        remove_old("greet", tmp_path / "sources", snapshots, client, engine)

    gone = [row.version for row in rows if not Path(row.folder).is_dir()]
    assert gone == ["1-dev.0", "1-dev.2"]
    assert read_dev_sources(file) == rows
