"""`gyoza files`: the files a run left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gyoza.cli.context import Context
    from gyoza.wire.messages import ArtifactRef


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        run: Id, beginning of one, or `@last`.
        out: Where to put the files; None lists them.
    """

    run: str
    out: Path | None = None


def command(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or @last.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Put the files there; else list them.")
    ] = None,
) -> int:
    """List the files a run left, or bring them here.

    Examples: gyoza files @last; gyoza files @last --out results.
    """
    return run(Options(run_id, out), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """List, or fetch, verify and write."""
    from gyoza.cli.documents import whole_id
    from gyoza.cli.saving import files_of, save_files

    with context.client() as client:
        files = files_of(client, whole_id(options.run, context, client))
        if options.out is None:
            _show([(file, None) for file in files], context)
        else:
            _show(list(save_files(client, files, options.out)), context)
    return ExitCode.OK


def _show(files: Sequence[tuple[ArtifactRef, Path | None]], context: Context) -> None:
    output = context.output
    if output.as_json:
        output.json([_document(file, path) for file, path in files])
    elif output.quiet:
        for file, path in files:
            output.data(str(path or file.name))
    else:
        last = "SAVED" if any(path for _, path in files) else "SHA256"
        rows = [
            (file.name, str(file.size_bytes), file.media_type, str(path or file.sha256))
            for file, path in files
        ]
        output.table(("NAME", "BYTES>", "TYPE", last), rows)


def _document(file: ArtifactRef, path: Path | None) -> dict[str, Any]:
    import msgspec

    return {**msgspec.to_builtins(file), **({} if path is None else {"path": str(path)})}
