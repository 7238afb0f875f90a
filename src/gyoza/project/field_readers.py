"""Readers of the fields that every form of a project has: a folder's file, a script's own block."""

from __future__ import annotations

import re
from typing import Final

from gyoza.models import OP_ID_PATTERN
from gyoza.models.fields import Unexpected

OP_ID_SCHEMA: Final = {"type": "string", "pattern": f"^{OP_ID_PATTERN}$"}


def op_id(value: object) -> str:
    """Read the id of an op.

    Raises:
        Unexpected: It is not one.
    """
    if isinstance(value, str) and re.fullmatch(OP_ID_PATTERN, value):
        return value
    raise Unexpected("lower-case letters, digits, '.', '_' and '-', a letter or digit first")


def filled(value: object) -> str:
    """Read text that says something.

    Raises:
        Unexpected: It is empty, or no text.
    """
    if isinstance(value, str) and value.strip():
        return value
    raise Unexpected("text that is not empty")
