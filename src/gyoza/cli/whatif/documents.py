"""Reading load and fleet files, every mistake with its line.

A file in YAML or JSON may describe `workers`, `runs`, or both. A file that ends in `.jsonl` is a
recording: one run a line, and perhaps a first line with the `workers` of then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.whatif import fields
from gyoza.models.fields import FieldProblem, InvalidFields, instant, list_of, whole
from gyoza.project.file_fields import Section
from gyoza.project.yaml_lines import Lines, parse
from gyoza.server.scheduling.snapshot import Shape
from gyoza.server.whatif.fleet import Box, Fleet
from gyoza.server.whatif.load import Load, LoadClass, LoadRun, drawn, recorded
from gyoza.wire import strict_json

RECORDED: Final = ".jsonl"
_DAY_S: Final = 86_400.0
_SHORTEST_S: Final = 0.001
_MOST_DRAWN: Final = 5_000_000
_MOST_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Case:
    """What a file says.

    Attributes:
        load: Its runs; None when it names none.
        fleet: Its workers; None when it names none.
    """

    load: Load | None
    fleet: Fleet | None


def read_case(path: Path, seed: int | None = None) -> Case:
    """Read a file.

    Args:
        path: Where it is.
        seed: Instead of the file's own; it changes nothing of a recording.

    Raises:
        CliError: It cannot be read, or says something that makes no sense; with every mistake.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _unusable(path, [f"not UTF-8: byte {error.start}"]) from None
    if path.suffix == RECORDED:
        return _recording(path, content)
    lines = parse(content)
    if lines.problems:
        raise _unusable(path, [f"line {each.line}: {each}" for each in lines.problems])
    try:
        values = _DOCUMENT.read({} if lines.value is None else lines.value)
    except InvalidFields as error:
        raise _unusable(path, [_with_line(each, lines) for each in error.problems]) from None
    return Case(_described(path, values, seed), _fleet(path.stem, values))


def read_load(path: Path, seed: int | None = None) -> Case:
    """Read a file that must have runs.

    Raises:
        CliError: It has none, or cannot be used.
    """
    case = read_case(path, seed)
    if case.load is None:
        hint = "docs/how-to/what-if.md shows a load; this one belongs to --fleet?"
        raise CliError(f"{path} has no `runs`", ExitCode.INVALID, hint=hint)
    if not case.load.runs:
        hint = "let it last longer, or let more come per hour"
        raise CliError(f"the load of {path} is empty: not one run", ExitCode.INVALID, hint=hint)
    return case


def read_fleet(path: Path) -> Fleet:
    """Read a file that must have workers.

    Raises:
        CliError: It has none, or cannot be used.
    """
    fleet = read_case(path).fleet
    if fleet is None:
        hint = "docs/how-to/what-if.md shows a fleet"
        raise CliError(f"{path} has no `workers`", ExitCode.INVALID, hint=hint)
    return fleet


def box_of(document: dict[str, Any]) -> Box:
    """Read workers that are alike.

    Raises:
        InvalidFields: With every problem.
    """
    return _WORKER.read(document)


# --- YAML ------------------------------------------------------------------------------------


def _described(path: Path, values: dict[str, Any], seed: int | None) -> Load | None:
    if "runs" not in values:
        return None
    classes: list[LoadClass] = values["runs"]
    span_s = values.get("lasts", _DAY_S)
    expected = sum(each.per_hour for each in classes) * span_s / 3600
    if expected > _MOST_DRAWN:
        many = f"about {expected:,.0f} runs; at most {_MOST_DRAWN:,} are replayed"
        raise _unusable(path, [many])
    named = [_named(each, at) for at, each in enumerate(classes)]
    twice = {each.name for each in named if [other.name for other in named].count(each.name) > 1}
    if twice:
        words = [f"runs: two classes are called {name}; give each a `name`" for name in twice]
        raise _unusable(path, sorted(words))
    own_seed: int = values.get("seed", 1)
    return drawn(path.name, named, span_s, own_seed if seed is None else seed)


def _named(kind: LoadClass, at: int) -> LoadClass:
    return kind if kind.name else replace(kind, name=kind.op or f"class {at + 1}")


def _fleet(name: str, values: dict[str, Any]) -> Fleet | None:
    boxes: Sequence[Box] = values.get("workers", ())
    return Fleet(name, tuple(boxes)) if boxes else None


def _box(values: dict[str, Any]) -> Box:
    if "ram_mb" not in values:
        raise InvalidFields("worker", [FieldProblem(("ram",), "missing")])
    gpus = tuple(values.pop("gpus", ()))
    given: dict[str, Any] = {"name": "worker", **values}
    return Box(**given, gpus=gpus)


def _shape(values: dict[str, Any]) -> Shape:
    cpu, ram_mb = values.pop("cpu", None), values.pop("ram_mb", None)
    selectors: dict[str, str] = values.pop("selectors", {})
    return Shape(
        cpu=fields.DEFAULT_CPU if cpu is None else cpu,
        ram_mb=fields.DEFAULT_RAM_MB if ram_mb is None else ram_mb,
        vram_mb=values.pop("vram_mb", None) or 0,
        selectors=tuple(sorted(selectors.items())),
    )


def _class(values: dict[str, Any]) -> LoadClass:
    shape = _shape(values)
    given: dict[str, Any] = {"name": "", **values}
    return LoadClass(**given, shape=shape)


_WORKER: Final = fields.worker_section(_box)
_CLASS: Final = fields.class_section(_class)
_DOCUMENT: Final = Section(
    "file",
    {
        "lasts": fields.plain(fields.seconds, "How long the load goes on; a day."),
        "seed": fields.plain(whole(), "Of what is drawn; 1."),
        "runs": fields.plain(list_of(_CLASS.read), "What comes, by classes."),
        "workers": fields.plain(list_of(_WORKER.read), "The fleet."),
    },
)


def _with_line(problem: FieldProblem, lines: Lines) -> str:
    return f"line {lines.line_of(problem.path)}: {problem}"


# --- recordings ------------------------------------------------------------------------------


def _recording(path: Path, content: str) -> Case:
    runs: list[LoadRun] = []
    boxes: list[Box] = []
    problems: list[str] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            document = strict_json.loads(line)
            if isinstance(document, dict) and "workers" in cast("dict[str, Any]", document):
                boxes += _WORKERS_LINE.read(cast("object", document))["workers"]
            else:
                runs.append(_RUN.read(cast("object", document)))
        except InvalidFields as error:
            problems += [f"line {number}: {each}" for each in error.problems]
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        raise _unusable(path, problems)
    fleet = Fleet(path.stem, tuple(boxes)) if boxes else None
    return Case(recorded(path.name, list(_from_the_first(runs))), fleet)


def _from_the_first(runs: Sequence[LoadRun]) -> Iterator[LoadRun]:
    first_s = min((run.submitted_s for run in runs), default=0.0)
    return (replace(run, submitted_s=run.submitted_s - first_s) for run in runs)


def _run(values: dict[str, Any]) -> LoadRun:
    if "submitted_s" not in values:
        raise InvalidFields("run", [FieldProblem(("submitted_at",), "missing")])
    duration_s = max(_SHORTEST_S, values.pop("duration_s"))
    shape = _shape(values)
    return LoadRun(**values, duration_s=duration_s, shape=shape)


def _instant_s(value: object) -> float:
    moment: datetime = instant(value)
    return moment.timestamp()


_RUN: Final = fields.run_section(_run, _instant_s)
_WORKERS_LINE: Final = Section(
    "first line", {"workers": fields.plain(list_of(_WORKER.read), "The fleet of then.")}
)


def _unusable(path: Path, problems: Sequence[str]) -> CliError:
    shown = list(problems[:_MOST_SHOWN])
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    return CliError(f"{path} cannot be used", ExitCode.INVALID, details=tuple(shown))


# --- words -----------------------------------------------------------------------------------


def parse_box(words: str) -> Box:
    """Read workers from the words of `--add`, such as `gpu box: cpu=16 ram=64G gpu=24Gx2 x2`.

    `gpu=` may be given again, `x2` after its size means two such GPUs, `tag.NAME=VALUE` sets a tag,
    and `x2` alone means two such workers.

    Raises:
        CliError: They say something else; with every mistake.
    """
    name, colon, rest = words.partition(":")
    document: dict[str, Any] = {"name": name.strip() if colon else "more"}
    try:
        for word in (rest if colon else words).split():
            _take_word(word, document)
        return box_of(document)
    except InvalidFields as error:
        details = tuple(str(each) for each in error.problems)
        hint = "write it like 'gpu box: cpu=16 ram=64GB gpu=24GBx2 tag.zone=a x2'"
        message = f"--add {words!r} is no worker"
        raise CliError(message, ExitCode.USAGE, details=details, hint=hint) from None


def _take_word(word: str, document: dict[str, Any]) -> None:
    name, equals, value = word.partition("=")
    if not equals:
        document["count"] = _times(word)
    elif name in {"gpu", "gpus"}:
        document.setdefault("gpus", []).extend(_gpus(value))
    elif name.startswith("tag."):
        document.setdefault("tags", {})[name.removeprefix("tag.")] = value
    else:
        document[name] = int(value) if value.isdigit() else value


def _times(word: str) -> int:
    if word[:1] == "x" and word[1:].isdigit() and int(word[1:]):
        return int(word[1:])
    said = f"got {word!r}, expected name=value, or how many there are, such as x2"
    raise InvalidFields("worker", [FieldProblem((), said)])


def _gpus(value: str) -> Iterator[str]:
    for part in value.split(","):
        size_of_one, times, count = part.partition("x")
        yield from [size_of_one] * (_times(f"x{count}") if times else 1)
