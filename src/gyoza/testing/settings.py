"""What the environment may say about running ops locally: where the container engine is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

DEFAULT_ADDRESS: Final = "unix:///var/run/docker.sock"
_VARIABLES: Final = ("GYOZA_DOCKER_HOST", "DOCKER_HOST")


def engine_address(environment: Mapping[str, str] | None = None) -> str:
    """Return where the engine is: the worker's setting, Docker's own, or the usual socket.

    Args:
        environment: None is the process's own.
    """
    known = os.environ if environment is None else environment
    return next((known[name] for name in _VARIABLES if known.get(name)), DEFAULT_ADDRESS)


def process_environment() -> Mapping[str, str]:
    """Return the process's own environment, for what tests start."""
    return os.environ
