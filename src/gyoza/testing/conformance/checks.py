"""The rules of protocol v1 as checks of an image: evidence in, one finding each out. Pure.

The order is that of the report: what it is, how it starts, what it reads and writes, how it ends,
what it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeGuard

from gyoza.op import protocol
from gyoza.testing.conformance.event_checks import event_problems, regressions
from gyoza.testing.conformance.evidence import Evidence, Trial
from gyoza.testing.conformance.report import Finding, Status

_MIB: Final = 1024 * 1024
_FULL: Final = 0.9
_LOG_BYTES: Final = 1 * _MIB
_SHOWN: Final = 5
_KILLED: Final = 137
_NOT_RUN: Final = "it was not run"
_NOT_ENDED: Final = ("RUN_TIMEOUT", "TOTAL_TIMEOUT")
_OUTPUT_REASONS: Final = ("OUTPUT_MISSING", "OUTPUT_INVALID")


def declaration(evidence: Evidence) -> Finding:
    """An image says what it takes and returns."""
    check = _Check("declaration", "it says what it takes and what it returns")
    if not evidence.is_declared:
        return check.failed(
            f"no label org.gyoza.spec and no gyoza.yml; labels: {_names(evidence.image.labels)}",
            "the label that `gyoza build` writes, or a gyoza.yml",
            "build it with `gyoza build`, or name its gyoza.yml: --project PATH",
        )
    op = evidence.definition
    takes, returns = _names(op.input_specs.specs), _names(op.output_specs.specs)
    return check.passed(f"{takes} -> {returns}")


def start(evidence: Evidence) -> Finding:
    """An op runs as a user without rights, on a root that it cannot write to."""
    check = _Check("start", f"it runs as user {protocol.CONTAINER_UID}, on a read-only root")
    plain = evidence.plain
    if plain is None:
        return check.skipped(f"no inputs to run it with: {evidence.no_inputs_because}")
    if plain.left.ended_s is None:
        return check.failed(
            _ending(plain),
            "a container that starts",
            "try its command by hand: `docker run --rm IMAGE`; CMD must name a program in it",
        )
    culprit = _culprit(evidence)
    if culprit is not None:
        return check.failed(
            f"{_ending(plain)}; {culprit[0]}", "the same run without it", culprit[1]
        )
    return check.passed(f"it ran and ended with exit code {plain.result.exit_code}")


def inputs(evidence: Evidence) -> Finding:
    """An op reads `in/input.json`."""
    check = _Check("inputs", f"it reads {protocol.DIR}/{protocol.IN}/{protocol.INPUT_FILE}")
    plain = _ran(evidence)
    if plain is None:
        return check.skipped(_NOT_RUN)
    if plain.left.was_input_read is None:
        return check.skipped("this machine has no inotify to see it by")
    if plain.left.was_input_read:
        return check.passed("it opened the file")
    if evidence.is_declared and not evidence.definition.input_specs.specs:
        return check.skipped("it declares no inputs")
    return check.failed(
        "it ended without opening the file",
        "inputs are taken from that file, and from nowhere else",
        f"read ${protocol.ENV_DIR}/{protocol.IN}/{protocol.INPUT_FILE}, a JSON object of inputs",
    )


def completion(evidence: Evidence) -> Finding:
    """An op with right inputs ends with exit code 0."""
    check = _Check("completion", "it ends with exit code 0 when its inputs are right")
    plain = _ran(evidence)
    if plain is None:
        return check.skipped(_NOT_RUN)
    result = plain.result
    if result.exit_code == protocol.EXIT_OK:
        return check.passed(f"exit code 0 after {result.duration_ms} ms")
    if result.reason in _NOT_ENDED:
        fix = "give it smaller inputs with --input-file, or more time with --trial-timeout"
        return check.failed(result.message, "an end in time", fix)
    fix = "read its last lines of log below; are the inputs right? --input-file gives others"
    return check.failed(f"{_ending(plain)}{_tail(plain)}", "exit code 0", fix)


def output(evidence: Evidence) -> Finding:
    """Outputs are a JSON object in `out/output.json`."""
    check = _Check("output", f"it writes {protocol.OUT}/{protocol.OUTPUT_FILE}, a JSON object")
    plain = _succeeded(evidence)
    if plain is None:
        return check.skipped("it did not exit with 0")
    if plain.left.output_bytes is None:
        if not evidence.definition.output_specs.specs and evidence.is_declared:
            return check.skipped("it declares no outputs and writes none")
        return check.failed(_no_output(plain), "a file of outputs", _how_to_write())
    if plain.result.reason == "OUTPUT_INVALID" and _is_unreadable(plain):
        return check.failed(plain.result.message, "one JSON object of outputs", _how_to_write())
    return check.passed(f"{plain.left.output_bytes} bytes")


def output_size(evidence: Evidence) -> Finding:
    """Outputs are small; what is large is a file."""
    most = protocol.MAX_OUTPUT_BYTES
    check = _Check("output-size", f"its outputs fit into {most // _MIB} MiB")
    plain = _succeeded(evidence)
    if plain is None or plain.left.output_bytes is None:
        return check.skipped("it wrote no outputs")
    size = plain.left.output_bytes
    if size > most:
        fix = f"write large data under {protocol.OUT}/{protocol.FILES}/ and declare type file"
        return check.failed(f"{size} bytes", f"at most {most} bytes", fix)
    return check.passed(f"{size} bytes")


def output_types(evidence: Evidence) -> Finding:
    """Outputs are of the types that were declared."""
    check = _Check("output-types", "its outputs are those it declares, of their types")
    plain = _succeeded(evidence)
    if plain is None or plain.left.output_bytes is None:
        return check.skipped("it wrote no outputs")
    if not evidence.definition.output_specs.specs:
        return check.skipped("it declares no outputs")
    if plain.result.reason == "OUTPUT_INVALID":
        if _is_unreadable(plain) or plain.left.output_bytes > protocol.MAX_OUTPUT_BYTES:
            return check.skipped("the outputs cannot be read")
        fix = "change the value, or its declaration"
        return check.failed(plain.result.message, _declared(evidence), fix)
    return check.passed(_declared(evidence))


def output_rename(evidence: Evidence) -> Finding:
    """Outputs appear whole, by a rename."""
    check = _Check("output-rename", "its outputs appear whole, by a rename")
    plain = _succeeded(evidence)
    if plain is None or plain.left.was_output_renamed is None:
        return check.skipped("it wrote no outputs, or nobody could see how")
    if plain.left.was_output_renamed:
        return check.passed("output.json was renamed into its place")
    return check.warned(
        "output.json was written in its place",
        "a file that is there whole or not at all, whenever the op ends",
        "write output.json.part and rename it to output.json",
    )


def files(evidence: Evidence) -> Finding:
    """Output files are plain files."""
    where = f"{protocol.OUT}/{protocol.FILES}/"
    check = _Check("files", f"what it leaves under {where} are plain files")
    plain = _ran(evidence)
    if plain is None:
        return check.skipped(_NOT_RUN)
    if plain.left.refused_files:
        return check.failed(
            _some(plain.left.refused_files),
            "regular files with one name each",
            "copy what a link leads to; a worker follows no links",
        )
    count = len(plain.result.files)
    return check.passed(f"{count} files") if count else check.skipped("it leaves no files")


def events(evidence: Evidence) -> Finding:
    """Events are lines of JSON, and progress only grows."""
    check = _Check("events", f"the lines of {protocol.EVENTS_FILE} are events")
    plain = _ran(evidence)
    if plain is None:
        return check.skipped(_NOT_RUN)
    lines = plain.left.event_lines
    problems = [*plain.left.event_notes, *event_problems(lines)]
    if problems:
        return check.failed(
            _some(problems),
            'one JSON object per line, such as {"type": "progress", "msg": 40}',
            f"types are {', '.join(protocol.EVENT_TYPES)}; progress is a number from 0 to 100",
        )
    backwards = regressions(lines)
    if backwards:
        fix = "report the share of all the work, not of one step"
        return check.failed(_some(backwards), "progress that does not go back", fix)
    if not lines:
        return check.skipped("it tells of none")
    return check.passed("1 event" if len(lines) == 1 else f"{len(lines)} events")


def bad_input(evidence: Evidence) -> Finding:
    """Wrong inputs end with exit code 65 and a reason."""
    code = protocol.EXIT_BAD_INPUT
    check = _Check("bad-input", f"it refuses wrong inputs with exit code {code} and a reason")
    trial = evidence.refusal
    if trial is None:
        return check.skipped("nothing is known that would be wrong for it")
    tried = f"tried: {evidence.wrong}"
    fix = (
        f"check the inputs first; write {protocol.OUT}/{protocol.ERROR_FILE} "
        f'({{"type": "BadInput", "message": "..."}}) and exit with {code}'
    )
    expected = f"exit code {code} and {protocol.ERROR_FILE}"
    if trial.result.exit_code != code:
        return check.failed(f"{_ending(trial)} ({tried})", expected, fix)
    if not trial.left.has_error:
        return check.failed(f"exit code {code} without a reason ({tried})", expected, fix)
    return check.passed(f"{trial.result.message} ({tried})")


def stopping(evidence: Evidence) -> Finding:
    """An op ends when it is asked to."""
    grace_s = evidence.definition.execution.grace_s
    check = _Check("stop", f"it ends within {grace_s:g} s of SIGTERM")
    tried = evidence.stopping
    if tried is None:
        return check.skipped(_NOT_RUN)
    if tried.took_s is None:
        fix = "inputs that take it some seconds, by --input-file, would show it"
        return check.skipped(f"it had ended before it could be asked; {fix}")
    if tried.trial.result.exit_code == _KILLED:
        return check.failed(
            f"it went on for {tried.took_s:.1f} s and had to be killed",
            f"an end within {grace_s:g} s, with or without outputs",
            f"handle SIGTERM (in shell: trap 'exit 143' TERM, and `wait` for children); "
            f"{protocol.IN}/{protocol.CANCEL_FILE} says why",
        )
    code = tried.trial.result.exit_code
    return check.passed(f"it ended {tried.took_s:.1f} s after it was asked, exit code {code}")


def memory(evidence: Evidence) -> Finding:
    """An op keeps to the memory that it asked for."""
    check = _Check("memory", f"it keeps to the {evidence.asked_mb} MB it asked for")
    plain = _ran(evidence)
    if plain is None:
        return check.skipped(_NOT_RUN)
    peak = plain.result.peak_memory_mb
    if plain.result.reason == "OOM":
        fix = "raise constraints.ram_mb, or use less: /tmp and /dev/shm count as well"
        return check.failed("the kernel killed it for memory", "less than that", fix)
    if peak is None:
        return check.skipped("it ended before anybody could measure")
    if peak > _FULL * evidence.asked_mb:
        seen = f"{peak:.0f} MB at most, {peak / evidence.asked_mb:.0%} of it"
        return check.warned(seen, "room for larger inputs", "raise constraints.ram_mb")
    return check.passed(f"{peak:.0f} MB at most")


def writes(evidence: Evidence) -> Finding:
    """An op writes into `out/` and `/tmp` only."""
    check = _Check("writes", f"it writes only under {protocol.DIR}/{protocol.OUT} and /tmp")
    tried = [each for each in (evidence.writable, evidence.as_root) if _has_ended(each)]
    if not tried:
        return check.skipped("it did not run with a root that it can write to")
    found = {each.path: each.kind for trial in tried for each in trial.left.changes}
    changes = [f"{path} {kind}" for path, kind in found.items()]
    if not changes:
        return check.passed("nothing else changed, though it could have been")
    fix = f"write to ${protocol.ENV_DIR}/{protocol.OUT} what is kept, and to /tmp what is not"
    expected = "nothing: the root is read-only on every worker"
    if evidence.plain is not None and evidence.plain.has_completed:
        seen = f"{_some(changes)}, where it can; it completes without"
        return check.warned(seen, expected, fix)
    return check.failed(_some(changes), expected, fix)


def streams(evidence: Evidence) -> Finding:
    """Standard output and error are a log, and no flood."""
    check = _Check("log", "what it prints is a log, and no flood")
    plain = _ran(evidence)
    if plain is None:
        return check.skipped(_NOT_RUN)
    size = len(plain.result.logs.encode())
    if size > _LOG_BYTES:
        fix = "print less; large data belongs into files"
        return check.warned(f"{size / _MIB:.1f} MiB printed", "less than 1 MiB", fix)
    return check.passed(f"{size} bytes printed")


def processes(evidence: Evidence) -> Finding:
    """An op waits for its children."""
    check = _Check("processes", "it waits for the processes that it starts")
    plain = _ran(evidence)
    if plain is None or not plain.measured.most_processes:
        return check.skipped("it ended before anybody could look")
    zombies = sorted(plain.measured.zombies)
    if zombies:
        fix = "wait() for every child; each one left takes one of 1024 process ids"
        return check.failed(f"dead and not waited for: {_some(zombies)}", "no zombies", fix)
    return check.passed(f"{plain.measured.most_processes} at one time, none left dead")


CHECKS: Final[tuple[Callable[[Evidence], Finding], ...]] = (
    declaration,
    start,
    inputs,
    completion,
    output,
    output_size,
    output_types,
    output_rename,
    files,
    events,
    bad_input,
    stopping,
    memory,
    writes,
    streams,
    processes,
)
"""All of them, in the order of a report."""


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Return what every check finds."""
    return tuple(check(evidence) for check in CHECKS)


class _Check:
    """Makes the findings of one check."""

    def __init__(self, name: str, title: str) -> None:
        self._name = name
        self._title = title

    def passed(self, seen: str) -> Finding:
        return Finding(self._name, self._title, Status.PASS, seen)

    def warned(self, seen: str, expected: str, fix: str) -> Finding:
        return Finding(self._name, self._title, Status.WARN, seen, expected, fix)

    def failed(self, seen: str, expected: str, fix: str) -> Finding:
        return Finding(self._name, self._title, Status.FAIL, seen, expected, fix)

    def skipped(self, why: str) -> Finding:
        return Finding(self._name, self._title, Status.SKIP, why)


def _has_ended(trial: Trial | None) -> TypeGuard[Trial]:
    return trial is not None and trial.left.ended_s is not None


def _ran(evidence: Evidence) -> Trial | None:
    return evidence.plain if _has_ended(evidence.plain) else None


def _succeeded(evidence: Evidence) -> Trial | None:
    plain = _ran(evidence)
    return plain if plain is not None and plain.result.exit_code == protocol.EXIT_OK else None


def _culprit(evidence: Evidence) -> tuple[str, str] | None:
    """What the house's policy takes away that the op cannot do without, and what to do."""
    plain = _ran(evidence)
    if plain is None or plain.has_completed:
        return None
    if evidence.writable is not None and evidence.writable.has_completed:
        fix = "write under out/ or /tmp; `writes` below names the files"
        return "with a root that it can write to it completes", fix
    if evidence.as_root is not None and evidence.as_root.has_completed:
        user = evidence.image.user or "root"
        fix = f"let everybody read what it needs (chmod a+rX), and do not ask for {user}'s rights"
        return "as root, where root can write, it completes", fix
    return None


def _ending(trial: Trial) -> str:
    result = trial.result
    head = result.outcome if result.reason is None else result.reason
    return (
        f"{head}: {result.message}" if result.message else f"{head}, exit code {result.exit_code}"
    )


def _tail(trial: Trial) -> str:
    lines = [line for line in trial.result.logs.splitlines() if line.strip()][-_SHOWN:]
    return "".join(f"\n| {line[:200]}" for line in lines)


def _no_output(trial: Trial) -> str:
    printed = trial.result.logs.removesuffix(trial.result.stderr).strip()
    if printed.startswith("{"):
        return f"no file, and on standard output, which is only a log: {printed[:200]}"
    return "no such file"


def _how_to_write() -> str:
    place = f"${protocol.ENV_DIR}/{protocol.OUT}/{protocol.OUTPUT_FILE}"
    return f'write {{"name": value, ...}} to {place}; nothing is read from standard output'


def _is_unreadable(trial: Trial) -> bool:
    return (
        protocol.OUTPUT_FILE in trial.result.message and "larger than" not in trial.result.message
    )


def _declared(evidence: Evidence) -> str:
    specs = evidence.definition.output_specs.specs
    return ", ".join(f"{name}: {spec.type}" for name, spec in specs.items())


def _names(values: Iterable[str]) -> str:
    return ", ".join(values) or "nothing"


def _some(texts: list[str]) -> str:
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more
