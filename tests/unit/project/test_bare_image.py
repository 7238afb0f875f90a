"""The image without the author's files: other only when something that is installed is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.project.bare_image import bare_image, code_names
from gyoza.project.build_source import read_build_source
from gyoza.project.engine_build import Builder

CODE = "from gyoza.op import op\n\n@op\ndef greet(name: str) -> str:\n    return name\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "gyoza.yml").write_text("id: greet\nversion: 0.1.0\n")
    (tmp_path / "greet.py").write_text(CODE)
    (tmp_path / "requirements.txt").write_text("attrs==25.1.0\n")
    return tmp_path


def tag_of(project: Path, base: str = "python:3.12-slim") -> str:
    return bare_image(read_build_source(project), base, Builder.CLASSIC).tag


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("greet.py", f"{CODE}# changed\n"),
        ("data.csv", "1,2\n"),
        ("gyoza.yml", "id: greet\nversion: 0.2.0\ndescription: Other.\n"),
    ],
)
def test_an_edit_needs_no_other_image(name: str, text: str, project: Path) -> None:
    before = tag_of(project)

    (project / name).write_text(text)

    assert tag_of(project) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "attrs==25.2.0\n"),
        ("gyoza.yml", "id: greet\nversion: 0.1.0\nbuild: {system: [libgomp1]}\n"),
        ("greet.py", CODE.replace("greet", "welcome")),
    ],
    ids=["dependencies", "system", "entrypoint"],
)
def test_what_is_installed_or_started_makes_another_image(
    name: str, text: str, project: Path
) -> None:
    before = tag_of(project)

    (project / name).write_text(text)

    assert tag_of(project) != before


def test_another_base_makes_another_image(project: Path) -> None:
    assert tag_of(project, "python:3.13-slim") != tag_of(project)


def test_the_image_has_none_of_the_authors_files(project: Path) -> None:
    image = bare_image(read_build_source(project), "base", Builder.CLASSIC)

    outside = [name for name in image.files if not name.startswith(".gyoza/")]
    assert outside == ["Dockerfile", "requirements.txt"]


def test_a_folder_on_the_path_of_modules_stays_on_it(project: Path) -> None:
    (project / "src").mkdir()
    (project / "src" / "parts.py").write_text("")
    image = bare_image(read_build_source(project), "base", Builder.CLASSIC)

    dockerfile = image.files["Dockerfile"].content
    assert isinstance(dockerfile, bytes)
    assert b"PYTHONPATH=/opt/gyoza:/op:/op/src" in dockerfile


def test_the_files_put_over_it_are_those_of_an_image_without_an_editors_own(project: Path) -> None:
    (project / ".greet.py.swp").write_text("")

    assert list(code_names(read_build_source(project), "base")) == ["greet.py"]
