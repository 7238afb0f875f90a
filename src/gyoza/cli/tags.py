"""`key=value` words, as `--tag` and `--worker-tag` take them."""

from __future__ import annotations

from collections.abc import Sequence

from gyoza.cli.failures import CliError


def parse_tags(words: Sequence[str]) -> dict[str, str]:
    """Return the tags.

    Raises:
        CliError: A word has no `=`, or nothing before it.
    """
    tags: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise CliError(f"tag {word!r} is not of the form key=value")
        tags[key] = value
    return tags
