"""`.dockerignore` patterns mean what Docker says they mean."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from gyoza.project.errors import ProjectError
from gyoza.project.ignore_rules import IgnoreRules, read_patterns
from gyoza.project.project_tree import list_files


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        (["*.md"], "README.md", True),
        (["*.md"], "docs/README.md", False),
        (["**/*.md"], "README.md", True),
        (["**/*.md"], "docs/deep/README.md", True),
        (["docs"], "docs/README.md", True),
        (["docs/"], "docs/README.md", True),
        (["/docs"], "docs/a", True),
        (["doc?"], "docs/a", True),
        (["a[0-9].txt"], "a1.txt", True),
        (["a[^0-9].txt"], "a1.txt", False),
        (["a.b"], "axb", False),
        (["docs/**"], "docs/a/b", True),
        (["*", "!keep.py"], "keep.py", False),
        (["*", "!keep.py"], "other.py", True),
        (["*", "!lib/keep.py"], "lib/keep.py", False),
        (["!keep.py", "*"], "keep.py", True),
    ],
)
def test_the_last_match_decides(patterns: list[str], path: str, *, ignored: bool) -> None:
    rules = IgnoreRules(patterns)

    assert rules.ignores(PurePosixPath(path)) is ignored


def test_comments_and_blank_lines_are_no_patterns() -> None:
    assert read_patterns("# all\n\n  *.md  \n!a.md\n") == ["*.md", "!a.md"]


def test_what_never_belongs_into_an_image_is_left_out(tmp_path: Path) -> None:
    for name in (".git/config", "__pycache__/a.pyc", ".venv/x", ".env", "lib/__pycache__/b.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "lib" / "a.py").write_text("")

    assert list(list_files(tmp_path)) == ["lib/a.py"]


def test_an_author_may_take_a_file_back_in(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("")
    (tmp_path / ".dockerignore").write_text("!.env\n")

    assert list(list_files(tmp_path)) == [".env"]


def test_a_link_out_of_the_project_is_refused_by_name(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret").write_text("")
    (project / "data").symlink_to("../secret")

    with pytest.raises(ProjectError, match=r"data: is a link to \.\./secret, outside the project"):
        list_files(project)


def test_a_link_inside_the_project_counts_as_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").symlink_to("a.txt")

    assert list(list_files(tmp_path)) == ["a.txt", "b.txt"]
