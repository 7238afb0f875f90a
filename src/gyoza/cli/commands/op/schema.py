"""`gyoza op schema`: what goes into an op and what comes out, as JSON Schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        op: Op id.
        version: None is the current one.
        inputs: Only the inputs' schema.
        outputs: Only the outputs' schema.
    """

    op: str
    version: str | None = None
    inputs: bool = False
    outputs: bool = False


def command(
    ctx: typer.Context,
    op: Annotated[str, typer.Argument(metavar="OP", help="Op id.")],
    *,
    version: Annotated[str | None, typer.Option(help="Version; default the current.")] = None,
    inputs: Annotated[bool, typer.Option("--inputs", help="Only the inputs.")] = False,
    outputs: Annotated[bool, typer.Option("--outputs", help="Only the outputs.")] = False,
) -> int:
    """Print the JSON Schema of an op's inputs and outputs."""
    return run(Options(op, version, inputs, outputs), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Print the schema of one side as a document of its own, else both in one.

    Raises:
        CliError: There is no such op or version, or both sides are asked for as the only one.
    """
    from gyoza.cli.op_lookup import find_op

    if options.inputs and options.outputs:
        hint = "without either, both are printed"
        raise CliError("--inputs and --outputs exclude each other", hint=hint)
    output = context.output
    with context.client() as client:
        op = find_op(client, options.op, options.version)
        found = client.definition_schema(op.id, op.version)
    if options.inputs or options.outputs:
        found = found["inputs" if options.inputs else "outputs"]
    if output.as_json:
        output.json(found)
    else:
        output.data(json.dumps(found, ensure_ascii=False, indent=2))
    return ExitCode.OK
