"""`gyoza simulate`: what a load would meet on a fleet, by the server's own planner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.whatif.documents import Case
    from gyoza.cli.whatif.views import Result
    from gyoza.server.whatif.fleet import Fleet
    from gyoza.server.whatif.load import Load

_PICTURE: Final = ".svg"
_SINCE: Final = "7d"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        load: File of the load; None takes the server's.
        fleets: Files of fleets; () takes the load's own, or the server's.
        add: Workers beside the first fleet, as further cases.
        since: How far back to record, as a duration.
        record: Where to write down what the server has; None nowhere.
        plot: Where to draw queue and use; None nowhere.
        seed: Of a described load; None takes the file's.
        step: Time between two plans, as a duration or 0; None takes what the load's size asks for.
    """

    load: Path | None = None
    fleets: tuple[Path, ...] = ()
    add: tuple[str, ...] = ()
    since: str = _SINCE
    record: Path | None = None
    plot: Path | None = None
    seed: int | None = None
    step: str | None = None


def command(
    ctx: typer.Context,
    load: Annotated[
        Path | None, typer.Argument(metavar="[LOAD]", help="YAML, or a recording in .jsonl.")
    ] = None,
    *,
    fleet: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Workers; give several to compare them."),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="WORKERS", help="Compare with these beside the first fleet."),
    ] = None,
    from_server: Annotated[
        bool, typer.Option("--from-server", help="The load and the fleet that the server has.")
    ] = False,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="With --from-server: so far back.")
    ] = _SINCE,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", help="Write down what the server has."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw queue and use over time.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the load's own.")] = None,
    step: Annotated[
        str | None, typer.Option(metavar="TIME", help="Plan at most so often; 0: at every event.")
    ] = None,
) -> int:
    """Replay a load on a fleet: what if there were two more GPUs?

    Examples: gyoza simulate load.yml --fleet now.yml --add 'gpu box: cpu=16 ram=64GB gpu=24GB x2';
    gyoza simulate --from-server --since 7d --record week.jsonl
    """
    if (from_server or record is not None) == (load is not None):
        raise CliError("name a LOAD, or take the server's with --from-server; not both")
    fleets, added = tuple(fleet or ()), tuple(add or ())
    options = Options(load, fleets, added, since, record, plot, seed, step)
    return run(options, context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Replay, and show what came of it.

    Raises:
        CliError: There is nothing to replay, or nothing to replay it on.
    """
    from gyoza.cli.whatif.views import document_of, show

    _check_picture(options.plot)
    case = _case(options, context)
    load = _load_of(case)
    if options.record is not None:
        _write_down(options.record, case, context)
    results = _replayed(load, _fleets(options, case), options, context)
    if options.plot is not None:
        _draw(options.plot, load, results)
    if context.output.as_json:
        context.output.json(document_of(load, results))
    else:
        show(load, results, context.output)
    return ExitCode.OK


def _check_picture(path: Path | None) -> None:
    if path is not None and path.suffix != _PICTURE:
        raise CliError(f"{path} would be no SVG; --plot draws SVG only, such as out.svg")


def _case(options: Options, context: Context) -> Case:
    from gyoza.cli.whatif.documents import read_load

    if options.load is None:
        return _from_server(options, context)
    return read_load(options.load, options.seed)


def _from_server(options: Options, context: Context) -> Case:
    from gyoza.cli.whatif.documents import Case
    from gyoza.cli.whatif.recording import present_fleet, record_load

    since = context.now() - timedelta(seconds=_seconds("--since", options.since))
    with context.client() as client:
        load = record_load(client.list_runs(), since)
        fleet = present_fleet(client.list_workers())
    if not load.runs:
        unusable = "".join(f"; {each}" for each in load.left_out)
        message = f"the server has no run of the last {options.since} to replay{unusable}"
        raise CliError(message, ExitCode.NOT_FOUND, hint="look further back with --since")
    return Case(load, fleet if fleet.boxes else None)


def _load_of(case: Case) -> Load:
    if case.load is None:
        raise ValueError("a case without a load is refused when it is read")
    return case.load


def _write_down(path: Path, case: Case, context: Context) -> None:
    from gyoza.cli.whatif.documents import RECORDED
    from gyoza.cli.whatif.recording import write_recording

    if path.suffix != RECORDED:
        raise CliError(f"{path}: a recording is called something{RECORDED}")
    load = _load_of(case)
    write_recording(path, load, case.fleet)
    context.output.hint(f"{len(load.runs):,} runs written to {path}")


def _fleets(options: Options, case: Case) -> list[Fleet]:
    from gyoza.cli.whatif.documents import parse_box, read_fleet

    fleets = [read_fleet(path) for path in options.fleets]
    if not fleets and case.fleet is not None:
        fleets = [case.fleet]
    if not fleets:
        hint = "docs/how-to/what-if.md shows one; --from-server takes the present one"
        raise CliError("there are no workers to replay it on: name a --fleet", hint=hint)
    return [*fleets, *(fleets[0].plus([parse_box(words)]) for words in options.add)]


def _replayed(
    load: Load, fleets: Sequence[Fleet], options: Options, context: Context
) -> list[Result]:
    from gyoza.cli.whatif.views import Result
    from gyoza.server.whatif.figures import figures_of
    from gyoza.server.whatif.replay import replay, step_for

    # One step for all: what differs between the columns is the fleet alone.
    step_s = max(step_for(load, fleet) for fleet in fleets)
    if options.step is not None:
        step_s = 0.0 if options.step == "0" else _seconds("--step", options.step)
    results: list[Result] = []
    for fleet in fleets:
        if context.output.is_terminal:
            context.output.hint(f"replaying {len(load.runs):,} runs on {fleet.name} ...")
        outcome = replay(load, fleet, step_s=step_s)
        results.append(Result(outcome, figures_of(outcome)))
    return results


def _draw(path: Path, load: Load, results: Sequence[Result]) -> None:
    from gyoza.cli.whatif.drawing import svg

    named = [(each.outcome.fleet.name, each.figures) for each in results]
    path.write_text(svg(f"{load.name}: {len(load.runs):,} runs", named), encoding="utf-8")


def _seconds(option: str, value: str) -> float:
    from gyoza.op import quantities

    try:
        return quantities.seconds(value)
    except ValueError as error:
        raise CliError(f"{option}: {error}") from None
