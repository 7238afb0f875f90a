"""The examples as users run them: deployed, run in real containers, outputs as written down."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gyoza.project import read_project
from tests.support.engine import Engine, require_engine
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gyoza.models import OpRun

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(120)]

EXAMPLES = Path(__file__).parents[3] / "examples"
WORDCOUNT = EXAMPLES / "wordcount"
SHELL = EXAMPLES / "shell"
LINES = EXAMPLES / "lines"
ROOT = EXAMPLES.parent


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = require_engine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    for folder in (WORDCOUNT, SHELL, LINES):
        _require_image(engine, read_project(folder).definition().image)
    with Stack(tmp_path_factory.mktemp("examples")) as stack:
        yield stack


def test_wordcount_counts_a_real_text(stack: Stack) -> None:
    text = (WORDCOUNT / "texts" / "pride-and-prejudice.txt").read_text(encoding="utf-8")

    run = _deployed_and_run(stack, WORDCOUNT, {"text": text})

    expected = _expected(WORDCOUNT)
    histogram = (WORDCOUNT / "expected" / expected.pop("histogram")).read_bytes()
    outputs = run.outputs
    artifact = outputs.pop("histogram")["$artifact"]
    assert run.state == "COMPLETED", run.execution_summary.error_message
    assert outputs == expected
    assert artifact["sha256"] == hashlib.sha256(histogram).hexdigest()
    with stack.client() as client:
        assert client.read_artifact(artifact["sha256"]) == histogram


def test_wordcount_reports_its_progress_while_it_runs(stack: Stack) -> None:
    text = (WORDCOUNT / "texts" / "pride-and-prejudice.txt").read_text(encoding="utf-8")

    run = _deployed_and_run(stack, WORDCOUNT, {"text": text})

    assert run.progress == 100
    assert "PROGRESS" in [event.type for event in run.events]


def test_an_image_without_python_is_an_op_like_any_other(stack: Stack) -> None:
    text = (SHELL / "texts" / "gettysburg.txt").read_text(encoding="utf-8")

    run = _deployed_and_run(stack, SHELL, {"text": text})

    assert run.state == "COMPLETED", run.execution_summary.error_message
    assert run.outputs == _expected(SHELL)


def test_lines_finds_the_rows_of_a_brick_wall(stack: Stack, tmp_path: Path) -> None:
    image = read_project(LINES).image
    assert image
    deployed = _gyoza(stack, "deploy", str(LINES), "--image", image)
    assert deployed.returncode == 0, deployed.stderr

    with stack.client() as client:
        photo = client.put_artifact(LINES / "photos" / "brick.png")
        reference = {"sha256": photo.sha256, "size_bytes": photo.size_bytes, "name": "brick.png"}
        run = client.run("lines", {"image": {"$artifact": reference}}).wait(timeout=60)
        overlay = client.read_artifact(run.outputs["overlay"]["$artifact"]["sha256"])

    document = tmp_path / "run.json"
    document.write_text(json.dumps({"outputs": run.outputs}))
    script = ROOT / "scripts" / "lib" / "compare_outputs.py"
    compared = subprocess.run(
        [sys.executable, str(script), str(document), str(LINES / "expected")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert run.state == "COMPLETED", run.execution_summary.error_message
    assert (compared.returncode, compared.stderr) == (0, "")
    assert struct.unpack(">8sI4sII", overlay[:24]) == (
        b"\x89PNG\r\n\x1a\n",
        13,
        b"IHDR",
        512,
        512,
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_lines_passes_its_own_tests() -> None:
    # This checkout's environment has no scikit-image, and stays out of the project's own.
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    packages = ["--with", "pytest", "--with-requirements", "requirements.txt"]
    uv = ["uv", "run", "--quiet", "--no-project", "--python", sys.executable, *packages]
    # Not by this checkout's settings of pytest, which name plug-ins that the project lacks.
    own = ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]
    tested = subprocess.run(
        [*uv, "python", "-m", "pytest", "-q", *own],
        cwd=LINES,
        env={**kept, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )

    assert tested.returncode == 0, tested.stdout + tested.stderr


def _gyoza(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gyoza", *words, "--url", stack.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _deployed_and_run(stack: Stack, folder: Path, inputs: dict[str, Any]) -> OpRun:
    project = read_project(folder)
    with stack.client() as client:
        client.upsert_definition(project.definition())
        return client.run(project.id, inputs).wait(timeout=60)


def _expected(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "expected" / "output.json").read_text(encoding="utf-8"))


def _require_image(engine: Engine, image: str) -> None:
    status, _ = engine.call("GET", f"/images/{image}/json")
    if status == 200:
        return
    message = f"the image {image} is needed: scripts/test builds it before it runs the tests"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
