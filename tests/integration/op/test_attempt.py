"""`python -m gyoza.op` as a container would run it: a process, a folder, an exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[3] / "src"
OPS = """
from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gyoza.op import (
    BadInput, Cancelled, Context, Field, File, Image, TryAgain, cancelled, log, metric, op, progress
)


@dataclass
class Report:
    words: int
    copy: File


@op
def count(text: File, context: Context, least: Annotated[int, Field(ge=1)] = 1) -> Report:
    words = [word for word in text.read_text().split() if len(word) >= least]
    progress(0.5, "counted")
    metric("words", len(words))
    log.info("counted", words=len(words), event=True)
    target = context.temp / "copy.txt"
    target.write_text(f"{context.run_id} {context.attempt} {context.op} {context.resources['cpu']}")
    progress(1)
    return Report(len(words), File(target))


@op
def explode(kind: str) -> int:
    if kind == "bad":
        raise BadInput("scene has no red band")
    if kind == "again":
        raise TryAgain("the mirror is down", delay_s=1.5)
    if kind == "exit":
        sys.exit(7)
    if kind == "nan":
        return float("nan")
    if kind == "final":
        error = RuntimeError("never")
        error.retryable = False
        raise error
    if kind == "surrogate":
        raise RuntimeError("\\udc80 and \\0")
    return {}["nothing"]


@op
def stream(n: int) -> Iterator[int]:
    for each in range(n):
        yield each


@op
async def later(x: float) -> float:
    await asyncio.sleep(0)
    return x * 2


@op
async def parts() -> AsyncIterator[str]:
    yield "a"
    yield "b"


@op
class Model:
    def setup(self) -> None:
        self.weights = [1, 2]

    def run(self, x: int) -> list[int]:
        return [each * x for each in self.weights]


@op
def waits(how: str, context: Context) -> str:
    print("ready", flush=True)
    try:
        if how == "polls":
            while not cancelled():
                time.sleep(0.01)
            time.sleep(0.7)
            return "ended by itself"
        while True:
            time.sleep(30 if how == "sleeps" else 0.01)
            if how == "reports":
                progress(0.1)
    finally:
        log.info("cleaned up")


@op
async def awaits() -> str:
    print("ready", flush=True)
    await asyncio.sleep(30)
    return ""


@op
def large() -> str:
    return "x" * 2_000_000


def undecorated(x: int = 3) -> int:
    return x
"""


@dataclass
class Attempt:
    """A folder as a worker prepares it."""

    folder: Path

    def command(self, name: str, *options: str) -> list[str]:
        return [sys.executable, "-m", "gyoza.op", f"ops:{name}", *options]

    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(SOURCES), "GYOZA_DIR": str(self.folder), "PATH": os.defpath}

    def give(self, inputs: Any) -> None:
        (self.folder / "in" / "input.json").write_text(json.dumps(inputs))

    def run(self, name: str, inputs: Any = None) -> subprocess.CompletedProcess[str]:
        self.give({} if inputs is None else inputs)
        return subprocess.run(
            self.command(name),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, name: str, inputs: Any = None) -> subprocess.Popen[str]:
        self.give({} if inputs is None else inputs)
        process = subprocess.Popen(
            self.command(name),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def left(self, name: str) -> Any:
        return json.loads((self.folder / "out" / name).read_text())

    def events(self) -> list[Any]:
        text = (self.folder / "out" / "events.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    for name in ("in/files", "out"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ops.py").write_text(OPS)
    (tmp_path / "in" / "files" / "a.txt").write_text("one three five")
    context = {"run_id": "run_a", "attempt": 2, "op": "count", "deadline": "2026-01-31T12:00:00Z"}
    context |= {"granted": {"cpu": 2}, "gpu_uuids": []}  # type: ignore[dict-item]
    (tmp_path / "in" / "context.json").write_text(json.dumps(context))
    return Attempt(tmp_path)


def test_outputs_files_and_events_of_a_success(attempt: Attempt) -> None:
    ended = attempt.run("count", {"text": "/gyoza/in/files/a.txt", "least": 4})

    assert ended.returncode == 0, ended.stderr
    assert attempt.left("output.json") == {"words": 2, "copy": "files/copy.txt"}
    assert (attempt.folder / "out/files/copy.txt").read_text() == "run_a 2 count 2"
    assert [(event["type"], event["msg"]) for event in attempt.events()] == [
        ("progress", 50),
        ("metric", "words"),
        ("info", "counted"),
        ("progress", 100),
    ]
    assert "counted words=2" in ended.stderr
    assert not (attempt.folder / "out" / "error.json").exists()


def test_bad_inputs_are_all_named_and_end_with_65(attempt: Attempt) -> None:
    ended = attempt.run("count", {"text": "/gyoza/in/files/none", "least": 0, "lest": 1})

    assert ended.returncode == 65
    error = attempt.left("error.json")
    assert (error["type"], error["retryable"]) == ("BadInput", False)
    assert [problem["pointer"] for problem in error["details"]["problems"]] == [
        "/lest",
        "/text",
        "/least",
    ]
    assert not (attempt.folder / "out" / "output.json").exists()


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        ("bad", 65, {"type": "BadInput", "message": "scene has no red band", "retryable": False}),
        ("again", 75, {"type": "TryAgain", "retryable": True, "retry_after_ms": 1500}),
        ("exit", 7, {"type": "SystemExit", "message": "sys.exit(7)"}),
        ("error", 1, {"type": "KeyError", "message": "'nothing'", "retryable": True}),
        ("final", 1, {"type": "RuntimeError", "retryable": False}),
        ("nan", 1, {"type": "OutputError", "retryable": False}),
        ("surrogate", 1, {"message": "? and ?"}),
    ],
)
def test_every_failure_has_its_exit_code_and_its_words(
    attempt: Attempt, kind: str, code: int, expected: dict[str, Any]
) -> None:
    ended = attempt.run("explode", {"kind": kind})

    assert ended.returncode == code
    assert expected.items() <= attempt.left("error.json").items()


def test_a_traceback_begins_in_the_authors_code(attempt: Attempt) -> None:
    ended = attempt.run("explode", {"kind": "error"})

    trace = attempt.left("error.json")["details"]["traceback"]
    assert trace.splitlines()[1].strip().startswith(f'File "{attempt.folder}/ops.py"')
    assert "KeyError" in ended.stderr


def test_yielded_values_are_events_first_and_the_output_at_last(attempt: Attempt) -> None:
    ended = attempt.run("stream", {"n": 3})

    assert ended.returncode == 0, ended.stderr
    assert attempt.left("output.json") == {"result": [0, 1, 2]}
    assert [event["payload"]["value"] for event in attempt.events()] == [0, 1, 2]
    assert {event["type"] for event in attempt.events()} == {"output"}


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("later", {"x": 2}, 4),
        ("parts", {}, ["a", "b"]),
        ("Model", {"x": 3}, [3, 6]),
        ("undecorated", {}, 3),
    ],
)
def test_every_kind_of_function_is_an_op(
    attempt: Attempt, name: str, inputs: dict[str, Any], expected: Any
) -> None:
    ended = attempt.run(name, inputs)

    assert ended.returncode == 0, ended.stderr
    assert attempt.left("output.json") == {"result": expected}


@pytest.mark.parametrize(
    ("name", "inputs"),
    [("waits", {"how": "reports"}), ("waits", {"how": "sleeps"}), ("awaits", {})],
    ids=["at the next progress", "while it sleeps", "while it awaits"],
)
def test_sigterm_cancels_with_the_workers_reason(
    attempt: Attempt, name: str, inputs: dict[str, Any]
) -> None:
    process = attempt.start(name, inputs)
    reason = {"reason": "RUN_TIMEOUT", "message": "ran 10 s"}
    (attempt.folder / "in" / "cancel.json").write_text(json.dumps(reason))

    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 143
    error = attempt.left("error.json")
    assert (error["type"], error["message"]) == ("Cancelled", "RUN_TIMEOUT: ran 10 s")
    assert name == "awaits" or "cleaned up" in errors


def test_an_op_that_asks_whether_it_shall_stop_is_left_to_end_by_itself(attempt: Attempt) -> None:
    process = attempt.start("waits", {"how": "polls"})

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)

    assert process.returncode == 0
    assert attempt.left("output.json") == {"result": "ended by itself"}


def test_outputs_over_the_cap_are_refused_with_the_way_out(attempt: Attempt) -> None:
    ended = attempt.run("large")

    assert ended.returncode == 1
    assert "return it as File" in attempt.left("error.json")["message"]


@pytest.mark.parametrize(("text", "words"), [("[1]", "one JSON object"), ('{"a": NaN}', "NaN")])
def test_an_input_document_that_is_none_is_bad_input(
    attempt: Attempt, text: str, words: str
) -> None:
    attempt.give({})
    (attempt.folder / "in" / "input.json").write_text(text)

    ended = subprocess.run(
        attempt.command("later"),
        cwd=attempt.folder,
        env=attempt.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 65
    assert words in ended.stderr


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("ops:no", "ops there: count"),
        ("ops", "name one after a colon"),
        ("none:x", "no module"),
    ],
)
def test_an_op_that_is_not_there_is_named_with_those_that_are(
    attempt: Attempt, target: str, words: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gyoza.op", target, "--spec"],
        cwd=attempt.folder,
        env=attempt.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert words in ended.stderr


def test_the_copied_folder_alone_runs_an_op_without_any_other_package(
    attempt: Attempt,
) -> None:
    site = attempt.folder / "site"
    shutil.copytree(SOURCES / "gyoza" / "op", site / "gyoza" / "op")
    attempt.give({"text": "files/a.txt"})
    program = (
        "import runpy, sys; sys.path[:0] = sys.argv[1:3]; del sys.argv[1:3];"
        "sys.argv[0] = 'x'; runpy.run_module('gyoza.op', run_name='__main__', alter_sys=True)"
    )

    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, site, attempt.folder, "ops:count"],
        cwd=attempt.folder,
        env=attempt.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert attempt.left("output.json")["words"] == 3


def test_the_spec_of_a_file_is_printed_without_running_it(attempt: Attempt) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gyoza.op", "--spec", "ops.py:count"],
        cwd=attempt.folder,
        env=attempt.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    spec = json.loads(ended.stdout)
    assert list(spec["input_specs"]) == ["text", "least"]
    assert spec["output_specs"]["copy"]["type"] == "file"
