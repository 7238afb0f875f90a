"""`gyoza run` without a server, from the words typed to what stands on the streams."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from gyoza.cli.app import main
from gyoza.cli.context import Context, Streams
from tests.support.engine import require_engine
from tests.system.testing.images import shell_image

OP = '''
from __future__ import annotations

import sys
import time
from typing import Annotated

from gyoza.op import Field, File, log, op, progress


@op(timeout="20s")
def work(name: str, times: Annotated[int, Field(ge=1)] = 1, note: File | None = None) -> File:
    """Write a name down.

    Args:
        name: Whose.
    """
    log.info("working for %s", name)
    if name == "nobody":
        raise ValueError("nobody is no name")
    if name == "slow":
        time.sleep(60)
    progress(1.0)
    target = File("/tmp/gyoza-test-named.txt")
    target.path.write_text(name * times + (note.read_text() if note else ""))
    return target
'''


@dataclass
class Shell:
    """Runs the command as a user in a folder of their own."""

    home: Path

    def __call__(self, *words: str, stdin: str = "") -> tuple[int, str, str]:
        streams = Streams(io.StringIO(stdin), io.StringIO(), io.StringIO())
        path = os.environ["PATH"]  # noqa: TID251 - the engine's command is found on it
        context = Context(
            streams=streams, environment={"PATH": path, "XDG_STATE_HOME": str(self.home)}
        )
        code = main(words, context)
        assert isinstance(streams.stdout, io.StringIO)
        assert isinstance(streams.stderr, io.StringIO)
        return code, streams.stdout.getvalue(), streams.stderr.getvalue()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "work.py").write_text(OP)
    (folder / "gyoza.yml").write_text("id: work\nversion: 1.0.0\n")
    return folder


@pytest.mark.usefixtures("project")
def test_a_project_runs_in_the_authors_interpreter(shell: Shell) -> None:
    code, out, err = shell("run", "work", "--no-container", "-i", "name=Ada", "-i", "times=2")

    assert code == 0, err
    written = Path(json.loads(out)["result"])
    assert written.read_text() == "AdaAda"
    assert written.is_relative_to("gyoza-out")
    assert "INFO working for Ada" in err
    assert "100%" in err
    assert "1 file in gyoza-out/work-" in err


@pytest.mark.usefixtures("project")
def test_files_are_read_where_they_are_and_written_where_wanted(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("!")

    words = ("-i", "name=Ada", "-i", "note=@note.txt", "--out", "here")
    code, out, err = shell("run", "./work/gyoza.yml", "--no-container", *words)

    assert code == 0, err
    assert json.loads(out) == {"result": "here/gyoza-test-named.txt"}
    assert (tmp_path / "here" / "gyoza-test-named.txt").read_text() == "Ada!"


@pytest.mark.usefixtures("project")
def test_a_failed_run_shows_its_traceback_and_ends_as_on_a_server(shell: Shell) -> None:
    code, out, err = shell("run", "work", "--no-container", "-i", "name=nobody")

    assert code == 3
    assert out == ""
    assert 'work.py", line' in err
    assert "error: FAILED USER_ERROR: ValueError: nobody is no name" in err


@pytest.mark.usefixtures("project")
def test_json_says_all_of_it(shell: Shell) -> None:
    code, out, _ = shell("run", "work", "--no-container", "--json", "-i", "name=nobody")

    document = json.loads(out)
    assert code == 3
    assert (document["outcome"], document["reason"]) == ("FAILED", "USER_ERROR")
    assert document["exit_code"] == 1


@pytest.mark.usefixtures("project")
def test_wrong_inputs_are_refused_with_every_fault(shell: Shell) -> None:
    code, _, err = shell("run", "work", "--no-container", "-i", "nam=Ada", "-i", "times=0")

    assert code == 7
    assert "/inputs/name: required input is missing" in err
    assert "/inputs/nam: not declared; did you mean name?" in err
    assert "/inputs/times: 0 is less than the minimum of 1" in err


@pytest.mark.usefixtures("project")
def test_a_timeout_of_the_command_ends_the_run(shell: Shell) -> None:
    words = ("run", "work", "--no-container", "--timeout", "1.5", "-i", "name=slow")

    code, _, err = shell(*words)

    assert code == 124
    assert "--timeout 1.5 is over" in err


def test_a_single_file_is_a_project(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(OP)

    code, out, err = shell("run", "one.py", "--no-container", "-i", "name=Eve")

    assert code == 0, err
    assert Path(json.loads(out)["result"]).read_text() == "Eve"


def test_code_without_a_spec_is_refused_with_the_parameters_at_fault(
    shell: Shell, project: Path
) -> None:
    (project / "work.py").write_text("from gyoza.op import op\n@op\ndef work(x): ...\n")

    code, _, err = shell("run", "work", "--no-container")

    assert code == 7
    assert "x: has no type" in err


@pytest.mark.usefixtures("project")
def test_a_path_without_local_is_told_what_to_add(shell: Shell) -> None:
    code, _, err = shell("run", "./work")

    assert code == 2
    assert "gyoza run ./work --local" in err


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "option",
    [("--detach",), ("--priority", "3"), ("--tag", "a=b"), ("--version", "1")],
    ids=lambda words: words[0],
)
def test_what_only_a_server_knows_is_refused(shell: Shell, option: tuple[str, ...]) -> None:
    code, _, err = shell("run", "work", "--no-container", "-i", "name=A", *option)

    assert code == 2
    assert option[0] in err


def test_a_project_with_a_dockerfile_of_its_own_needs_a_container(
    shell: Shell,
) -> None:
    assert shell("init", "mine", "--template", "shell")[0] == 0

    code, _, err = shell("run", "mine", "--no-container")

    assert code == 7
    assert "Dockerfile" in err


@pytest.mark.docker
def test_an_image_runs_here_as_well(shell: Shell) -> None:
    engine = require_engine()
    image = shell_image(engine, "plain", "echo '{\"n\": 1}' > $GYOZA_DIR/out/output.json")
    engine.close()

    code, out, err = shell("run", "--image", image, "--local")

    assert (code, out) == (0, '{"n": 1}\n'), err


def test_without_an_engine_it_is_said_where_it_was_looked_for() -> None:
    streams = Streams(io.StringIO(), io.StringIO(), io.StringIO())
    context = Context(streams=streams, environment={"GYOZA_DOCKER_HOST": "unix:///absent"})

    code = main(("run", "--image", "op:1", "--local"), context)

    assert isinstance(streams.stderr, io.StringIO)
    assert code == 8
    assert "/absent" in streams.stderr.getvalue()
