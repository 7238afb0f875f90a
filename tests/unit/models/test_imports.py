from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import gyoza.models

MODULES = sorted(Path(next(iter(gyoza.models.__path__))).glob("**/*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_models_import_only_the_standard_library_and_each_other(path: Path) -> None:
    foreign = {
        name
        for name in imported(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and name.split(".")[:2] != ["gyoza", "models"]
    }

    assert foreign == set()
