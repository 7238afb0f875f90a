"""Projects that become runnable ops: a real build, a real server, a worker that runs the result."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from gyoza.models import OpRunState
from tests.support.registry import PASSWORD, USER, a_registry
from tests.support.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

HELLO: Final = """\
from gyoza.op import op


@op
def greet(name: str) -> str:
    return f"Hello, {name}!"
"""
SCRIPT: Final = f"""\
# /// script
# [tool.gyoza]
# id = "test-deploy-script"
# version = "1.2.0"
#
# [tool.gyoza.constraints]
# ram = "64MiB"
# ///
{HELLO}"""

Deploy = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def docker_config(tmp_path: Path) -> Path:
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker"


@pytest.fixture
def stack(tmp_path: Path, docker_config: Path) -> Iterator[Stack]:
    (tmp_path / "stack").mkdir()
    environment = {"DOCKER_CONFIG": str(docker_config)}
    with Stack(tmp_path / "stack", environment=environment) as running:
        yield running


@pytest.fixture
def deploy(stack: Stack, base: str, docker_config: Path) -> Deploy:
    """`gyoza deploy`, as a process of its own."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        own = os.environ  # noqa: TID251 - a real process needs a real environment
        environment = {**own, "GYOZA_BASE_IMAGE": base, "DOCKER_CONFIG": str(docker_config)}
        return subprocess.run(
            [sys.executable, "-m", "gyoza", "--url", stack.url, "deploy", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    return call


def a_project(folder: Path, op_id: str, more: str = "") -> Path:
    folder.mkdir()
    (folder / "gyoza.yml").write_text(f"id: {op_id}\nversion: 0.1.0\n{more}")
    (folder / "hello.py").write_text(HELLO)
    return folder


def image_id(name: str) -> str:
    words = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.strip()


def forget(*names: str) -> None:
    words = ["docker", "image", "rm", "--force", *names]
    subprocess.run(words, capture_output=True, check=False, timeout=60)


def greeting(stack: Stack, op_id: str) -> object:
    with stack.client() as client:
        handle = client.run(op_id, inputs={"name": "Ada"})
        run = handle.wait(timeout=60)
    assert run.state is OpRunState.COMPLETED, run.execution_summary
    return run.outputs


def test_a_project_is_built_when_need_be_and_a_changed_one_needs_a_new_version(
    tmp_path: Path, stack: Stack, deploy: Deploy
) -> None:
    folder = a_project(tmp_path / "hello", "test-deploy")
    forget("test-deploy:0.1.0", "test-deploy:0.1.1")

    looked = deploy(str(folder), "--dry-run", "--exit-code")
    first = deploy(str(folder))
    again = deploy(str(folder), "--dry-run", "--exit-code")
    ran = greeting(stack, "test-deploy")
    built = image_id("test-deploy:0.1.0")
    (folder / "hello.py").write_text(HELLO.replace("name: str", "name: str, times: int"))
    refused = deploy(str(folder))
    kept = image_id("test-deploy:0.1.0")
    raised = deploy(str(folder), "--version", "0.1.1")
    forget("test-deploy:0.1.0", "test-deploy:0.1.1")

    assert looked.returncode == 20, looked.stderr
    assert "+ inputs.name: string" in looked.stdout
    assert "test-deploy:0.1.0 is not on this machine: it is built" in looked.stderr
    assert (first.returncode, first.stdout) == (0, "test-deploy 0.1.0 is deployed\n"), first.stderr
    assert "is built of this source already" in first.stderr
    assert (again.returncode, again.stdout) == (0, "")
    assert ran == {"result": "Hello, Ada!"}
    assert refused.returncode == 6
    assert "its source has changed since" in refused.stderr
    assert "pass --version 0.1.1" in refused.stderr
    assert kept == built
    assert raised.returncode == 0, raised.stderr
    assert "! BREAKING inputs.times: new and required" in raised.stderr


def test_a_single_file_is_an_op(tmp_path: Path, stack: Stack, deploy: Deploy) -> None:
    script = tmp_path / "hello.py"
    script.write_text(SCRIPT)
    forget("test-deploy-script:1.2.0")

    done = deploy(str(script))
    with stack.client() as client:
        op = client.get_definition("test-deploy-script")
    ran = greeting(stack, "test-deploy-script")
    forget("test-deploy-script:1.2.0")

    assert done.returncode == 0, done.stderr
    assert (op.version, op.constraints.ram_mb) == ("1.2.0", 64)
    assert ran == {"result": "Hello, Ada!"}


def test_file_and_code_that_differ_stop_the_build_with_both_places(
    tmp_path: Path, deploy: Deploy
) -> None:
    folder = a_project(tmp_path / "hello", "test-differs", "inputs: {name: integer}\n")
    forget("test-differs:0.1.0")

    done = deploy(str(folder))

    assert done.returncode == 7
    assert "gyoza.yml:3: inputs.name: gyoza.yml says integer, the code (hello:greet)" in done.stderr
    assert image_id("test-differs:0.1.0") == ""


def test_what_is_pushed_to_a_private_registry_runs_where_it_was_not_built(
    tmp_path: Path, stack: Stack, deploy: Deploy, docker_config: Path
) -> None:
    with a_registry(tmp_path / "registry", has_password=True) as host:
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (docker_config / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        image = f"{host}/team/hello:0.1.0"
        folder = a_project(tmp_path / "hello", "test-pushed", f"image: {image}\n")

        done = deploy(str(folder), "--push")
        with stack.client() as client:
            digest = client.get_definition("test-pushed").image_digest or ""
        forget(image, digest)
        gone = image_id(digest)
        ran = greeting(stack, "test-pushed")
        again = deploy(str(folder), "--dry-run", "--exit-code")
        forget(image, digest)

    assert done.returncode == 0, done.stderr
    assert digest.startswith(f"{host}/team/hello@sha256:")
    assert gone == ""
    assert ran == {"result": "Hello, Ada!"}
    assert again.returncode == 0, again.stderr + again.stdout
