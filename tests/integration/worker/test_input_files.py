"""Files on their way into an attempt, wherever its inputs name them."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gyoza.worker.runtime.fake_script import Script
from gyoza.worker.server_fake import FakeServer
from gyoza.worker.server_port import ServerAway
from tests.integration.worker.rig import a_rig, result_of, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


def put(server: FakeServer, content: bytes, name: str = "a.txt") -> dict[str, Any]:
    sha256 = server.put(content)
    members = {"sha256": sha256, "size_bytes": len(content), "media_type": "", "name": name}
    return {"$artifact": members}


class Reader:
    """An op that reads its inputs, files included, and notes them."""

    def __init__(self) -> None:
        self.inputs: dict[str, Any] = {}
        self.contents: dict[str, bytes] = {}

    def __call__(self, inner: Path | None, _: Path | None) -> int:
        assert inner
        self.inputs = json.loads((inner / "input.json").read_text())
        for path in inner.glob("files/*/*"):
            inside = f"/gyoza/in/{path.relative_to(inner)}"
            self.contents[inside] = path.read_bytes()
        return 0


async def test_files_are_brought_from_anywhere_inside_of_inputs(tmp_path: Path) -> None:
    op = Reader()
    async with a_rig(tmp_path, Script(on_run=op)) as rig:
        inputs = {
            "pages": [put(rig.server, b"1"), [put(rig.server, b"2")]],
            "scene": {"image": put(rig.server, b"3"), "title": "t", "mask": None},
            "by_name": {"x": put(rig.server, b"4")},
        }
        await rig.carry_out(inputs=inputs)

    read = op.contents.__getitem__
    assert [read(op.inputs["pages"][0]), read(op.inputs["pages"][1][0])] == [b"1", b"2"]
    assert read(op.inputs["scene"].pop("image")) == b"3"
    assert op.inputs["scene"] == {"title": "t", "mask": None}
    assert read(op.inputs["by_name"]["x"]) == b"4"


async def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    op = Reader()
    async with a_rig(tmp_path, Script(on_run=op)) as rig:
        await rig.carry_out(
            inputs={"a": put(rig.server, b"1", "x.png"), "b": put(rig.server, b"2", "../x.png")}
        )

    assert op.contents[op.inputs["a"]] == b"1"
    assert op.contents[op.inputs["b"]] == b"2"


async def test_a_text_that_looks_like_a_file_is_passed_on(tmp_path: Path) -> None:
    op = Reader()
    inputs = {"a": "/gyoza/in/files/x", "b": {"$artifact": 1, "other": 2}, "$artifact": "c"}

    async with a_rig(tmp_path, Script(on_run=op)) as rig:
        await rig.carry_out(inputs=inputs)

    assert op.inputs == inputs
    assert op.contents == {}


@pytest.mark.parametrize(
    "described",
    [{}, 7, {"sha256": "../../etc", "size_bytes": 1}, {"sha256": "0" * 64, "size_bytes": -1}],
)
async def test_a_file_that_is_misdescribed_is_named_before_any_is_fetched(
    tmp_path: Path, described: Any
) -> None:
    async with a_rig(tmp_path, Script()) as rig:
        inputs = {"good": put(rig.server, b"1"), "list": [{"$artifact": described}]}
        attempt = await rig.carry_out(inputs=inputs)

        assert rig.server.downloads == []
    result = result_of(attempt)
    assert (result.reason, result.charged, result.retryable) == ("BAD_INPUT", True, False)
    assert result.message.startswith("/inputs/list/0: ")


async def test_a_run_whose_file_is_delayed_by_a_server_that_is_away_completes(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script(), factor=1000.0) as rig:
        rig.server.fail_next("get_artifact", ServerAway("away"))
        rig.server.cut_next(3)
        attempt = await rig.carry_out(inputs={"a": put(rig.server, b"once upon")})

    assert result_of(attempt).outcome == "COMPLETED"
    assert [start for _, start in rig.server.downloads] == [0, 3]


async def test_attempts_one_after_the_other_fetch_a_file_once(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script()) as rig:
        for _ in range(3):
            await rig.carry_out(inputs={"a": put(rig.server, b"once upon")})

        assert len(rig.server.downloads) == 1
        assert rig.leftovers() == []


async def test_a_full_disk_is_the_machines_fault_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_free = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: nothing_free)

    async with a_rig(tmp_path, Script()) as rig:
        attempt = await rig.carry_out(inputs={"a": put(rig.server, b"once upon", "big.tif")})

    result = result_of(attempt)
    assert (result.reason, result.charged, result.retryable) == ("WORKER_ERROR", False, True)
    assert "'big.tif'" in result.message
    assert f"in {tmp_path}/files (0 are free)" in result.message


async def test_a_run_says_that_it_waits_for_its_file_and_can_be_cancelled_meanwhile(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script()) as rig:
        rig.server.fail_next("get_artifact", *(ServerAway("away") for _ in range(1000)))
        assigned = asyncio.create_task(rig.carry_out(inputs={"a": put(rig.server, b"1")}))
        await rig.until_held()
        waiting = next(iter(rig.server.attempts.values()))
        await until(lambda: "FETCHING" in waiting.phases)
        await rig.server.cancel(waiting)
        attempt = await assigned

    assert result_of(attempt).outcome == "CANCELLED"
