"""Small rooms: a module can be read in a sitting, and says what it is for.

Counted are lines of code, without blanks, comments and docstrings: explaining more is free. The
limits are far above the habit, which is half of them; who meets one should split, not squeeze.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "gyoza"
MODULES = sorted(SOURCES.rglob("*.py"))
MODULE_CODE_LINES = 400
FUNCTION_CODE_LINES = 40
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def relative(path: Path) -> str:
    return str(path.relative_to(SOURCES))


def lines_of_code(text: str) -> set[int]:
    """The numbers of the lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - lines_of_docstrings(ast.parse(text))


def lines_of_docstrings(tree: ast.AST) -> set[int]:
    """The numbers of the lines that hold a string standing alone, as docstrings do."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def body_lines(function: Function) -> set[int]:
    """The numbers of a function's lines below its signature."""
    return set(range(function.body[0].lineno, (function.end_lineno or 0) + 1))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_can_be_read_in_a_sitting(path: Path) -> None:
    code = lines_of_code(path.read_text(encoding="utf-8"))

    assert len(code) <= MODULE_CODE_LINES


# A database revision lists tables and is never read as a story: it is left out.
@pytest.mark.parametrize("path", [p for p in MODULES if "versions" not in p.parts], ids=relative)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = lines_of_code(text)

    lengths = {
        node.name: len(body_lines(node) & code)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, Function)
    }

    assert {name: n for name, n in lengths.items() if n > FUNCTION_CODE_LINES} == {}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_says_what_lives_in_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert ast.get_docstring(tree)
