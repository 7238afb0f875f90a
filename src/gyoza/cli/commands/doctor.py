"""`gyoza doctor`: what is wrong with this machine, the engine and the server, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.checkup.findings import Finding
    from gyoza.cli.context import Context
    from gyoza.cli.output import Output

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗", "skipped": "-"}


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing can be asked but everything."""


def command(ctx: typer.Context) -> int:
    """Look for what is wrong, each with its remedy."""
    return run(Options(), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Carry out every check and print what was found; 1 when something fails."""
    from gyoza.cli.checkup.findings import is_healthy

    del options
    findings = _findings(context)
    healthy = is_healthy(findings)
    output = context.output
    if output.as_json:
        items = [finding.to_dict() for finding in findings]
        output.json({"healthy": healthy, "findings": items})
    else:
        _show(findings, output)
    return ExitCode.OK if healthy else ExitCode.UNEXPECTED


def _findings(context: Context) -> list[Finding]:
    from gyoza.cli.checkup.client import check_client, has_part
    from gyoza.cli.checkup.disk import check_disks
    from gyoza.cli.checkup.engine import check_engine
    from gyoza.cli.checkup.gpu import check_gpu
    from gyoza.cli.checkup.server import check_server
    from gyoza.cli.engine_images import engine_address

    address = engine_address(context.environment)
    engine, info = check_engine(address, is_needed=has_part("worker"))
    return [
        *check_client(context),
        *check_server(context),
        *engine,
        *check_gpu(context.environment, info),
        *check_disks(context, info),
    ]


def _show(findings: list[Finding], output: Output) -> None:
    width = max(len(finding.name) for finding in findings)
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            output.data(group)
        word = finding.status.value
        mark = f"{_MARKS[word]} {word:<7}" if output.is_terminal else f"{word:<7}"
        output.data(f"  {mark}  {finding.name:<{width}}  {finding.seen}")
        if finding.remedy:
            output.data(f"  {'':{len(mark)}}  {'':<{width}}  remedy: {finding.remedy}")
    counts = {word: sum(each.status.value == word for each in findings) for word in _MARKS}
    output.hint(", ".join(f"{count} {word}" for word, count in counts.items() if count))
