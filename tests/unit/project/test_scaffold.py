"""New projects: every template is whole, named, and never writes over anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.project import read_project
from gyoza.project.build_source import read_build_source
from gyoza.project.scaffold import TEMPLATES, FilesExist, op_name, render, write_project


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_project_can_be_read_and_built_under_its_name(template: str, tmp_path: Path) -> None:
    project = write_project(tmp_path / "new", template, "my-op")

    source = read_build_source(project.built)

    assert source.id == "my-op"
    assert source.entrypoint or source.dockerfile


@pytest.mark.parametrize("template", sorted(set(TEMPLATES) - {"single-file"}))
def test_a_new_projects_file_holds_before_the_reader_of_project_files(
    template: str, tmp_path: Path
) -> None:
    project = write_project(tmp_path / "new", template, "my-op")

    assert read_project(project.folder).id == "my-op"


@pytest.mark.parametrize("template", TEMPLATES)
def test_nothing_is_left_to_fill_in(template: str) -> None:
    files = render(template, "my-op")

    assert [path for path, content in files.items() if b"{{" in content] == []
    assert "README.md" in files
    assert [path for path in files if Path(path).name.startswith("test")]


@pytest.mark.parametrize("template", TEMPLATES)
def test_tests_and_readme_stay_out_of_the_image(template: str, tmp_path: Path) -> None:
    project = write_project(tmp_path / "new", template, "my-op")

    names = set(read_build_source(project.built).files)

    assert {name for name in names if name.startswith(("test", "README"))} == set()


def test_what_exists_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("mine")

    with pytest.raises(FilesExist, match=r"nothing written.*hello\.py"):
        write_project(tmp_path, "hello", "my-op")

    assert [path.name for path in tmp_path.iterdir()] == ["hello.py"]
    assert (tmp_path / "hello.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "name"), [("My Op", "my-op"), ("_x_", "x"), ("grüße", "gr-e"), ("a.b", "a.b")]
)
def test_a_folders_name_becomes_the_nearest_name_of_an_op(text: str, name: str) -> None:
    assert op_name(text) == name


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a letter or digit"):
        op_name("---")
