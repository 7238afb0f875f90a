"""Versions in development: their names, and the place of a fault."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gyoza.models import OpDefinition
from gyoza.project.development import (
    development_version,
    fault_in_image,
    is_development,
    is_editors_own,
    syntax_fault,
)

AT_IMPORT = """\
Traceback (most recent call last):
  File "/op/hello.py", line 4, in <module>
    from parts import greeting
  File "/op/parts.py", line 2, in <module>
    import nothing_here
ModuleNotFoundError: No module named 'nothing_here'"""
IN_SYNTAX = """\
Traceback (most recent call last):
  File "/usr/lib/python3.11/ast.py", line 50, in parse
  File "/op/hello.py", line 9
    def greet((
              ^
SyntaxError: invalid syntax"""


def a_definition(description: str = "", day: int = 1) -> OpDefinition:
    now = datetime(2031, 5, day, tzinfo=UTC)
    inputs = {"name": {"type": "string", "description": description}}
    return OpDefinition.create("greet", "0.1.0", "greet:1", inputs, now=now)


def test_the_same_content_is_the_same_version_on_every_day() -> None:
    first = development_version(a_definition(day=1), "abc")
    second = development_version(a_definition(day=2), "abc")

    assert first == second
    assert first.startswith("0.1.0-dev.")


def test_other_sources_or_another_declaration_are_another_version() -> None:
    versions = {
        development_version(a_definition(), "abc"),
        development_version(a_definition(), "abd"),
        development_version(a_definition("Whom to greet."), "abc"),
    }

    assert len(versions) == 3


def test_a_version_in_development_is_told_from_a_release() -> None:
    assert is_development(development_version(a_definition(), "abc"))
    assert not is_development("0.1.0")
    assert not is_development("0.1.0-dev.1")


@pytest.mark.parametrize(
    ("printed", "message", "shown"),
    [
        (
            AT_IMPORT,
            "parts.py:2: ModuleNotFoundError: No module named 'nothing_here'",
            "    import nothing_here",
        ),
        (IN_SYNTAX, "hello.py:9: SyntaxError: invalid syntax", "    def greet(("),
    ],
    ids=["import", "syntax"],
)
def test_a_traceback_is_told_as_file_and_line(printed: str, message: str, shown: str) -> None:
    fault = fault_in_image(printed.splitlines(), "/op")

    assert fault is not None
    assert (fault.message, fault.lines[0]) == (message, shown)


def test_lines_that_lead_to_none_of_the_authors_files_are_no_fault_of_theirs() -> None:
    elsewhere = IN_SYNTAX.replace("/op/", "/opt/gyoza/")

    assert fault_in_image(elsewhere.splitlines(), "/op") is None
    assert fault_in_image(["Error: No such image"], "/op") is None


def test_of_files_that_cannot_be_parsed_the_first_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "wrong.py").write_text("x = 1\nx = = 2\n")

    fault = syntax_fault({path.name: path for path in sorted(tmp_path.iterdir())})

    assert fault is not None
    assert fault.message == "wrong.py:2: SyntaxError: invalid syntax"
    assert fault.lines == ("x = = 2",)


@pytest.mark.parametrize("name", [".hello.py.swp", "hello.py~", "src/4913", ".#hello.py"])
def test_what_an_editor_puts_beside_a_file_is_its_own(name: str) -> None:
    assert is_editors_own(name)


@pytest.mark.parametrize("name", ["hello.py", "data/4913.csv", ".dockerignore"])
def test_an_authors_files_are_not_the_editors(name: str) -> None:
    assert not is_editors_own(name)
