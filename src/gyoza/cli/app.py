"""From the words typed to an exit code: the way every command takes, and the one way errors leave.

Nothing heavy is imported here: the page of help and the version need no Typer, and a verb brings
what it needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from gyoza import __version__
from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.verbs import root_help

if TYPE_CHECKING:
    from gyoza.cli.context import Context


def main(arguments: Sequence[str] | None = None, context: Context | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: What was typed after `gyoza`; None is the process's own.
        context: Streams and environment; None is the process's own.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    stdout = sys.stdout if context is None else context.streams.stdout
    if not words or words[0] in {"-h", "--help"}:
        return _print(root_help(), stdout)
    if words[0] in {"-V", "--version"}:
        return _print(f"gyoza {__version__}\n", stdout)
    return _run_verb(words, context)


def _print(text: str, stream: TextIO) -> int:
    stream.write(text)
    return ExitCode.OK


def _run_verb(words: list[str], given: Context | None) -> int:
    from gyoza.cli.context import Context

    context = given or Context()
    try:
        return int(_invoke(words, context) or 0)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except Exception as error:  # noqa: BLE001  the one place where every error becomes words
        return _report(error, context)


def _invoke(words: list[str], context: Context) -> Any:
    from gyoza.cli.loading import load_noun

    return load_noun().main(args=words, prog_name="gyoza", standalone_mode=False, obj=context)


def _report(error: Exception, context: Context) -> int:
    from gyoza.cli.failures import failure_of

    if context.options.debug:
        import traceback

        context.streams.stderr.write("".join(traceback.format_exception(error)))
    usage = _usage_error(error)
    if usage is not None:
        context.output.error(usage)
        return ExitCode.USAGE
    failure = failure_of(error)
    if failure is None:
        context.output.error(_unexpected(error))
        return ExitCode.UNEXPECTED
    context.output.error(failure.text())
    return failure.exit_code


def _usage_error(error: Exception) -> str | None:
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        return format_message()
    where = getattr(error, "ctx", None)
    path = where.command_path if where is not None else "gyoza"
    return f"error: {format_message()}\n  hint: `{path} --help` shows what it takes"


def _unexpected(error: Exception) -> str:
    return (
        f"error: gyoza made a mistake: {type(error).__name__}: {error}\n"
        "  hint: the same command with --debug shows where; please report it"
    )


def _pipe_closed() -> int:
    # Whoever read our output has enough (`gyoza ps | head`). Python would complain once more when
    # it flushes at exit, so the descriptor leads nowhere from here on.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return ExitCode.OK
