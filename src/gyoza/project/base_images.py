"""Which image an op's image is built on: one rule, from what was said nearest to the build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gyoza.project.build_settings import BuildSettings

VARIABLE: Final = "GYOZA_BASE_IMAGE"
DEFAULT_PYTHON: Final = "3.12"


def choose_base(flag: str | None, settings: BuildSettings, environment: Mapping[str, str]) -> str:
    """Return the base image: the flag's, the project's, the machine's, else the public one.

    Args:
        flag: `--base`.
        settings: What the project says.
        environment: `GYOZA_BASE_IMAGE` names the image for a machine that reaches no registry, or
            an organisation's own; it gives way to a project that names its base.
    """
    named = flag or settings.base or environment.get(VARIABLE)
    return named or f"python:{settings.python or DEFAULT_PYTHON}-slim"
