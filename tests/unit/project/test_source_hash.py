"""When an image is still its source's: what changes the hash, and what leaves it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from gyoza.project.build_source import read_build_source
from gyoza.project.source_hash import source_hash

OP: Final = "from gyoza.op import op\n\n@op\ndef greet() -> str:\n    return ''\n"
YML: Final = "id: hello\nversion: 1.0.0\nbuild: {system: [libgomp1]}\n"
BASE: Final = "python:3.12-slim"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "gyoza.yml").write_text(YML)
    (tmp_path / "hello.py").write_text(OP)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "words.txt").write_text("a b")
    (tmp_path / "requirements.txt").write_text("idna==3.7\n")
    return tmp_path


def hash_of(project: Path, base: str | None = BASE) -> str:
    return source_hash(read_build_source(project), base)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hello.py", OP + "# changed\n"),
        ("data/words.txt", "a c"),
        ("new.txt", ""),
        ("requirements.txt", "idna==3.8\n"),
        ("gyoza.yml", YML.replace("1.0.0", "1.0.1")),
        ("gyoza.yml", YML.replace("libgomp1", "libgdal32")),
        ("Dockerfile", "FROM scratch\n"),
    ],
)
def test_what_enters_the_image_changes_the_hash(project: Path, name: str, content: str) -> None:
    before = hash_of(project)

    (project / name).write_text(content)

    assert hash_of(project) != before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("gyoza.yml", f"{YML}retry: {{max_attempts: 3}}\n"),
        ("__pycache__/x.pyc", "x"),
        (".dockerignore", "*.log\n"),
        ("notes.md", "ignored"),
    ],
)
def test_what_stays_out_of_the_image_does_not(project: Path, name: str, content: str) -> None:
    (project / ".dockerignore").write_text("notes.md\n")
    before = hash_of(project)

    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(content)

    assert hash_of(project) == before


def test_a_file_that_can_be_executed_now_is_another_source(project: Path) -> None:
    before = hash_of(project)

    (project / "hello.py").chmod(0o755)

    assert hash_of(project) != before


def test_another_base_image_is_another_source(project: Path) -> None:
    assert hash_of(project) != hash_of(project, "python:3.13-slim")


def test_a_dockerfile_of_ones_own_may_copy_the_project_file(project: Path) -> None:
    (project / "Dockerfile").write_text("FROM scratch\nCOPY gyoza.yml /\n")
    before = hash_of(project, None)

    (project / "gyoza.yml").write_text(f"{YML}retry: {{max_attempts: 3}}\n")

    assert hash_of(project, None) != before
