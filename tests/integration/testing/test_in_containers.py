"""Images run without a server, in real containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza.models import Constraints, Execution, OpDefinition
from gyoza.testing import RunResult, run_container
from tests.support.engine import Engine, busybox_image, require_engine

pytestmark = [pytest.mark.docker]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    found = require_engine()
    yield found
    found.close()


def a_run(engine: Engine, folder: Path, script: str, **declared: object) -> RunResult:
    outputs = declared.pop("outputs", {})
    inputs = declared.pop("inputs", {})
    definition = OpDefinition.create(
        "op",
        "1",
        busybox_image(engine),
        declared.pop("input_specs", {}),  # pyright: ignore[reportArgumentType]
        outputs,  # pyright: ignore[reportArgumentType]
        Constraints(ram_mb=32),
        execution=Execution(command=("sh", "-c", script)),
    )
    return run_container(definition.image, inputs, definition=definition, folder=folder)  # pyright: ignore[reportArgumentType]


def test_files_travel_both_ways(engine: Engine, tmp_path: Path) -> None:
    source = tmp_path / "scene.txt"
    source.write_text("hello")
    script = """
    cd $GYOZA_DIR/out; cat $GYOZA_DIR/in/files/*/scene.txt > text
    mkdir files; mv text files/copy.txt; echo '{"copy": "copy.txt"}' > output.json
    """

    result = a_run(
        engine,
        tmp_path / "out",
        script,
        inputs={"scene": source},
        input_specs={"scene": {"type": "file"}},
        outputs={"copy": {"type": "file"}},
    )

    result.completed()
    assert result.outputs["copy"] == tmp_path / "out" / "copy.txt"
    assert result.outputs["copy"].read_text() == "hello"


def test_a_run_has_events_logs_and_a_duration(engine: Engine, tmp_path: Path) -> None:
    script = """
    echo '{"type": "progress", "msg": 50}' >> $GYOZA_DIR/out/events.jsonl
    echo out; echo err >&2; sleep 0.5
    """

    result = a_run(engine, tmp_path, script)

    assert result.outcome == "COMPLETED", result.account()
    assert result.progress == [50]
    assert result.stderr == "err\n"
    assert sorted(result.logs.split()) == ["err", "out"]
    # The engine notes the start a little after the script has begun.
    assert (result.duration_ms or 0) >= 300
    assert result.peak_memory_mb is not None


def test_limits_are_those_of_a_worker(engine: Engine, tmp_path: Path) -> None:
    result = a_run(engine, tmp_path, "dd if=/dev/zero of=/dev/null bs=200M count=1")

    assert (result.outcome, result.reason) == ("FAILED", "OOM")


def test_outputs_are_checked_as_by_a_worker(engine: Engine, tmp_path: Path) -> None:
    script = """echo '{"n": "three"}' > $GYOZA_DIR/out/output.json"""

    result = a_run(engine, tmp_path, script, outputs={"n": {"type": "integer"}})

    assert result.reason == "OUTPUT_INVALID"
    assert "/n: got 'three', expected a whole number" in result.message


def test_wrong_inputs_start_no_container(engine: Engine, tmp_path: Path) -> None:
    result = a_run(
        engine, tmp_path, "true", inputs={"n": "x"}, input_specs={"n": {"type": "integer"}}
    )

    assert (result.reason, result.exit_code, result.events) == ("BAD_INPUT", None, ())


def test_nothing_is_left_of_a_run(engine: Engine, tmp_path: Path) -> None:
    before = {each["Id"] for each in engine.managed()}

    a_run(engine, tmp_path, "true")

    left = [each for each in engine.managed() if each["Labels"]["org.gyoza.cluster"] == "local"]
    assert {each["Id"] for each in left} - before == set()


def test_an_image_that_is_nowhere_is_said_to_be_missing(tmp_path: Path) -> None:
    require_engine().close()
    definition = OpDefinition.create("op", "1", "sha256:" + "0" * 64)

    result = run_container(definition.image, definition=definition, folder=tmp_path)

    assert result.reason == "IMAGE_NOT_FOUND"
