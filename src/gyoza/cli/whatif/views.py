"""A replay's figures as tables for people, one column a fleet, and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Final

from gyoza.cli.output import Output, duration
from gyoza.cli.whatif.drawing import sparkline
from gyoza.server.scheduling.selectors import selector
from gyoza.server.whatif.figures import RESOURCES, Figures, Waits
from gyoza.server.whatif.load import Load
from gyoza.server.whatif.outcome import Outcome

_NOBODY: Final = "(none)"


@dataclass(frozen=True, slots=True)
class Result:
    """What one fleet made of the load."""

    outcome: Outcome
    figures: Figures


def document_of(load: Load, results: Sequence[Result]) -> dict[str, Any]:
    """Return everything there is to know; times in seconds, use from 0 to 1."""
    return {
        "load": {
            "name": load.name,
            "runs": len(load.runs),
            "span_s": load.span_s,
            "left_out": list(load.left_out),
        },
        "fleets": [_fleet_document(result) for result in results],
    }


def _fleet_document(result: Result) -> dict[str, Any]:
    fleet = result.outcome.fleet
    return {
        "name": fleet.name,
        "workers": sum(box.count for box in fleet.boxes),
        "step_s": result.outcome.step_s,
        "plans": result.outcome.plans,
        **asdict(result.figures),
    }


def show(load: Load, results: Sequence[Result], output: Output) -> None:
    """Write the tables, and to a terminal how queue and use went."""
    names = [_fleet_name(result) for result in results]
    output.table(("", *(f"{name}>" for name in names)), _rows(results))
    for kind in ("owner", "op", "priority"):
        _show_group(kind, names, results, output)
    if output.is_terminal:
        for result, name in zip(results, names, strict=True):
            _show_course(result.figures, name, output)
    for line in chain(_never(load, results), _precision(results), map(_left_out, load.left_out)):
        output.hint(line)


def _fleet_name(result: Result) -> str:
    return result.outcome.fleet.name


def _rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    figures = [result.figures for result in results]
    rows = [
        _row("workers", results, lambda r: str(sum(b.count for b in r.outcome.fleet.boxes))),
        _row("runs", figures, lambda f: f"{f.runs:,}"),
        _row("never placed", figures, lambda f: f"{f.never:,}"),
        _row("wait, mean", figures, lambda f: _time(f.waits.mean_s)),
        _row("wait, p50", figures, lambda f: _time(f.waits.p50_s)),
        _row("wait, p90", figures, lambda f: _time(f.waits.p90_s)),
        _row("wait, p99", figures, lambda f: _time(f.waits.p99_s)),
        _row("wait, longest", figures, lambda f: _time(f.waits.most_s)),
        _row("deepest queue", figures, lambda f: f"{f.deepest:,}"),
        _row("makespan", figures, lambda f: _time(f.makespan_s)),
    ]
    resources = [name for name in RESOURCES if any(name in each.used for each in figures)]
    rows += [_row(f"{name.upper()} used", figures, _use_of(name)) for name in resources]
    if any(each.evictions for each in figures):
        rows.append(_row("stopped for others", figures, lambda f: f"{f.evictions:,}"))
    return rows


def _row(name: str, some: Sequence[Any], word: Callable[[Any], str]) -> tuple[str, ...]:
    return (name, *(word(each) for each in some))


def _time(seconds: float) -> str:
    return "0 s" if not seconds else duration(seconds)


def _use_of(name: str) -> Callable[[Figures], str]:
    return lambda figures: f"{figures.used[name]:.0%}" if name in figures.used else "-"


def _show_group(kind: str, names: list[str], results: Sequence[Result], output: Output) -> None:
    groups = [result.figures.by.get(kind, {}) for result in results]
    members = list(dict.fromkeys(chain.from_iterable(groups)))
    if not members:
        return
    several = len(results) > 1
    columns = (kind.upper(), *(("FLEET",) if several else ()))
    rows = [
        (member or _NOBODY, *((name,) if several else ()), *_wait_words(group[member]))
        for member in members
        for name, group in zip(names, groups, strict=True)
        if member in group
    ]
    output.stdout.write("\n")
    output.table((*columns, "RUNS>", "MEAN WAIT>", "P50>", "P90>", "P99>", "LONGEST>"), rows)


def _wait_words(waits: Waits) -> tuple[str, ...]:
    times = (waits.mean_s, waits.p50_s, waits.p90_s, waits.p99_s, waits.most_s)
    return (f"{waits.runs:,}", *map(_time, times))


def _show_course(figures: Figures, name: str, output: Output) -> None:
    course = figures.course
    deepest = max(course.queued, default=0.0)
    output.data(f"\n{name}, from the beginning to {_time(figures.makespan_s)}")
    output.data(f"  {'queue':<6}{sparkline(course.queued, deepest)} up to {deepest:,.0f}")
    for resource, parts in course.used.items():
        output.data(f"  {resource.upper():<6}{sparkline(parts, 1.0)} of all")


def _never(load: Load, results: Sequence[Result]) -> list[str]:
    lines: list[str] = []
    for result in results:
        shapes = Counter(load.runs[number].shape for number in result.outcome.never)
        for shape, count in shapes.most_common(3):
            needs = [f"{shape.cpu} CPU", f"{shape.ram_mb} MB RAM"]
            needs += [f"{shape.vram_mb} MB VRAM"] if shape.vram_mb else []
            needs += [selector(wanted).text(name) for name, wanted in shape.selectors]
            where = f"no worker of {result.outcome.fleet.name} could ever take"
            lines.append(f"{where} {count:,} runs that need {', '.join(needs)}")
    return lines


def _precision(results: Sequence[Result]) -> list[str]:
    step_s = max(result.outcome.step_s for result in results)
    if not step_s:
        return []
    said = f"planned once in {step_s:.3g} s of the load's time, by which waits may be too long"
    return [f"{said}; --step 0 plans at every event, and takes longer"]


def _left_out(what: str) -> str:
    return f"left out: {what}"
