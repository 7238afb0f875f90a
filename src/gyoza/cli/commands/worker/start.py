"""`gyoza worker start`: this machine becomes a worker."""

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
    """What was asked; None and () leave it to the environment.

    Attributes:
        name: Shown to people.
        state_dir: Where its identity, journal and work folders are.
        tags: `key=value` words that ops may select by.
        docker_host: Address of the container engine.
        replace: Have a worker of the same state folder hand over to this one.
    """

    name: str | None = None
    state_dir: Path | None = None
    tags: tuple[str, ...] = ()
    docker_host: str | None = None
    replace: bool = False


def command(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Option(help="Its name; default the host's.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Identity and work folders.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Ops may select by it.")
    ] = None,
    docker_host: Annotated[str | None, typer.Option(help="Address of the engine.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take over from the worker that runs here.")
    ] = False,
) -> int:
    """Run a worker on this machine."""
    return run(Options(name, state_dir, tuple(tag or ()), docker_host, replace), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Put the options into the environment and run a worker until it is told to stop."""
    from gyoza.cli.extras import import_part
    from gyoza.cli.tags import parse_tags

    tags = ",".join(f"{key}={value}" for key, value in parse_tags(options.tags).items())
    given = {
        "GYOZA_SERVER_URL": context.settings().base_url,
        "GYOZA_WORKER_NAME": options.name,
        "GYOZA_WORKER_STATE_DIR": None if options.state_dir is None else str(options.state_dir),
        "GYOZA_WORKER_TAGS": tags or None,
        "GYOZA_DOCKER_HOST": options.docker_host,
        "GYOZA_WORKER_REPLACE": "true" if options.replace else None,
    }
    context.environment.update({name: value for name, value in given.items() if value})
    import_part("worker").start()
    return ExitCode.OK
