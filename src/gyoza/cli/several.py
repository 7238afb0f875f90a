"""Doing the same to several things: what fails is told at once, the others still get done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

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
