"""The fixtures, as an author's own test run meets them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.engine import require_engine
from tests.system.testing.images import shell_image

ROOT = Path(__file__).parents[3]
pytest_plugins = ["pytester"]

OP = """
from gyoza.op import File, op, progress


@op
def greet(name: str, times: int = 1) -> str:
    progress(0.5)
    if name == "nobody":
        raise ValueError("nobody is no name")
    return " ".join([f"Hello, {name}!"] * times)
"""


@pytest.fixture
def author(pytester: pytest.Pytester) -> pytest.Pytester:
    """An author's folder with an op and the plugin."""
    pytester.makepyfile(greet=OP)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


def passed(author: pytest.Pytester, test: str) -> None:
    author.makepyfile(test_greet=f"from greet import greet\n{test}")
    result = author.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1)


def test_gyoza_run_runs_an_op_in_the_tests_process(author: pytest.Pytester) -> None:
    passed(
        author,
        """
def test_it(gyoza_run):
    assert gyoza_run(greet, {"name": "Ada"}).completed().outputs == {"result": "Hello, Ada!"}
    assert gyoza_run(greet, {"name": "nobody"}).reason == "USER_ERROR"
""",
    )


def test_gyoza_client_talks_to_a_whole_server(author: pytest.Pytester) -> None:
    passed(
        author,
        """
import pytest
from gyoza.client.errors import InvalidInput, RunFailed


def test_it(gyoza_client):
    gyoza_client.deploy(greet)

    run = gyoza_client.run("greet", {"name": "Ada", "times": 2})
    assert run.result(timeout=20) == {"result": "Hello, Ada! Hello, Ada!"}

    with pytest.raises(InvalidInput):
        gyoza_client.run("greet", {"name": 3})
    with pytest.raises(RunFailed, match="nobody is no name"):
        gyoza_client.run("greet", {"name": "nobody"}).result(timeout=20)
""",
    )


def test_a_run_without_the_fixtures_loads_nothing_of_gyoza_but_the_plugin(
    author: pytest.Pytester,
) -> None:
    author.makepyfile(
        test_nothing="""
import sys

def test_it():
    loaded = {name for name in sys.modules if name.split(".")[0] == "gyoza"}
    assert loaded <= {"gyoza", "gyoza.testing", "gyoza.testing.plugin"}
"""
    )
    result = author.runpytest_subprocess()
    result.assert_outcomes(passed=1)


def test_importing_the_plugin_loads_neither_worker_nor_server() -> None:
    code = "import sys, gyoza.testing.plugin; print(*[n for n in sys.modules if 'gyoza.' in n])"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )

    assert set(done.stdout.split()) == {"gyoza.testing", "gyoza.testing.plugin"}


def test_pytest_finds_the_plugin_by_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {"gyoza": "gyoza.testing.plugin"}


@pytest.mark.docker
def test_gyoza_container_runs_an_image(author: pytest.Pytester) -> None:
    engine = require_engine()
    image = shell_image(engine, "plain", "echo '{\"n\": 1}' > $GYOZA_DIR/out/output.json")
    engine.close()

    passed(
        author,
        f"""
def test_it(gyoza_container):
    assert gyoza_container("{image}").completed().outputs == {{"n": 1}}
""",
    )


def test_without_an_engine_a_container_test_is_skipped_and_fails_in_ci(
    author: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.makepyfile(test_greet="def test_it(gyoza_container): ...")
    monkeypatch.setenv("GYOZA_DOCKER_HOST", "unix:///absent")
    monkeypatch.delenv("CI", raising=False)

    author.runpytest_subprocess().assert_outcomes(skipped=1)
    monkeypatch.setenv("CI", "true")
    author.runpytest_subprocess().assert_outcomes(errors=1)
