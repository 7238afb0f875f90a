"""`gyoza logs`: a run's output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gyoza.cli.context import Context
    from gyoza.wire.messages import LogChunk


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        run: Id, beginning of one, or `@last`.
        follow: Whether to go on until the run is over.
        attempt: None is the current one.
        tail: Only the last so many lines; None is all.
    """

    run: str
    follow: bool = False
    attempt: int | None = None
    tail: int | None = None


def command(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or @last.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the run is over.")] = False,
    attempt: Annotated[
        int | None, typer.Option(help="Attempt; default the current.", min=1)
    ] = None,
    tail: Annotated[int | None, typer.Option(help="Only the last so many lines.", min=0)] = None,
) -> int:
    """Print a run's output."""
    return run(Options(run_id, follow, attempt, tail), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Print the output, as it is for a pipe, cleaned of escapes for a terminal."""
    from gyoza.cli.documents import whole_id

    with context.client() as client:
        run_id = whole_id(options.run, context, client)
        chunks = client.run_logs(
            run_id, follow=options.follow, attempt=options.attempt, tail=options.tail
        )
        # So many chunks hold at least so many lines only roughly: what exists is cut by lines.
        if options.tail is not None and not options.follow:
            _print_tail(chunks, options.tail, context)
        else:
            for chunk in chunks:
                _print(chunk, context)
    return ExitCode.OK


def _print(chunk: LogChunk, context: Context) -> None:
    if context.output.as_json:
        import msgspec

        context.output.json({"type": "log", **msgspec.to_builtins(chunk)})
    else:
        context.output.raw(chunk.text)


def _print_tail(chunks: Iterator[LogChunk], lines: int, context: Context) -> None:
    if context.output.as_json:
        for chunk in chunks:
            _print(chunk, context)
        return
    text = "".join(chunk.text for chunk in chunks)
    context.output.raw("".join(text.splitlines(keepends=True)[-lines:] if lines else []))
