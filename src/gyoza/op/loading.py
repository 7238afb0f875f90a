"""Finds the op that a command names: `module:name`, `file.py:name`, or either without a name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from gyoza.op.decorator import needs_of
from gyoza.op.errors import SpecError


def load(target: str) -> Any:
    """Import the module and return the op in it.

    Args:
        target: `module:name` or `path/to/file.py:name`; without a name, the one object there that
            is marked with `@op`.

    Raises:
        SpecError: There is no such module or op, or several and no name.
        Exception: Whatever importing the author's module raises.
    """
    place, _, name = target.rpartition(":") if ":" in target else (target, "", "")
    module = _file_module(Path(place)) if place.endswith(".py") else _module(place)
    return _named(module, name) if name else _only_op(module)


def _file_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SpecError(f"there is no file {path}")
    sys.path.insert(0, str(path.resolve().parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # type hints and pickles look their module up by name
    spec.loader.exec_module(module)
    return module


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == name or name.startswith(f"{missing}."):
            raise SpecError(f"there is no module {name}; is its folder on PYTHONPATH?") from None
        raise


def _named(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        others = ", ".join(_ops(module)) or "none"
        raise SpecError(f"{module.__name__} has no {name}; ops there: {others}")
    return found


def _only_op(module: ModuleType) -> Any:
    ops = _ops(module)
    if len(ops) != 1:
        found = ", ".join(ops) or "none"
        raise SpecError(f"which op of {module.__name__}? name one after a colon; marked: {found}")
    return next(iter(ops.values()))


def _ops(module: ModuleType) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if needs_of(value) is not None and getattr(value, "__module__", "") == module.__name__
    }
