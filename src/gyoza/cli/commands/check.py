"""`gyoza check`: whether a project can be built and deployed, or an image keeps the protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.output import Output
    from gyoza.project import Project
    from gyoza.testing.conformance.report import Finding, Report
    from gyoza.testing.conformance.trials import Subject

_TRIAL_S: Final = 120.0
_NAME_WIDTH: Final = 14


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        path: A project; with an image, the `gyoza.yml` that belongs to it, or None.
        image: To try; None checks the project.
        input_file: JSON object of inputs for the trials.
        inputs: `name=value` words for the trials.
        trial_s: Longest time of one trial, in seconds.
    """

    path: Path | None = None
    image: str | None = None
    input_file: Path | None = None
    inputs: tuple[str, ...] = ()
    trial_s: float = _TRIAL_S


def command(
    ctx: typer.Context,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="Folder with a gyoza.yml, or a Python file."),
    ] = None,
    conformance: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Run this image and try it.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=VALUE", help="To try the image with."),
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON object of inputs; - is stdin.")
    ] = None,
    trial_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Longest trial.", min=1)
    ] = _TRIAL_S,
) -> int:
    """Check a project, or try whether an image keeps the protocol.

    Examples: gyoza check; gyoza check --conformance shell:1.0.0; gyoza check . --conformance x:1
    """
    options = Options(path, conformance, input_file, tuple(inputs or ()), trial_timeout)
    return run(options, context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Check, and show what was found.

    Raises:
        CliError: There is nothing to check, or nothing to try it with.
    """
    from gyoza.cli.extras import import_part

    import_part("worker")
    report = _of_project(options, context) if options.image is None else _tried(options, context)
    if context.output.as_json:
        context.output.json(report.to_dict())
    else:
        _show(report, context.output)
    return ExitCode.OK if report.has_passed else ExitCode.INVALID


def _of_project(options: Options, context: Context) -> Report:
    from gyoza.testing.project_check import check_project

    if options.inputs or options.input_file is not None:
        raise CliError("inputs are to try an image with: add --conformance IMAGE")
    return check_project(options.path or Path(), context.environment, context.now())


def _tried(options: Options, context: Context) -> Report:
    import asyncio

    from gyoza.testing.conformance.tryout import report_on
    from gyoza.testing.engine import EngineUnreachable
    from gyoza.testing.settings import engine_address

    address = engine_address(context.environment)
    context.output.hint(f"trying {options.image}: as it is, with wrong inputs, asked to end ...")
    try:
        subject = asyncio.run(_subject(options, address, context))
        given = _inputs(options, subject, context)
        subject = replace(subject, inputs=given, timeout_s=options.trial_s)
        return asyncio.run(report_on(subject, address))
    except EngineUnreachable as error:
        raise CliError(str(error), ExitCode.UNAVAILABLE, hint="start it") from error


async def _subject(options: Options, address: str, context: Context) -> Subject:
    from gyoza.project import ProjectError
    from gyoza.testing.conformance.tryout import subject_of
    from gyoza.testing.engine import ImageUnknown

    try:
        project = _project(options.path)
        return await subject_of(str(options.image), address, project, now=context.now())
    except ProjectError as error:
        details = tuple(str(error).splitlines())
        message = f"{error.file} cannot be used"
        raise CliError(message, ExitCode.INVALID, details=details) from error
    except ImageUnknown as error:
        hint = "`gyoza build` makes one, `docker pull` fetches one"
        raise CliError(str(error), ExitCode.NOT_FOUND, hint=hint) from error
    except ValueError as error:
        message = f"the label of {options.image} cannot be read: {error}"
        raise CliError(message, ExitCode.INVALID, hint="build it again") from error


def _project(path: Path | None) -> Project | None:
    from gyoza.project import read_project

    return None if path is None else read_project(path)


def _inputs(options: Options, subject: Subject, context: Context) -> dict[str, Any] | None:
    from gyoza.cli.inputs import parse_inputs

    if not options.inputs and options.input_file is None:
        return None
    specs = subject.definition.input_specs.specs
    return parse_inputs(
        options.inputs,
        options.input_file,
        specs,
        stdin=context.streams.stdin,
        upload=_as_path,
    )


def _as_path(source: Path | str) -> Any:
    # Trials read files where they are.
    return Path(source)


def _show(report: Report, output: Output) -> None:
    for finding in report.findings:
        _show_finding(finding, output)
    memory = report.facts.get("peak_memory_mb")
    if memory is not None:
        inputs = report.facts.get("inputs") or "no inputs"
        output.hint(f"tried with {inputs}; {memory:.0f} MB at most")
    verdict = "passed" if report.has_passed else "FAILED"
    output.data(f"{report.subject}: {verdict} ({report.summary()})")


def _show_finding(finding: Finding, output: Output) -> None:
    from gyoza.testing.conformance.report import Status

    marks = {Status.PASS: "✓", Status.WARN: "!", Status.FAIL: "✗", Status.SKIP: "-"}
    output.data(f"{marks[finding.status]} {finding.check:<{_NAME_WIDTH}} {finding.title}")
    is_good = finding.status is Status.PASS
    rows = [("" if is_good else "seen", finding.seen)]
    rows += [("expected", finding.expected), ("fix", finding.fix)]
    if finding.status is Status.SKIP:
        rows = [("", f"skipped: {finding.seen}")]
    for label, text in rows:
        if text:
            head = f"{label + ':':<10}" if label else ""
            output.data(_indented(head + text))


def _indented(text: str) -> str:
    margin = " " * (_NAME_WIDTH + 3)
    return margin + text.replace("\n", f"\n{margin}  ")
