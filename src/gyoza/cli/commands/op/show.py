"""`gyoza op show`: one op."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.models import InputSpec, OpDefinition, OutputSpec
    from gyoza.wire.messages import LimitsView


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        op: Op id.
        version: None is the current one.
    """

    op: str
    version: str | None = None


def command(
    ctx: typer.Context,
    op: Annotated[str, typer.Argument(metavar="OP", help="Op id.")],
    version: Annotated[str | None, typer.Option(help="Version; default the current.")] = None,
) -> int:
    """Show an op: its image, inputs, outputs and limits."""
    return run(Options(op, version), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Show the op."""
    import msgspec

    from gyoza.cli.op_lookup import find_op

    output = context.output
    with context.client() as client:
        op = find_op(client, options.op, options.version)
        limits = client.op_limits(op.id)
    if output.as_json:
        output.json({**op.to_dict(), "limits": msgspec.to_builtins(limits)})
    elif output.quiet:
        output.data(op.id)
    else:
        _print(op, limits, context)
    return ExitCode.OK


def _print(op: OpDefinition, limits: LimitsView, context: Context) -> None:
    from gyoza.cli.limit_views import limits_text

    output = context.output
    needs = [f"{name} {value}" for name, value in op.constraints.to_dict().items() if value]
    output.pairs(
        [
            ("Op", op.id),
            ("Version", op.version),
            ("Image", op.image),
            ("Digest", op.image_digest or ""),
            ("Needs", ", ".join(needs)),
            ("Attempts", str(op.retry_policy.max_attempts)),
            ("Retries", _json(_rules(op))),
            ("Topic", op.event_delivery.topic),
            ("At work", limits_text(limits)),
            ("Execution", _json(op.execution.to_dict())),
            ("Registered", f"{op.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ]
    )
    if op.input_specs.specs:
        output.data("\nInputs")
        rows = [_input(name, spec) for name, spec in op.input_specs.specs.items()]
        output.table(("NAME", "TYPE", "REQUIRED", "DEFAULT", "DESCRIPTION"), rows)
    if op.output_specs.specs:
        output.data("\nOutputs")
        outputs = [_output(name, spec) for name, spec in op.output_specs.specs.items()]
        output.table(("NAME", "TYPE", "DESCRIPTION"), outputs)


def _input(name: str, spec: InputSpec) -> tuple[str, ...]:
    default = "" if spec.default is None else json.dumps(spec.default, ensure_ascii=False)
    return (name, spec.type, "yes" if spec.required else "no", default, spec.description)


def _output(name: str, spec: OutputSpec) -> tuple[str, ...]:
    return (name, spec.type, spec.description)


def _rules(op: OpDefinition) -> dict[str, object]:
    said = op.retry_policy.to_dict().items()
    return {name: value for name, value in said if name != "max_attempts" and value}


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
