"""Finding what an image runs when nobody names it: the one function or class decorated with `op`.

The source is parsed and never imported: importing an author's code needs its dependencies, and
runs it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

_PACKAGE: Final = "gyoza.op"
_NAME: Final = "op"


def find_entrypoints(module: str, source: str) -> list[str]:
    """Return `module:name` of everything at the top of a module that `gyoza.op.op` decorates.

    Args:
        module: Name under which the source is imported.
        source: Python; one that cannot be parsed has none.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    names = _decorators(tree.body)
    defined = (
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )
    return [
        f"{module}:{node.name}"
        for node in defined
        if any(_written(decorator) in names for decorator in node.decorator_list)
    ]


def _decorators(statements: Iterable[ast.stmt]) -> set[str]:
    """Return every way in which the module can write the decorator, after its imports."""
    names: set[str] = set()
    for node in statements:
        if isinstance(node, ast.ImportFrom) and node.module == _PACKAGE:
            names |= {alias.asname or alias.name for alias in node.names if alias.name == _NAME}
        elif isinstance(node, ast.ImportFrom) and node.module == "gyoza":
            modules = {alias.asname or alias.name for alias in node.names if alias.name == _NAME}
            names |= {f"{module}.{_NAME}" for module in modules}
        elif isinstance(node, ast.Import):
            modules = {alias.asname or alias.name for alias in node.names if alias.name == _PACKAGE}
            names |= {f"{module}.{_NAME}" for module in modules}
    return names


def _written(decorator: ast.expr) -> str:
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
