"""The edit loop as authors use it: a real `gyoza dev PATH`, real saves, real containers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gyoza.client import GyozaClient
from tests.stories.stage import GYOZA, own_environment
from tests.support.engine import require_engine
from tests.support.stack import free_port

pytestmark = [pytest.mark.docker, pytest.mark.system, pytest.mark.timeout(180)]

BASE = os.environ.get("GYOZA_TEST_PYTHON_BASE", "gyoza-local/python:bookworm")  # noqa: TID251
SHELL = os.environ.get("GYOZA_TEST_SHELL_BASE", "gyoza-local/busybox:static")  # noqa: TID251
CODE = '''\
from gyoza.op import op


@op
def greet(name: str) -> str:
    """Greet."""
    return f"Hello, {name}!"
'''


class Loop:
    """A running `gyoza dev --json PATH...`."""

    def __init__(self, folder: Path, *paths: Path, base: str = BASE) -> None:
        self.process = subprocess.Popen(
            [
                *(*GYOZA, "dev", "--json", *map(str, paths), "--base", base),
                *("--data-dir", str(folder / "data"), "--port", str(free_port())),
            ],
            env={**own_environment(), "XDG_STATE_HOME": str(folder / "state")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        return json.loads(line)

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=40)
        return self.process.returncode, err


@contextmanager
def a_loop(folder: Path, *paths: Path, base: str = BASE) -> Iterator[Loop]:
    loop = Loop(folder, *paths, base=base)
    try:
        yield loop
    finally:
        loop.process.kill()
        loop.process.communicate()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    require_engine().close()
    return a_project(tmp_path / "project", "edit-loop")


def a_project(folder: Path, op_id: str) -> Path:
    folder.mkdir()
    (folder / "gyoza.yml").write_text(f"id: {op_id}\nversion: 0.1.0\nconstraints: {{cpu: 1}}\n")
    (folder / "greet.py").write_text(CODE)
    return folder


def save(file: Path, text: str) -> None:
    """Save as most editors do: into a file beside, and by a rename."""
    part = file.with_name(f".{file.name}.swp")
    part.write_text(text)
    part.replace(file)


def test_a_save_is_the_next_run_and_an_earlier_version_keeps_its_sources(
    project: Path, tmp_path: Path
) -> None:
    with a_loop(tmp_path, project) as loop:
        url, first = loop.said()["url"], loop.said()
        save(project / "greet.py", CODE.replace("Hello", "Ciao"))
        second = loop.said()

        with GyozaClient(url) as client:
            newest = client.run("edit-loop", {"name": "Ada"}).result(60)
            older = client.run("edit-loop", {"name": "Ada"}, version=first["version"]).result(60)
        code, _ = loop.end()

    assert (second["was_built"], second["changes"], code) == (False, [], 0)
    assert newest == {"result": "Ciao, Ada!"}
    assert older == {"result": "Hello, Ada!"}


def test_what_cannot_be_imported_is_told_with_its_line_and_the_last_good_version_stays(
    project: Path, tmp_path: Path
) -> None:
    with a_loop(tmp_path, project) as loop:
        url, good = loop.said()["url"], loop.said()
        save(project / "greet.py", CODE.replace("def greet(name", "def greet((name"))
        unparsed = loop.said()
        save(project / "greet.py", f"import nothing_here\n{CODE}")
        unimported = loop.said()
        with GyozaClient(url) as client:
            kept = client.run("edit-loop", {"name": "Ada"}).result(60)
        save(project / "greet.py", CODE)
        again = loop.said()

    assert unparsed["error"].startswith("greet.py:5: SyntaxError: ")
    assert unimported["error"] == "greet.py:1: ModuleNotFoundError: No module named 'nothing_here'"
    assert unparsed["kept"] == unimported["kept"] == good["version"] == again["version"]
    assert kept == {"result": "Hello, Ada!"}


def test_a_changed_signature_is_shown_and_what_is_installed_is_built(
    project: Path, tmp_path: Path
) -> None:
    with a_loop(tmp_path, project) as loop:
        loop.said()
        loop.said()
        (project / "greet.py").write_text(CODE.replace("name: str", "name: str, times: int = 1"))
        other_inputs = loop.said()
        # A name of its own: an image that another run of this test built would be found.
        name = f"welcome_{os.getpid()}"
        settings = f"id: edit-loop\nversion: 0.1.0\nentrypoint: greet:{name}\n"
        (project / "gyoza.yml").write_text(settings)
        (project / "greet.py").write_text(CODE.replace("def greet", f"def {name}"))
        said = [loop.said()]
        while "error" in said[-1]:  # the two files are two saves
            said.append(loop.said())

    assert other_inputs["changes"] == ["+ inputs.times: integer, default 1"]
    assert other_inputs["was_built"] is False
    assert said[-1]["was_built"] is True


def test_a_second_one_watches_with_the_stack_that_runs_and_leaves_it_running(
    project: Path, tmp_path: Path
) -> None:
    other = a_project(tmp_path / "other", "edit-loop-other")
    with a_loop(tmp_path, project) as first:
        url, _ = first.said()["url"], first.said()
        with a_loop(tmp_path, other) as second:
            joined = second.said()
            deployed = second.said()
            code, _ = second.end()

        with GyozaClient(url) as client:
            run = client.run("edit-loop-other", {"name": "Bo"}).result(60)

    assert (joined["url"], deployed["op"], code) == (url, "edit-loop-other", 0)
    assert run == {"result": "Hello, Bo!"}


def test_one_project_is_watched_by_one_only(project: Path, tmp_path: Path) -> None:
    with a_loop(tmp_path, project) as first:
        first.said()
        first.said()
        with a_loop(tmp_path, project) as second:
            second.said()
            refused = second.said()

    assert refused["error"] == "another `gyoza dev` watches a project with the id edit-loop"


def test_a_path_without_a_project_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with a_loop(tmp_path, tmp_path / "absent") as loop:
        _, err = loop.process.communicate(timeout=30)

    assert loop.process.returncode == 7
    assert "absent: no such file or folder" in err
    assert not (tmp_path / "data").exists()


def test_a_single_file_is_a_project_and_its_versions_do_not_drown_the_list(
    project: Path, tmp_path: Path
) -> None:
    del project
    script = tmp_path / "edit_loop_script.py"
    block = '# /// script\n# [tool.gyoza]\n# id = "edit-loop-script"\n# ///\n'
    script.write_text(block + CODE)

    with a_loop(tmp_path, script) as loop:
        url, first = loop.said()["url"], loop.said()
        script.write_text(block + CODE.replace("Hello", "Ciao"))
        second = loop.said()
        listed = [
            subprocess.run(
                [*GYOZA, "op", "versions", "edit-loop-script", "--url", url, "-q", *more],
                env=own_environment(),
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            for more in ([], ["--all"])
        ]

    assert listed == [[second["version"]], [second["version"], first["version"]]]


def test_a_dockerfile_of_ones_own_is_built_when_a_file_of_it_changed(tmp_path: Path) -> None:
    require_engine().close()
    folder = tmp_path / "shell"
    folder.mkdir()
    (folder / "gyoza.yml").write_text("id: edit-loop-shell\nversion: 0.1.0\n")
    (folder / "Dockerfile").write_text(
        'ARG BASE\nFROM $BASE\nCOPY say.sh /say.sh\nENTRYPOINT ["sh", "/say.sh"]\n'
    )
    script = folder / "say.sh"
    script.write_text("""echo '{"said": "one"}' > /gyoza/out/output.json\n""")

    with a_loop(tmp_path, folder, base=SHELL) as loop:
        url, first = loop.said()["url"], loop.said()
        script.touch()
        script.write_text("""echo '{"said": "two"}' > /gyoza/out/output.json\n""")
        second = loop.said()
        with GyozaClient(url) as client:
            newest = client.run("edit-loop-shell").result(60)
            older = client.run("edit-loop-shell", version=first["version"]).result(60)

    assert second["was_built"] is True
    assert (newest, older) == ({"said": "two"}, {"said": "one"})
