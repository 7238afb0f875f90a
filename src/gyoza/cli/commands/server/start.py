"""`gyoza server start`: this machine becomes the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked; None leaves it to the environment.

    Attributes:
        host: Address to listen on.
        port: TCP port.
        data_dir: Folder of the database and the artifacts.
        log_level: debug, info, warning or error.
    """

    host: str | None = None
    port: int | None = None
    data_dir: Path | None = None
    log_level: str | None = None


def command(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port.", min=0, max=65535)] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Database and artifacts.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning, error.")] = None,
) -> int:
    """Run a server on this machine."""
    return run(Options(host, port, data_dir, log_level), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Run a server until it is told to stop.

    Raises:
        CliError: The server's dependencies are not installed.
        SystemExit: It cannot start; the message says why.
    """
    from gyoza.cli.extras import import_part

    if options.data_dir is not None:
        context.environment["GYOZA_DATA_DIR"] = str(options.data_dir)
    import_part("server").start(host=options.host, port=options.port, log_level=options.log_level)
    return ExitCode.OK
