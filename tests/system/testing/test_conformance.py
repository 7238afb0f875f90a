"""`gyoza check --conformance` names each broken image's fault, and finds none in sound ones."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gyoza.cli.app import main
from gyoza.cli.context import Context, Streams
from tests.support.engine import Engine, require_engine
from tests.system.testing.broken import CASES, SOUND, SPEC, Broken
from tests.system.testing.images import program_image, shell_image

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(120)]
SOURCES = Path(__file__).parent


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    found = require_engine()
    yield found
    found.close()


def checked(*words: str) -> tuple[int, dict[str, Any]]:
    streams = Streams(io.StringIO(), io.StringIO(), io.StringIO())
    code = main(("check", "--json", *words), Context(streams=streams, environment={}))
    assert isinstance(streams.stdout, io.StringIO)
    assert isinstance(streams.stderr, io.StringIO)
    assert streams.stdout.getvalue(), streams.stderr.getvalue()
    return code, json.loads(streams.stdout.getvalue())


def by_check(report: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {finding["check"]: finding for finding in report["findings"]}


def test_a_sound_image_passes_every_check_that_applies(engine: Engine) -> None:
    image = shell_image(engine, "sound", SOUND, SPEC)

    code, report = checked("--conformance", image)

    statuses = {name: finding["status"] for name, finding in by_check(report).items()}
    assert code == 0, report
    assert {name for name, status in statuses.items() if status != "pass"} == {"files"}
    assert statuses["files"] == "skip"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_image_gets_its_own_finding(engine: Engine, case: Broken) -> None:
    image = shell_image(engine, case.name, case.script, case.spec)

    code, report = checked("--conformance", image, *(() if case.spec else ("-i", "text=sample")))

    finding = by_check(report)[case.check]
    assert finding["status"] == case.status, report
    assert case.words in finding["seen"] + finding["expected"], finding
    assert finding["fix"]
    assert code == (0 if case.status == "warn" else 7)


def test_each_broken_image_is_told_from_the_others() -> None:
    failing = {case.check for case in CASES if case.status == "fail"}

    assert len(CASES) >= 10
    assert len(failing) >= 10


def test_an_op_in_c_passes(engine: Engine, tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not on this machine")
    program = tmp_path / "op"
    source = SOURCES / "length.c"
    subprocess.run([compiler, "-static", "-O1", "-Wall", "-o", program, source], check=True)
    files = {"op/length": (program.read_bytes(), 0o755)}

    image = program_image(engine, "c", files, ["/op/length"], SPEC)
    code, report = checked("--conformance", image)

    assert code == 0, report
    assert report["passed"] is True


def test_the_shipped_op_in_shell_passes_with_its_own_file(engine: Engine) -> None:
    example = SOURCES.parents[2] / "examples" / "shell"
    script = (example / "linestats.sh").read_bytes()
    files = {"op/linestats.sh": (script, 0o644)}
    image = program_image(engine, "linestats", files, ["/bin/sh", "/op/linestats.sh"])

    code, report = checked(str(example), "--conformance", image)

    assert code == 0, report


def test_inputs_of_ones_own_are_tried(engine: Engine, tmp_path: Path) -> None:
    image = shell_image(engine, "sound", SOUND, SPEC)
    inputs = tmp_path / "inputs.json"
    inputs.write_text('{"text": "my own"}')

    _, report = checked("--conformance", image, "--input-file", str(inputs))

    assert report["facts"]["inputs"] == {"text": "my own"}


def test_an_image_that_is_not_here_is_not_tried() -> None:
    require_engine().close()
    streams = Streams(io.StringIO(), io.StringIO(), io.StringIO())
    words = ("check", "--conformance", "gyoza-test/nowhere:1")

    code = main(words, Context(streams=streams, environment={}))

    assert isinstance(streams.stderr, io.StringIO)
    assert code == 5
    assert "gyoza-test/nowhere:1 is not on this machine" in streams.stderr.getvalue()
