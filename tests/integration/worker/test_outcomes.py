"""How attempts end, carried out whole: agent, pipeline, reporter, scripted engine, server."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gyoza.worker.runtime.fake import FakeRuntime
from gyoza.worker.runtime.fake_script import Append, PullScript, Say, Script
from gyoza.worker.runtime.interface import (
    ContainerGone,
    EngineInfo,
    EngineUnavailable,
    PullDenied,
    PullFailed,
)
from tests.integration.worker.rig import IMAGE, FastClock, a_rig, result_of

pytestmark = pytest.mark.anyio


def output(value: Any) -> dict[str, bytes]:
    return {"output.json": json.dumps(value).encode()}


async def test_a_run_that_writes_its_outputs_completes_and_leaves_nothing(tmp_path: Path) -> None:
    script = Script(
        steps=(Say(b"hello\n"), Append("events.jsonl", b'{"type": "progress", "msg": 40}\n')),
        writes=output({"words": 3}),
    )

    async with a_rig(tmp_path, script) as rig:
        attempt = await rig.carry_out(output_specs={"words": {"type": "integer"}})

        result = result_of(attempt)
        assert (result.outcome, result.outputs, result.exit_code) == ("COMPLETED", {"words": 3}, 0)
        assert [event.type for event in attempt.events] == ["STARTED", "PROGRESS"]
        assert attempt.text == "hello\n"
        assert attempt.phases[0] == "STARTING"
        assert rig.leftovers() == []
        assert await rig.containers() == 0


async def test_an_op_finds_its_inputs_and_its_context(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def on_run(inner: Path | None, outer: Path | None) -> int:
        assert inner
        assert outer
        seen["input"] = json.loads((inner / "input.json").read_text())
        seen["context"] = json.loads((inner / "context.json").read_text())
        seen["mode"] = [oct(path.stat().st_mode & 0o777) for path in (inner, outer)]
        return 0

    async with a_rig(tmp_path, Script(on_run=on_run)) as rig:
        await rig.carry_out(inputs={"n": 1}, op_definition="wc", op_version="1.0.0")

    assert seen["input"] == {"n": 1}
    assert seen["context"]["op"] == "wc"
    assert seen["context"]["granted"] == {"cpu": 1, "ram_mb": 256, "vram_mb": None}
    assert seen["mode"] == ["0o755", "0o700"]


async def test_a_file_input_is_fetched_and_replaced_by_a_path(tmp_path: Path) -> None:
    seen: list[Any] = []

    def on_run(inner: Path | None, _: Path | None) -> int:
        assert inner
        path = json.loads((inner / "input.json").read_text())["text"]
        seen.extend([path, (inner / path.removeprefix("/gyoza/in/")).read_bytes()])
        return 0

    async with a_rig(tmp_path, Script(on_run=on_run)) as rig:
        sha256 = rig.server.put(b"once upon")
        reference = {"sha256": sha256, "size_bytes": 9, "media_type": "", "name": "../a b.txt"}
        await rig.carry_out(
            inputs={"text": {"$artifact": reference}}, input_specs={"text": {"type": "file"}}
        )

    assert seen == [f"/gyoza/in/files/{sha256}/a_b.txt", b"once upon"]


async def test_a_file_input_that_arrives_damaged_is_not_the_users_fault(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script()) as rig:
        sha256 = rig.server.put(b"once upon")
        rig.server.artifacts[sha256] = b"twice upo"
        reference = {"sha256": sha256, "size_bytes": 9, "media_type": "", "name": "a"}
        attempt = await rig.carry_out(inputs={"text": {"$artifact": reference}})

    result = result_of(attempt)
    assert (result.reason, result.charged) == ("INPUT_CORRUPT", False)


async def test_a_file_output_is_stored_and_replaced_by_its_reference(tmp_path: Path) -> None:
    script = Script(
        writes={"files/sub/report.csv": b"a,b\n", **output({"report": "sub/report.csv"})}
    )

    async with a_rig(tmp_path, script) as rig:
        attempt = await rig.carry_out(output_specs={"report": {"type": "file"}})

        reference = result_of(attempt).outputs["report"]["$artifact"]
        assert reference["name"] == "sub/report.csv"
        assert reference["media_type"] == "text/csv"
        assert rig.server.artifacts[reference["sha256"]] == b"a,b\n"


async def test_an_upload_that_breaks_goes_on_where_it_was(tmp_path: Path) -> None:
    content = b"0123456789" * 300_000
    script = Script(writes={"files/large.bin": content, **output({"file": "large.bin"})})

    async with a_rig(tmp_path, script) as rig:
        rig.server.cut_next_uploads(1_500_000, 1_500_000, 2_000_001)
        attempt = await rig.carry_out(output_specs={"file": {"type": "file"}})

        sha256 = result_of(attempt).outputs["file"]["$artifact"]["sha256"]
        assert rig.server.artifacts[sha256] == content
        assert [begin for _, begin in rig.server.uploads] == [0, 1_500_000, 1_500_000, 2_000_001]


async def test_a_link_in_place_of_a_file_output_is_refused_and_its_target_untouched(
    tmp_path: Path,
) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")

    def on_run(_: Path | None, outer: Path | None) -> int:
        assert outer
        (outer / "files").mkdir()
        (outer / "files" / "leak").symlink_to(canary)
        (outer / "output.json").write_text('{"leak": "leak"}')
        return 0

    async with a_rig(tmp_path / "state", Script(on_run=on_run)) as rig:
        attempt = await rig.carry_out(output_specs={"leak": {"type": "file"}})

        assert rig.server.artifacts == {}
    assert result_of(attempt).reason == "OUTPUT_INVALID"
    assert "symbolic link" in result_of(attempt).message
    assert canary.read_text() == "secret"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(exist_ok=True)


CASES: list[tuple[str, Script, str, bool, bool]] = [
    ("user error", Script(exit_code=3), "USER_ERROR", True, True),
    ("bad input", Script(exit_code=65), "BAD_INPUT", True, False),
    ("try again", Script(exit_code=75), "TRY_AGAIN", False, True),
    ("oom", Script(oom=True), "OOM", True, True),
    ("killed, but not for memory", Script(exit_code=137), "USER_ERROR", True, True),
    ("no output", Script(), "OUTPUT_MISSING", True, False),
    ("wrong type", Script(writes=output({"n": "x"})), "OUTPUT_INVALID", True, False),
    ("broken", Script(writes={"output.json": b"{"}), "OUTPUT_INVALID", True, False),
    ("NaN", Script(writes={"output.json": b'{"n": NaN}'}), "OUTPUT_INVALID", True, False),
    (
        "deep",
        Script(writes={"output.json": b'{"n": ' + b"[" * 60 + b"]" * 60 + b"}"}),
        "OUTPUT_INVALID",
        True,
        False,
    ),
    (
        "huge",
        Script(writes={"output.json": b'{"n": "' + b"x" * 1024 * 1024 + b'"}'}),
        "OUTPUT_INVALID",
        True,
        False,
    ),
    ("a list", Script(writes={"output.json": b"[]"}), "OUTPUT_INVALID", True, False),
    ("does not start", Script(fails_to_start="no such file"), "START_FAILED", True, False),
    (
        "says it need not be tried again",
        Script(exit_code=1, writes={"error.json": b'{"message": "no", "retryable": false}'}),
        "USER_ERROR",
        True,
        False,
    ),
]


@pytest.mark.parametrize(
    ("script", "reason", "charged", "retryable"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
async def test_each_bad_end_has_its_reason(
    tmp_path: Path, script: Script, reason: str, *, charged: bool, retryable: bool
) -> None:
    async with a_rig(tmp_path, script) as rig:
        attempt = await rig.carry_out(output_specs={"n": {"type": "integer"}})

        result = result_of(attempt)
        assert (result.outcome, result.reason) == ("FAILED", reason), result.message
        assert (result.charged, result.retryable) == (charged, retryable)
        assert rig.leftovers() == []
        assert await rig.containers() == 0


async def test_an_event_cannot_complete_a_run(tmp_path: Path) -> None:
    line = b'{"type": "COMPLETED", "msg": "done"}\n'

    async with a_rig(tmp_path, Script(steps=(Append("events.jsonl", line),), exit_code=4)) as rig:
        attempt = await rig.carry_out()

    assert result_of(attempt).outcome == "FAILED"
    assert [event.type for event in attempt.events] == ["STARTED", "ERROR"]
    assert "COMPLETED" in str(attempt.events[1].msg)


async def test_a_fifo_in_place_of_the_output_does_not_hang_the_worker(tmp_path: Path) -> None:
    def on_run(_: Path | None, outer: Path | None) -> int:
        assert outer
        os.mkfifo(outer / "output.json")
        os.mkfifo(outer / "events.jsonl")
        return 0

    async with a_rig(tmp_path, Script(on_run=on_run)) as rig:
        attempt = await rig.carry_out()

    assert result_of(attempt).reason == "OUTPUT_INVALID"
    assert "FIFO" in result_of(attempt).message


async def test_an_image_nobody_has_is_named_in_the_words_of_the_engine(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script()) as rig:
        attempt = await rig.carry_out(image="nobody/has:this")

    result = result_of(attempt)
    assert (result.reason, result.charged, result.retryable) == ("IMAGE_NOT_FOUND", True, False)
    assert "manifest unknown" in result.message
    assert result.evidence["stage"] == "resolve_image"


@pytest.mark.parametrize(
    ("fault", "reason", "charged"),
    [
        (PullDenied("denied"), "IMAGE_DENIED", True),
        (PullFailed("rate limit"), "PULL_FAILED", False),
    ],
)
async def test_a_failed_pull_is_charged_to_whom_it_belongs(
    tmp_path: Path, fault: PullFailed, reason: str, *, charged: bool
) -> None:
    registry = {IMAGE: PullScript(fault=fault)}

    async with a_rig(tmp_path, Script(), registry=registry) as rig:
        attempt = await rig.carry_out()

    assert (result_of(attempt).reason, result_of(attempt).charged) == (reason, charged)


async def test_a_pull_over_its_time_is_the_machinerys_failure(tmp_path: Path) -> None:
    registry = {IMAGE: PullScript(duration_s=1000)}

    async with a_rig(tmp_path, Script(), registry=registry, factor=100) as rig:
        attempt = await rig.carry_out(execution={"timeouts": {"pull_s": 5}})

    assert (result_of(attempt).reason, result_of(attempt).charged) == ("PULL_TIMEOUT", False)
    assert attempt.phases[0] == "PULLING"


async def test_two_runs_of_one_image_pull_it_once(tmp_path: Path) -> None:
    registry = {IMAGE: PullScript(duration_s=1)}

    async with a_rig(tmp_path, Script(), registry=registry, factor=20) as rig:
        first = await rig.carry_out()
        second = await rig.carry_out()

    assert first.phases[0] == "PULLING"
    assert "PULLING" not in second.phases


async def test_an_engine_that_is_away_for_a_moment_does_not_end_a_run(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script(duration_s=0.2)) as rig:
        rig.runtime.fail_next("wait", EngineUnavailable("gone"))
        attempt = await rig.carry_out()

    assert result_of(attempt).outcome == "COMPLETED"


async def test_a_container_killed_while_the_engine_was_away_is_the_machinerys_failure(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script(duration_s=0.1, exit_code=137)) as rig:
        rig.runtime.fail_next("wait", EngineUnavailable("gone"))
        attempt = await rig.carry_out()

    assert (result_of(attempt).reason, result_of(attempt).charged) == ("ENGINE_FAILURE", False)


class Exchanged:
    """An engine whose process may become another one without a word."""

    def __init__(self, inner: FakeRuntime) -> None:
        self._inner = inner
        self.process = "100@1"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def fingerprint(self) -> EngineInfo:
        return replace(await self._inner.fingerprint(), process=self.process)


@pytest.mark.parametrize(
    ("process", "expected"),
    [("200@2", ("ENGINE_FAILURE", False)), ("100@1", ("USER_ERROR", True))],
)
async def test_an_engine_that_was_exchanged_while_nobody_looked_took_its_containers_along(
    tmp_path: Path, process: str, expected: tuple[str, bool]
) -> None:
    def die(_in: Path | None, _out: Path | None) -> int:
        engine.process = process
        return 143

    engine: Any = Exchanged(FakeRuntime(FastClock(1), {IMAGE: Script(on_run=die)}))

    async with a_rig(tmp_path, Script(), runtime=engine) as rig:
        attempt = await rig.carry_out()

    assert (result_of(attempt).reason, result_of(attempt).charged) == expected


async def test_a_container_that_vanished_is_the_machinerys_failure(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script(duration_s=5)) as rig:
        rig.runtime.fail_next("wait", ContainerGone("gone"))
        attempt = await rig.carry_out()

    assert (result_of(attempt).reason, result_of(attempt).charged) == ("ENGINE_FAILURE", False)


async def test_a_log_flood_is_bounded_and_marked_and_the_run_completes(tmp_path: Path) -> None:
    script = Script(steps=(Say(b"x" * 30 * 1024 * 1024), Say(b"the last word\n")))

    async with a_rig(tmp_path, script) as rig:
        attempt = await rig.carry_out()

    assert result_of(attempt).outcome == "COMPLETED"
    assert len(attempt.text) < 4 * 1024 * 1024
    assert "bytes dropped" in attempt.text
    assert attempt.text.endswith("the last word\n")
