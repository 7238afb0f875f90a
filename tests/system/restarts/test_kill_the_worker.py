"""A worker killed ten times during one run: same container, one start, nothing twice or lost."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from gyoza.models import OpDefinition, OpRunState
from tests.support.engine import Engine, busybox_image, require_engine
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gyoza.client import GyozaClient, RunHandle

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(240)]

KILLS = 10
LINES = 700
TALKER = """
n=0
while [ $n -lt %d ]; do
  echo "line $n ä€"
  echo "{\\"type\\": \\"info\\", \\"msg\\": \\"event $n\\"}" >> $GYOZA_DIR/out/events.jsonl
  echo "{\\"type\\": \\"progress\\", \\"msg\\": $((n %% 100))}" >> $GYOZA_DIR/out/events.jsonl
  n=$((n + 1))
  sleep 0.05
done
echo '{"n": 1}' > $GYOZA_DIR/out/output.json
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    found = require_engine()
    busybox_image(found)
    yield found
    found.close()


def a_run(client: GyozaClient, engine: Engine, script: str) -> RunHandle:
    definition = OpDefinition.from_dict(
        {
            "id": "talker",
            "version": "1",
            "image": busybox_image(engine),
            "output_specs": {"n": {"type": "integer"}},
            "constraints": {"cpu": 1, "ram_mb": 64},
            "execution": {"command": ["/bin/sh", "-c", script]},
        }
    )
    client.upsert_definition(definition)
    return client.run(definition.id, {})


def engine_events(engine: Engine, run_id: str, since: float) -> list[dict[str, Any]]:
    filters = quote(json.dumps({"label": [f"org.gyoza.run={run_id}"], "type": ["container"]}))
    path = f"/events?since={int(since)}&until={int(time.time()) + 1}&filters={filters}"
    _, answer = engine.call("GET", path)
    lines = answer.splitlines() if isinstance(answer, bytes) else [json.dumps(answer).encode()]
    return [json.loads(line) for line in lines if line.strip()]


def infos(handle: RunHandle) -> list[Any]:
    return [event.msg for event in handle.events() if event.type == "INFO"]


def until_running(handle: RunHandle) -> None:
    end = time.monotonic() + 30
    while handle.refresh().state is not OpRunState.RUNNING:
        assert time.monotonic() < end, "the run does not start"
        time.sleep(0.05)


def until_settled(stack: Stack, number: int) -> None:
    """Wait until the process that was started last has taken over what there is."""
    end = time.monotonic() + 30
    seen = stack.log("worker").count("event='settled'")
    while stack.log("worker").count("event='settled'") == seen:
        assert time.monotonic() < end, f"process {number} takes nothing over: {stack.log('worker')}"
        time.sleep(0.02)


def test_a_worker_killed_ten_times_during_a_run_loses_and_doubles_nothing(
    tmp_path: Path, engine: Engine
) -> None:
    draw = random.Random(11)
    began = time.time()
    with Stack(tmp_path) as stack, stack.client() as client:
        handle = a_run(client, engine, TALKER % LINES)
        until_running(handle)
        for number in range(KILLS):
            if number % 2:  # else wherever it is in its start
                until_settled(stack, number)
            time.sleep(draw.uniform(0.0, 1.0))
            stack.kill("worker")
            stack.start_worker()
        run = handle.wait(timeout=120)

        happened = engine_events(engine, run.id, began)
        actions = [event["Action"] for event in happened]
        text = "".join(chunk.text for chunk in handle.logs())
        told = infos(handle)
        log = stack.log("worker")

    assert run.state is OpRunState.COMPLETED, (run.reason, run.execution_summary)
    assert (run.current_attempt.attempt, len(run.attempts)) == (1, 1)
    assert (actions.count("create"), actions.count("start"), actions.count("die")) == (1, 1, 1)
    assert len({event["id"] for event in happened}) == 1
    assert text == "".join(f"line {n} ä€\n" for n in range(LINES))
    assert told == [f"event {n}" for n in range(LINES)]
    assert log.count("adopted=1") >= KILLS // 2, log


def test_a_worker_that_hands_over_is_replaced_during_a_run(tmp_path: Path, engine: Engine) -> None:
    lines = 120
    with Stack(tmp_path) as stack, stack.client() as client:
        handle = a_run(client, engine, TALKER % lines)
        until_running(handle)
        process = stack.process("worker")
        process.send_signal(signal.SIGUSR1)
        code = process.wait(10)
        stack.start_worker()
        run = handle.wait(timeout=60)
        text = "".join(chunk.text for chunk in handle.logs())

    assert code == 0
    assert (run.state, len(run.attempts)) == (OpRunState.COMPLETED, 1)
    assert text == "".join(f"line {n} ä€\n" for n in range(lines))
