"""What an author may say about an image: the `build` section and `entrypoint` of `gyoza.yml`.

Only their meaning lives here. Where they are written, in a file or in a script's own block, and how
an image is made of them are other modules' business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from gyoza.models.fields import Unexpected, list_of

ENTRYPOINT_PATTERN: Final = r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$"
# Characters only: the engine knows the grammar, a line of a Dockerfile must stay one.
IMAGE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_./:@-]*$"
PYTHON_PATTERN: Final = r"^3\.[0-9]{1,2}(\.[0-9]{1,2})?$"
# Debian Policy 5.6.1, with an optional version or architecture as apt-get takes them.
PACKAGE_PATTERN: Final = r"^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?$"


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How an op's image is made.

    Attributes:
        base: Image to build on; None is chosen by the Python version.
        python: Python version such as `3.12`, for the public base image; None is the default's.
        system: Debian packages.
    """

    base: str | None = None
    python: str | None = None
    system: tuple[str, ...] = ()


def entrypoint(value: object) -> str:
    """Read `module:function`, the name of what the image runs."""
    if isinstance(value, str) and _matches(ENTRYPOINT_PATTERN, value):
        return value
    raise Unexpected("module:function, such as hello:greet")


def image(value: object) -> str:
    """Read the name of an image."""
    if isinstance(value, str) and _matches(IMAGE_PATTERN, value):
        return value
    raise Unexpected("the name of an image, such as python:3.12-slim")


def python(value: object) -> str:
    """Read a version of Python."""
    if isinstance(value, str) and _matches(PYTHON_PATTERN, value):
        return value
    raise Unexpected('a Python version in quotes, such as "3.12"')


def _package(value: object) -> str:
    if isinstance(value, str) and _matches(PACKAGE_PATTERN, value):
        return value
    raise Unexpected("the name of a Debian package, such as libgomp1")


def packages(value: object) -> tuple[str, ...]:
    """Read names of Debian packages, each once."""
    names: list[Any] = list_of(_package)(value)
    return tuple(dict.fromkeys(names))


def _matches(pattern: str, value: str) -> bool:
    # `$` would take a line break at the end.
    return re.fullmatch(pattern.removesuffix("$"), value) is not None
