"""Hostile and well-behaved ops in real containers, through a whole worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gyoza.op import protocol
from gyoza.worker.runtime.docker import DockerRuntime
from gyoza.worker.server_fake import Attempt
from tests.integration.worker.rig import a_rig, an_assignment, result_of, until
from tests.support.engine import Engine, busybox_image, require_engine

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

USER = (protocol.CONTAINER_UID, protocol.CONTAINER_GID)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    found = require_engine()
    yield found
    found.close()


async def carried_out(tmp_path: Path, engine: Engine, script: str, **changes: Any) -> Attempt:
    image = busybox_image(engine)
    execution = {"command": ["sh", "-c", script], **changes.pop("execution", {})}
    runtime = DockerRuntime()
    try:
        async with a_rig(tmp_path, {}, runtime=runtime, user=USER) as rig:
            attempt = await rig.carry_out(image=image, execution=execution, **changes)
            left = await runtime.list_managed({"org.gyoza.worker": f"wrk_{tmp_path.name}"})
            assert left == []
            assert rig.leftovers() == []
    finally:
        await runtime.close()
    return attempt


async def test_an_op_reads_its_inputs_and_returns_values_and_files(
    tmp_path: Path, engine: Engine
) -> None:
    script = """
    cat $GYOZA_DIR/in/input.json
    echo warned >&2
    echo '{"type": "progress", "msg": 50}' >> $GYOZA_DIR/out/events.jsonl
    cd $GYOZA_DIR/out; sh -c 'exec 3>&1' ; (umask 022; cat /dev/null > f; mv f report.txt)
    echo '{"n": 1}' > output.json
    """

    attempt = await carried_out(
        tmp_path, engine, script, inputs={"a": [1]}, output_specs={"n": {"type": "integer"}}
    )

    result = result_of(attempt)
    assert (result.outcome, result.outputs) == ("COMPLETED", {"n": 1}), result
    assert '{"a":[1]}' in attempt.text
    assert {log.stream for log in attempt.logs} == {"stdout", "stderr"}
    assert [event.msg for event in attempt.events][1:] == [50]
    assert result.duration_ms is not None


async def test_links_to_the_host_are_not_followed(tmp_path: Path, engine: Engine) -> None:
    script = """
    cd $GYOZA_DIR/out
    ln -s /etc/shadow output.json
    ln -s /etc/shadow events.jsonl
    """

    attempt = await carried_out(tmp_path, engine, script)

    assert result_of(attempt).reason == "OUTPUT_INVALID"
    assert not any("root:" in str(event.msg) for event in attempt.events)


async def test_a_fifo_does_not_hang_the_worker(tmp_path: Path, engine: Engine) -> None:
    attempt = await carried_out(tmp_path, engine, "mkfifo $GYOZA_DIR/out/output.json")

    assert "FIFO" in result_of(attempt).message


async def test_an_op_cannot_write_where_the_worker_writes(tmp_path: Path, engine: Engine) -> None:
    script = "echo x > $GYOZA_DIR/in/input.json; echo x > $GYOZA_DIR/in/new; echo x > /etc/hosts"

    attempt = await carried_out(tmp_path, engine, f"{script}; true")

    assert result_of(attempt).outcome == "COMPLETED"
    assert attempt.text.lower().count("read-only file system") == 3


async def test_an_op_that_wants_too_much_memory_is_told_so(tmp_path: Path, engine: Engine) -> None:
    attempt = await carried_out(
        tmp_path,
        engine,
        "dd if=/dev/zero of=/dev/null bs=200M count=1",
        granted={"cpu": 1, "ram_mb": 32},
    )

    assert result_of(attempt).reason == "OOM"


async def test_a_cancelled_op_can_read_why(tmp_path: Path, engine: Engine) -> None:
    image = busybox_image(engine)
    script = (
        "trap 'cat $GYOZA_DIR/in/cancel.json; exit 0' TERM; echo on; while :; do sleep 0.1; done"
    )
    runtime = DockerRuntime()
    try:
        async with a_rig(tmp_path, {}, runtime=runtime, user=USER) as rig:
            attempt = await rig.server.assign(
                an_assignment(image=image, execution={"command": ["sh", "-c", script]})
            )
            await until(lambda: "on" in attempt.text)
            await rig.server.cancel(attempt, "enough")
            await rig.server.until(attempt)
    finally:
        await runtime.close()

    assert result_of(attempt).outcome == "CANCELLED"
    assert '"message":"enough"' in attempt.text


async def test_a_flood_of_output_neither_blocks_nor_fills_anything(
    tmp_path: Path, engine: Engine
) -> None:
    line = "x" * 1000
    attempt = await carried_out(tmp_path, engine, f"yes {line} | head -c 60000000; echo last")

    assert result_of(attempt).outcome == "COMPLETED"
    assert len(attempt.text) < 12 * 1024 * 1024
    assert "[gyoza: " in attempt.text


async def test_nothing_is_left_by_several_at_a_time(tmp_path: Path, engine: Engine) -> None:
    image = busybox_image(engine)
    runtime = DockerRuntime()
    try:
        async with a_rig(tmp_path, {}, runtime=runtime, user=USER) as rig:
            began = time.monotonic()
            attempts = [
                await rig.server.assign(
                    an_assignment(image=image, execution={"command": ["sh", "-c", "true"]})
                )
                for _ in range(6)
            ]
            await asyncio.gather(*(rig.server.until(each) for each in attempts))
            await rig.until_clean()

            assert [result_of(each).outcome for each in attempts] == ["COMPLETED"] * 6
            assert rig.leftovers() == []
            assert time.monotonic() - began < 30
    finally:
        await runtime.close()
