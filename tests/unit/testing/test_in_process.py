"""An op run in the test's own process meets what it would meet in a container."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from gyoza.op import BadInput, Context, Field, File, TryAgain, log, metric, op, progress
from gyoza.testing import RunFailed, run


@op
def repeat(word: str, times: Annotated[int, Field(ge=1)] = 2) -> str:
    progress(0.5)
    sys.stdout.write("on standard output\n")
    log.info("repeated", times=times)
    metric("words", times)
    return " ".join([word] * times)


@op
def shout(text: File) -> File:
    target = Path("loud.txt").resolve()
    target.write_text(text.read_text().upper())
    return File(target)


@op
def count(upto: int) -> Iterator[int]:
    yield from range(upto)


@op
def fail(how: str) -> int:
    if how == "input":
        raise BadInput("no such scene")
    if how == "later":
        raise TryAgain("the archive is closed")
    if how == "type":
        return "three"  # pyright: ignore[reportReturnType] - what an author may get wrong
    if how == "exit":
        sys.exit(7)
    raise ValueError("no such " + how)


@op
def anything(value: Any) -> Any:
    return value


@op
def who(context: Context) -> str:
    return context.run_id


@op
class Model:
    def setup(self) -> None:
        self.weight = 3

    def run(self, x: int) -> int:
        return self.weight * x


def test_outputs_events_and_logs_come_back() -> None:
    result = run(repeat, {"word": "gyoza"}).completed()

    assert result.outputs == {"result": "gyoza gyoza"}
    assert result.progress == [50]
    assert result.metrics == [("words", 2)]
    assert "on standard output" in result.logs
    assert "repeated times=2" in result.stderr
    assert result.exit_code == 0


def test_inputs_are_checked_before_the_op_is_called() -> None:
    result = run(repeat, {"word": 3, "tims": 1})

    assert (result.outcome, result.reason) == ("FAILED", "BAD_INPUT")
    assert "/word: got 3, expected a string" in result.message
    assert "did you mean times?" in result.message
    assert result.exit_code is None


def test_bounds_of_the_signature_hold() -> None:
    assert run(repeat, {"word": "a", "times": 0}).reason == "BAD_INPUT"


def test_values_go_through_json_as_they_do_in_a_container() -> None:
    assert run(anything, {"value": {"a": (1, 2)}}).outputs["result"] == {"a": [1, 2]}


def test_files_come_from_paths_and_go_into_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "quiet.txt"
    source.write_text("hello")

    result = run(shout, {"text": source}, folder=tmp_path / "out").completed()

    assert result.outputs["result"] == tmp_path / "out" / "loud.txt"
    assert result.outputs["result"].read_text() == "HELLO"


def test_what_a_generator_yields_is_told_and_collected() -> None:
    result = run(count, {"upto": 3}).completed()

    assert result.outputs == {"result": [0, 1, 2]}
    assert result.partial_outputs == [0, 1, 2]


@pytest.mark.parametrize(
    ("how", "reason", "exit_code"),
    [
        ("input", "BAD_INPUT", 65),
        ("later", "TRY_AGAIN", 75),
        ("type", "USER_ERROR", 1),
        ("exit", "USER_ERROR", 7),
        ("thing", "USER_ERROR", 1),
    ],
)
def test_every_end_has_the_reason_that_a_server_would_give(
    how: str, reason: str, exit_code: int
) -> None:
    result = run(fail, {"how": how})

    assert (result.outcome, result.reason, result.exit_code) == ("FAILED", reason, exit_code)


def test_a_failure_shows_the_authors_own_lines_and_none_of_ours() -> None:
    with pytest.raises(RunFailed, match="ValueError: no such thing") as caught:
        run(fail, {"how": "thing"}).completed()

    text = str(caught.value)
    assert "test_in_process.py" in text
    assert 'in_process.py", line' not in text.replace("test_in_process.py", "")


def test_an_op_sees_a_context() -> None:
    assert run(who).outputs["result"].startswith("run_")


def test_a_given_context_is_the_one_that_the_op_sees() -> None:
    assert run(who, context=Context(run_id="run_mine")).outputs == {"result": "run_mine"}


def test_a_class_is_set_up_before_it_runs() -> None:
    assert run(Model, {"x": 2}).outputs == {"result": 6}


def test_nothing_of_a_run_stays_in_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    run(repeat, {"word": "a"})

    assert capsys.readouterr() == ("", "")
