"""Images built by a real engine: both builders, with and without a Dockerfile of one's own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.project.conftest import SHELL, Gyoza, run_image

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]


def labels_of(image: str) -> dict[str, str]:
    printed = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    labels: dict[str, str] = json.loads(printed.stdout)
    return labels


@pytest.fixture
def hello(tmp_path: Path, gyoza: Gyoza) -> Path:
    folder = tmp_path / "hello"
    assert gyoza("init", str(folder), "--name", "test-hello").returncode == 0
    return folder


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_function_becomes_an_image_that_runs_and_carries_its_spec(
    builder: str, hello: Path, gyoza: Gyoza, tmp_path: Path
) -> None:
    tag = f"gyoza-test/hello:{builder}"

    built = gyoza("build", str(hello), "--builder", builder, "--tag", tag, "--json")

    assert built.returncode == 0, built.stderr
    assert json.loads(built.stdout)["image_id"].startswith("sha256:")
    spec = json.loads(labels_of(tag)["org.gyoza.spec"])
    assert sorted(spec["input_specs"]) == ["name", "times"]
    code, outputs, printed = run_image(tag, tmp_path / "run", {"name": "Ada", "times": 2}, {})
    assert (code, outputs) == (0, {"result": "Hello, Ada! Hello, Ada!"}), printed


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_dockerfile_of_ones_own_is_kept_and_gets_labels(
    builder: str, gyoza: Gyoza, tmp_path: Path
) -> None:
    tag = f"gyoza-test/shell:{builder}"
    gyoza("init", str(tmp_path / "shell"), "--template", "shell", "--name", "test-shell")

    options = ["--builder", builder, "--tag", tag, "--base", SHELL]
    built = gyoza("build", str(tmp_path / "shell"), *options)

    assert built.returncode == 0, built.stderr
    assert labels_of(tag)["org.gyoza.op"] == "test-shell"
    code, outputs, printed = run_image(tag, tmp_path / "run", {"text": "a\nb"}, {})
    assert (code, outputs.get("bytes")) == (0, 3), printed


def test_the_next_command_names_the_base_that_was_built_on(gyoza: Gyoza, tmp_path: Path) -> None:
    folder = tmp_path / "shell"
    gyoza("init", str(folder), "--template", "shell", "--name", "test-next")

    built = gyoza("build", str(folder), "--base", SHELL)

    assert built.stderr.splitlines()[-1].strip() == f"next: gyoza deploy {folder} --base {SHELL}"


def test_a_folder_with_a_space_can_be_entered_as_it_is_told(gyoza: Gyoza, tmp_path: Path) -> None:
    made = gyoza("init", str(tmp_path / "two words"), "--name", "test-words")

    assert f"  cd '{tmp_path}/two words'" in made.stderr.splitlines()


def test_a_second_build_of_the_same_files_is_the_same_image(hello: Path, gyoza: Gyoza) -> None:
    words = ["build", str(hello), "--tag", "gyoza-test/hello:again", "--json"]

    first, second = gyoza(*words), gyoza(*words)

    assert json.loads(first.stdout)["image_id"] == json.loads(second.stdout)["image_id"]


def test_code_that_cannot_be_imported_leaves_the_tag_alone(hello: Path, gyoza: Gyoza) -> None:
    words = ["build", str(hello), "--tag", "gyoza-test/hello:broken", "--json"]
    before = json.loads(gyoza(*words).stdout)["image_id"]
    source = (hello / "hello.py").read_text()
    (hello / "hello.py").write_text(source + "\nraise RuntimeError('no such luck')\n")

    broken = gyoza(*words)

    assert broken.returncode == 7
    assert "RuntimeError: no such luck" in broken.stderr
    inspect = ["docker", "image", "inspect", "--format", "{{.Id}}", "gyoza-test/hello:broken"]
    after = subprocess.run(inspect, capture_output=True, text=True, check=True, timeout=30)
    assert after.stdout.strip() == before


def test_a_base_image_that_cannot_be_had_says_what_to_name(hello: Path, gyoza: Gyoza) -> None:
    built = gyoza("build", str(hello), "--base", "localhost:1/nothing:here")

    assert built.returncode == 7
    assert "--base or GYOZA_BASE_IMAGE" in built.stderr
