"""Whether a project can be built and deployed, found out without building: its file and its code.

The code is imported by the author's own interpreter, in a process of its own. What an image does
when it runs is another question: see `conformance`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from gyoza.models import OpDefinition
from gyoza.project import ProjectError
from gyoza.project.dependencies import Source
from gyoza.testing.conformance.report import Finding, Report, Status
from gyoza.testing.projects import (
    CodeRefused,
    LocalProject,
    find_python,
    labels_by_code,
    python_command,
    python_environment,
    read_local_project,
)

_FILE: Final = ("file", "its file can be read, and says nothing unknown")
_CODE: Final = ("code", "a spec can be made of its code")
_AGREEMENT: Final = ("agreement", "file and code say the same")
_DEFINITION: Final = ("definition", "a server would take it")
_DECLARATION: Final = ("declaration", "it says what it takes and what it returns")
_TO_LOCK: Final[Mapping[Source, str]] = {
    Source.PYPROJECT: "`uv lock` writes uv.lock",
    Source.REQUIREMENTS: "`uv init --bare`, then `uv add -r requirements.txt`: they write "
    "pyproject.toml and uv.lock, which count before requirements.txt",
    Source.SCRIPT: "`uv lock --script {file}` writes {file}.lock",
}
_LOCK: Final = ("lock", "the versions of its packages are locked")


def check_project(path: Path, environment: Mapping[str, str], now: datetime) -> Report:
    """Check a project and report.

    Args:
        path: A folder with a `gyoza.yml`, that file, or one Python file.
        environment: Of the interpreter.
        now: The moment.

    Raises:
        OSError: A file cannot be read.
    """
    try:
        project = read_local_project(path)
    except ProjectError as error:
        fix = "docs/how-to/write-an-op.md shows a whole file"
        finding = _failed(_FILE, str(error).splitlines(), "a project file", fix)
        return Report(str(path), (finding,))
    findings = [_passed(_FILE, f"{project.source.id} {project.source.version}")]
    findings += _code_findings(project, environment, now)
    return Report(str(project.source.file), (*findings, _lock_finding(project)))


def _code_findings(
    project: LocalProject, environment: Mapping[str, str], now: datetime
) -> list[Finding]:
    labels: Mapping[str, str] = {}
    if project.source.dockerfile is not None:
        said = "its Dockerfile decides what runs: `gyoza check --conformance IMAGE` tries it"
        findings = [_skipped(_CODE, said)]
    else:
        try:
            labels = _labels(project, environment)
        except CodeRefused as error:
            lines = [_without_target(line) for line in error.lines] or [error.message]
            return [_failed(_CODE, lines, *_remedy(lines))]
        findings = [_passed(_CODE, project.source.entrypoint or "")]
    return findings + _definition_findings(project, labels, now)


def _remedy(lines: Sequence[str]) -> tuple[str, str]:
    """What was expected of the code, and what to do: a traceback is no matter of types."""
    if lines[-1].startswith("ModuleNotFoundError"):
        fix = "install its packages into .venv in its folder; `gyoza build` does it in the image"
        return "code that the project's own interpreter can import", fix
    if lines[0].startswith("Traceback"):
        return "code that can be imported", "mend the line that the traceback ends in"
    fix = "docs/reference/types.md lists the types that there are"
    return "types that have a form in JSON", fix


def _labels(project: LocalProject, environment: Mapping[str, str]) -> Mapping[str, str]:
    with tempfile.TemporaryDirectory(prefix="gyoza-sdk-") as sdk:
        command = python_command(project, find_python(project.folder, environment))
        return labels_by_code(command, project.folder, python_environment(environment, Path(sdk)))


def _definition_findings(
    project: LocalProject, labels: Mapping[str, str], now: datetime
) -> list[Finding]:
    try:
        definition = project.definition(project.tag, labels, now=now)
    except ProjectError as error:
        fix = "leave `inputs:` and `outputs:` out of the file to take the code's"
        return [_failed(_AGREEMENT, str(error).splitlines(), "one of them, or both alike", fix)]
    problems = _definition_problems(definition)
    if problems:
        taken = _failed(_DEFINITION, problems, "a definition without faults", "change the file")
    else:
        taken = _passed(_DEFINITION, "as far as this version checks it here")
    return [_passed(_AGREEMENT, "no contradiction"), taken, _declared(definition)]


def _definition_problems(definition: OpDefinition) -> list[str]:
    try:
        from gyoza.server.use_cases.op_rules import (  # noqa: PLC0415 - an extra's
            definition_from,
        )
        from gyoza.wire.messages import PutDefinition, convert  # noqa: PLC0415 - only with it
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("gyoza"):
            raise
        return []
    document = convert(definition.to_dict(), PutDefinition)
    _, faults = definition_from(document, definition.created_at)
    return [f"{fault.pointer}: {fault.message}" for fault in faults]


def _declared(definition: OpDefinition) -> Finding:
    takes, returns = definition.input_specs.specs, definition.output_specs.specs
    if takes or returns:
        words = f"{', '.join(takes) or 'nothing'} -> {', '.join(returns) or 'nothing'}"
        return _passed(_DECLARATION, words)
    fix = "write `inputs:` and `outputs:` into gyoza.yml"
    return Finding(*_DECLARATION, Status.WARN, "neither", "what callers may rely on", fix)


def _lock_finding(project: LocalProject) -> Finding:
    dependencies = project.source.dependencies
    if project.source.dockerfile is not None:
        return _skipped(_LOCK, "its Dockerfile installs what it needs")
    if not dependencies.files:
        return _skipped(_LOCK, "it needs none")
    if dependencies.is_locked:
        return _passed(_LOCK, dependencies.source.value)
    seen = f"{dependencies.source.value} names no exact versions of all packages"
    fix = _TO_LOCK[dependencies.source].format(file=project.source.file.name)
    return Finding(*_LOCK, Status.WARN, seen, "the same packages in every build", fix)


def _without_target(line: str) -> str:
    # `work.py:work: x: has no type`: which op is meant is clear here.
    head, colon, rest = line.partition(": ")
    return rest if colon and ":" in head and " " not in head else line


def _passed(rule: tuple[str, str], seen: str) -> Finding:
    return Finding(*rule, Status.PASS, seen)


def _skipped(rule: tuple[str, str], why: str) -> Finding:
    return Finding(*rule, Status.SKIP, why)


def _failed(rule: tuple[str, str], seen: Iterable[str], expected: str, fix: str) -> Finding:
    return Finding(*rule, Status.FAIL, "\n".join(seen), expected, fix)
