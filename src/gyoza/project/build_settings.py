"""What an author may say about an image: the `build` section and `entrypoint` of `gyoza.yml`.

Only their meaning lives here. Where they are written, in a file or in a script's own block, and how
an image is made of them are other modules' business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gyoza.models.fields import Reader, Unexpected, list_of, read_fields

_ENTRYPOINT: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
# Characters only: the engine knows the grammar, a line of a Dockerfile must stay one.
_IMAGE: Final = re.compile(r"[A-Za-z0-9][\w./:@-]*", re.ASCII)
_PYTHON: Final = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
# Debian Policy 5.6.1, with an optional version or architecture as apt-get takes them.
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?")


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

    @classmethod
    def from_dict(cls, data: object) -> BuildSettings:
        """Read the `build` section.

        Raises:
            InvalidFields: With every problem.
        """
        return cls(**read_fields("build", data, _READERS))


def entrypoint(value: object) -> str:
    """Read `module:function`, the name of what the image runs."""
    if isinstance(value, str) and _ENTRYPOINT.fullmatch(value):
        return value
    raise Unexpected("module:function, such as hello:greet")


def _image(value: object) -> str:
    if isinstance(value, str) and _IMAGE.fullmatch(value):
        return value
    raise Unexpected("the name of an image, such as python:3.12-slim")


def _python(value: object) -> str:
    if isinstance(value, str) and _PYTHON.fullmatch(value):
        return value
    raise Unexpected('a Python version in quotes, such as "3.12"')


def _package(value: object) -> str:
    if isinstance(value, str) and _PACKAGE.fullmatch(value):
        return value
    raise Unexpected("the name of a Debian package, such as libgomp1")


def _packages(value: object) -> tuple[str, ...]:
    names: list[Any] = list_of(_package)(value)
    return tuple(dict.fromkeys(names))


_READERS: Final[Mapping[str, Reader]] = {
    "base": _image,
    "python": _python,
    "system": _packages,
}
