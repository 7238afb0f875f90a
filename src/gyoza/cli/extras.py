"""The parts that an extra brings: loaded when a verb starts one, or told how to install."""

from __future__ import annotations

import importlib
from typing import Any

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError


def import_part(part: str) -> Any:
    """Return `gyoza.server` or `gyoza.worker`.

    Raises:
        CliError: Its dependencies are not installed.
    """
    try:
        importlib.import_module(f"gyoza.{part}.main")
        return importlib.import_module(f"gyoza.{part}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("gyoza"):
            raise
        raise CliError(
            f"the {part} needs {error.name}, which is not installed",
            ExitCode.UNEXPECTED,
            hint=f'install it with: pip install "gyoza-ops[{part}]"',
        ) from error
