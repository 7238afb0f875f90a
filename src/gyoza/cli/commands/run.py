"""`gyoza run`: submit a run and follow it, or run a project here without a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.client import GyozaClient
    from gyoza.client.handles import RunHandle
    from gyoza.models import InputSpec


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        op: Op id; None for an image.
        image: Reference of an image; None for an op.
        inputs: `name=value` words.
        input_file: JSON object of inputs.
        priority: 0 to 100, higher first; None is the server's default.
        tags: `key=value` words.
        at: Time before which it does not start; None is at once.
        delay: The same as a duration from now.
        version: Of the op; None is the current one.
        detach: Whether to return once it is submitted.
        idempotency_key: The same key and request give the same run again.
        local: Whether it runs here, in a container, without a server.
        no_container: Whether it runs here, in the author's interpreter.
        out: Where output files go; None is a folder under `gyoza-out` for a run here, and leaves
            them on the server for a run there.
        base: Image to build a project on.
        after: Runs that have to complete first: ids, their beginnings, or `@last`.
        after_any: Runs that have to end first, however they end.
    """

    op: str | None = None
    image: str | None = None
    inputs: tuple[str, ...] = ()
    input_file: Path | None = None
    priority: int | None = None
    tags: tuple[str, ...] = ()
    at: str | None = None
    delay: str | None = None
    version: str | None = None
    detach: bool = False
    idempotency_key: str | None = None
    local: bool = False
    no_container: bool = False
    out: Path | None = None
    base: str | None = None
    after: tuple[str, ...] = ()
    after_any: tuple[str, ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether no server takes part."""
        return self.local or self.no_container


def command(
    ctx: typer.Context,
    *,
    op: Annotated[
        str | None, typer.Argument(metavar="OP", help="Op id; with --local a project's path.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="NAME=VALUE", help="@file or @URL reads a file, @- stdin."
        ),
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON object of inputs; - is stdin.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="Run this image instead of an op.")] = None,
    priority: Annotated[
        int | None, typer.Option(help="Higher first; default 5.", min=0, max=100)
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="To find the run by.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start then: 22:30, '2031-05-04 08:00'.")
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--in", metavar="DURATION", help="Start after: 90s, 2h30m.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Of the op; default the current.")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Submit only.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key gives the same run again.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Run a project here in a container, without a server.")
    ] = False,
    no_container: Annotated[
        bool, typer.Option("--no-container", help="Run a project here in your own interpreter.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to put the output files.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Image to build on, with --local.")
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="Start once it has completed; repeatable."),
    ] = None,
    after_any: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="Start once it has ended, however; repeatable."),
    ] = None,
) -> int:
    """Run an op, or an image, and follow it to its end.

    Examples: gyoza run wordcount -i text=@book.txt; gyoza run . --local -i name=Ada | jq .
    """
    options = Options(
        op=op,
        image=image,
        inputs=tuple(inputs or ()),
        input_file=input_file,
        priority=priority,
        tags=tuple(tag or ()),
        at=at,
        delay=delay,
        version=version,
        detach=detach,
        idempotency_key=idempotency_key,
        local=local,
        no_container=no_container,
        out=out,
        base=base,
        after=tuple(after or ()),
        after_any=tuple(after_any or ()),
    )
    return run(options, context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Submit, and follow unless detached.

    Raises:
        CliError: Neither an op nor an image is named, or both; or options that do not go together.
    """
    from gyoza.cli.endpoint import note_last_run
    from gyoza.cli.following import follow

    if (options.op is None) == (options.image is None):
        raise CliError(
            "name one thing to run: an OP, or an image with --image",
            hint="`gyoza op list` shows the ops",
        )
    if options.is_here:
        return _run_here(options, context)
    _refuse_what_is_local(options)
    with context.client() as client:
        handle = _submit(options, context, client)
        note_last_run(context.state_dir, handle.id, client.settings.base_url)
    if options.detach:
        return _detached(handle, context)
    code = follow(handle.last_seen, context)
    if code is ExitCode.OK and options.out is not None:
        _save(handle.id, options.out, context)
    return code


def _run_here(options: Options, context: Context) -> ExitCode:
    from gyoza.cli.local_runs import LocalOptions, run_local

    _refuse_what_needs_a_server(options)
    if options.image is not None and options.no_container:
        raise CliError("an image runs in a container: leave out --no-container")
    return run_local(
        LocalOptions(
            path=None if options.op is None else Path(options.op),
            image=options.image,
            has_container=not options.no_container,
            inputs=options.inputs,
            input_file=options.input_file,
            folder=options.out,
            base=options.base,
        ),
        context,
    )


def _refuse_what_needs_a_server(options: Options) -> None:
    given = {
        "--priority": options.priority is not None,
        "--tag": bool(options.tags),
        "--at": options.at is not None,
        "--in": options.delay is not None,
        "--version": options.version is not None,
        "--detach": options.detach,
        "--idempotency-key": options.idempotency_key is not None,
        "--after": bool(options.after),
        "--after-any": bool(options.after_any),
    }
    named = [name for name, is_given in given.items() if is_given]
    if named:
        raise CliError(f"{named[0]} is for runs on a server: leave it out, or leave out --local")


def _refuse_what_is_local(options: Options) -> None:
    from gyoza.cli.local_runs import is_path

    if options.op is not None and is_path(options.op):
        raise CliError(
            f"{options.op} is a path, and a server runs ops by their ids",
            hint=f"`gyoza run {options.op} --local` runs it here; `gyoza deploy` makes it an op",
        )
    if options.at is not None and options.delay is not None:
        raise CliError("--at and --in both say when to start: leave one out")
    if options.base is not None:
        raise CliError("--base is for runs on this machine: add --local")
    if options.out is not None and options.detach:
        raise CliError(
            "--out waits for the run's files, and --detach for nothing: leave one out",
            hint="`gyoza files RUN --out DIR` brings the files of a run that is over",
        )


def _specs(options: Options, client: GyozaClient) -> dict[str, InputSpec]:
    from gyoza.cli.op_lookup import find_op

    if options.op is None:
        return {}
    try:
        return find_op(client, options.op, options.version).input_specs.specs
    except CliError as error:
        # The name of a folder is no path, but whoever is beside it may have meant it.
        if options.version is None and Path(options.op).is_dir():
            error.hint = f"`gyoza run {options.op} --local` runs the folder {options.op} here"
        raise


def _submit(options: Options, context: Context, client: GyozaClient) -> RunHandle:
    from gyoza.cli.documents import given_id
    from gyoza.cli.inputs import parse_inputs, uploader
    from gyoza.cli.tags import parse_tags
    from gyoza.wire.messages import DEFAULT_PRIORITY

    specs = _specs(options, client)
    inputs = parse_inputs(
        options.inputs,
        options.input_file,
        specs,
        stdin=context.streams.stdin,
        upload=uploader(client),
    )
    common: dict[str, Any] = {
        "priority": DEFAULT_PRIORITY if options.priority is None else options.priority,
        "tags": parse_tags(options.tags),
        **_due(options, context),
        "idempotency_key": options.idempotency_key,
        "after": [given_id(each, context) for each in options.after],
        "after_any": [given_id(each, context) for each in options.after_any],
    }
    if options.op:
        return client.run(options.op, inputs, version=options.version, **common)
    return client.run_image(str(options.image), inputs, **common)


def _due(options: Options, context: Context) -> dict[str, Any]:
    from gyoza.cli.moments import moment_at, seconds_in

    if options.at is not None:
        return {"due_at": moment_at(options.at, context.now())}
    return {} if options.delay is None else {"due_in_s": seconds_in(options.delay)}


def _save(run_id: str, folder: Path, context: Context) -> None:
    from gyoza.cli.saving import files_of, save_files

    with context.client() as client:
        for _, path in save_files(client, files_of(client, run_id), folder):
            context.output.hint(f"saved {path}")


def _detached(handle: RunHandle, context: Context) -> ExitCode:
    from gyoza.cli.documents import run_document

    output = context.output
    if output.as_json:
        output.json(run_document(handle.last_seen))
    else:
        output.data(handle.id)
        output.hint(f"submitted; gyoza logs -f {handle.id}")
    return ExitCode.OK
