"""`gyoza worker remove`: forget workers that are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.failures import CliError
    from gyoza.wire.messages import WorkerView

_ALIVE: Final = {"READY", "DRAINING", "UNHEALTHY"}
_HOW: Final = "end it on its machine to be rid of it"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        workers: Ids or names.
        force: Also those that live, and will register again.
    """

    workers: tuple[str, ...]
    force: bool = False


def command(
    ctx: typer.Context,
    workers: Annotated[list[str], typer.Argument(metavar="WORKER...", help="Ids or names.")],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also one that lives and registers again.")
    ] = False,
) -> int:
    """Forget workers that hold nothing, or that are lost."""
    return run(Options(tuple(workers), force), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Forget each; what cannot be forgotten is told, and the others still are."""
    from gyoza.cli.several import each_of, show_each

    with context.client() as client:

        def remove(word: str) -> str:
            worker = client.get_worker(word)
            # One that holds runs is refused by the server, which names them.
            if worker.state in _ALIVE and not worker.runs:
                if not options.force:
                    raise _lives(worker)
                context.output.hint(f"{worker.id} lives and registers again: {_HOW}")
            client.remove_worker(worker.id)
            return worker.id

        removed, code = each_of(options.workers, remove, context)
    show_each(
        removed, context, name=str, told="{} is removed".format, document=lambda each: {"id": each}
    )
    return code


def _lives(worker: WorkerView) -> CliError:
    from gyoza.cli.exit_codes import ExitCode
    from gyoza.cli.failures import CliError

    return CliError(
        f"{worker.name} ({worker.id}) is {worker.state}: it would register again at once",
        ExitCode.CONFLICT,
        hint=f"`gyoza worker drain {worker.id}` keeps new work from it; to be rid of it, end it on "
        "its machine and remove it 15 s later; --force forgets it all the same",
    )
