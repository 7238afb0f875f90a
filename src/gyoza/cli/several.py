"""Doing the same to several things: what fails is told at once, the others still get done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from gyoza.cli.context import Context
from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError, failure_of
from gyoza.client.errors import RequestError, ResponseError

T = TypeVar("T")


def each_of(
    words: Sequence[str], action: Callable[[str], T], context: Context
) -> tuple[list[T], ExitCode]:
    """Carry out an action for each word.

    Returns:
        What succeeded, and the first failure's exit code.

    Raises:
        RequestError: The server went away; the rest would fail alike.
    """
    done: list[T] = []
    code = ExitCode.OK
    for word in words:
        try:
            done.append(action(word))
        except RequestError:
            raise
        except (CliError, ResponseError) as error:
            failure = failure_of(error)
            if failure is None:
                raise
            context.output.error(failure.text())
            code = code or failure.exit_code
    return done, code


def show_each(
    done: Sequence[T],
    context: Context,
    *,
    name: Callable[[T], str],
    told: Callable[[T], str],
    document: Callable[[T], object] = msgspec.to_builtins,
) -> None:
    """Print what was done: as JSON, in quiet mode by name, else in a sentence each.

    Args:
        done: The things as they are now.
        context: How to print.
        name: What scripts call a thing.
        told: What became of it.
        document: The thing as JSON.
    """
    output = context.output
    if output.as_json:
        output.json({"items": [document(each) for each in done]})
        return
    for each in done:
        output.data(name(each) if output.quiet else told(each))
