from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gyoza.op import protocol
from gyoza.op.emitter import Emitter, line_of


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def at(percent: int) -> dict[str, Any]:
    return {"type": "progress", "msg": percent}


def test_progress_is_written_ten_times_a_second_at_most_and_the_last_always(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    clock = Clock()
    emitter = Emitter(path, clock)

    for percent in range(100):
        emitter.progress(at(percent))
        clock.now_s += 0.01
    emitter.close()

    written = [line["msg"] for line in lines(path)]
    assert written[0] == 0
    assert written[-1] == 99
    assert len(written) <= 12


def test_progress_that_waits_comes_before_the_event_that_follows_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    emitter = Emitter(path, Clock())

    emitter.progress(at(1))
    emitter.progress(at(2))
    emitter.emit({"type": "info", "msg": "a"})
    emitter.close()

    assert [line["msg"] for line in lines(path)] == [1, 2, "a"]


def test_a_line_that_is_too_long_is_cut_and_says_so() -> None:
    event = {"type": "output", "msg": "result 1", "payload": {"value": "x" * 70_000}}

    line = line_of(event)

    assert len(line) < protocol.MAX_EVENT_LINE_BYTES
    assert json.loads(line)["msg"] == "result 1"
    assert "64 KiB" in json.loads(line)["payload"]["cut"]


def test_text_that_the_worker_would_refuse_arrives_with_question_marks() -> None:
    line = line_of({"type": "info", "msg": "a\x00b\ud800"})

    assert json.loads(line.decode("utf-8"))["msg"] == "a?b?"
