"""What the import contracts in pyproject.toml cannot say."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "gyoza"
STANDARD_LIBRARY_ONLY = sorted(
    path for package in ("models", "op") for path in (SOURCES / package).rglob("*.py")
)
ROOMS_WITHOUT_A_NAME = {"utils", "util", "helpers", "common", "misc", "manager", "base"}


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
    return names


@pytest.mark.parametrize(
    "path", STANDARD_LIBRARY_ONLY, ids=lambda path: str(path.relative_to(SOURCES))
)
def test_models_and_op_import_the_standard_library_and_their_own_package_only(path: Path) -> None:
    own = f"gyoza.{path.relative_to(SOURCES).parts[0]}"

    foreign = {
        name
        for name in imported_modules(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not (name == own or name.startswith(f"{own}.") or name == "gyoza")
    }

    assert foreign == set()


def test_no_module_is_called_by_a_name_that_says_nothing() -> None:
    names = {path.stem for path in SOURCES.rglob("*")}

    assert names & ROOMS_WITHOUT_A_NAME == set()
