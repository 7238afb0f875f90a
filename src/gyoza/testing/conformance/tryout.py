"""From an image to a report: the whole of `gyoza check --conformance`, without a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gyoza.project import Project
from gyoza.project.image_plan import SPEC_LABEL
from gyoza.testing.conformance.checks import judge
from gyoza.testing.conformance.evidence import Evidence
from gyoza.testing.conformance.report import Report
from gyoza.testing.conformance.trials import Subject, gather
from gyoza.testing.engine import EngineFacts, ImageFacts
from gyoza.testing.ops import definition_of


async def subject_of(
    image: str, address: str, project: Project | None = None, *, now: datetime
) -> Subject:
    """Return an image as something to try.

    Args:
        image: On this machine.
        address: Of the engine.
        project: What a `gyoza.yml` says of it; None when there is none.
        now: The moment.

    Raises:
        EngineUnreachable: No container engine answers.
        ImageUnknown: The engine has no such image.
        ProjectError: File and label contradict each other.
        ValueError: The label cannot be read.
    """
    async with EngineFacts(address) as engine:
        facts: ImageFacts = await engine.image(image)
    definition = definition_of(image, facts.labels, project, now=now)
    said = definition.input_specs.specs or definition.output_specs.specs
    is_declared = project is not None or bool(said) or SPEC_LABEL in facts.labels
    return Subject(image=facts, definition=definition, is_declared=is_declared)


async def report_on(subject: Subject, address: str) -> Report:
    """Try a subject and report.

    Raises:
        EngineUnreachable: No container engine answers.
        OSError: An input file cannot be read.
    """
    evidence = await gather(subject, address)
    return Report(subject.definition.image, judge(evidence), _facts(evidence))


def _facts(evidence: Evidence) -> dict[str, Any]:
    facts: dict[str, Any] = {"image_id": evidence.image.id}
    if evidence.inputs is not None:
        facts["inputs"] = _plain(evidence.inputs)
    if evidence.plain is not None:
        facts["duration_ms"] = evidence.plain.result.duration_ms
        facts["peak_memory_mb"] = evidence.plain.result.peak_memory_mb
    return facts


def _plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str | int | float | list | dict) else str(value)
        for name, value in inputs.items()
    }
