"""Builders' output as steps, from lines as they were printed."""

from __future__ import annotations

from collections.abc import Iterable

from gyoza.project.build_progress import BuildKitReader, ClassicReader, Step, StepReader

BUILDKIT = """\
#1 [internal] load remote build context
#1 DONE 0.0s
#4 [stage-0 1/2] FROM docker.io/library/python:3.12-slim
#4 sha256:899ad7ec71fd81f2323b23787345df721784b80b83a3c6f795d98db8fe2ffbb8
#4 CACHED

#5 [dependencies 2/2] RUN --mount=type=cache,target=/root/.cache uv sync --frozen
#5 0.211 Resolved
#5 DONE 12.5s

#6 exporting to image
#6 DONE 0.1s
"""
CLASSIC = """\
Sending build context to Docker daemon  10.24kB
Step 1/3 : FROM python:3.12-slim
 ---> dadd6859fa39
Step 2/3 : COPY --from=dependencies /opt/venv /opt/venv
 ---> Using cache
 ---> 5543454aa71b
Step 3/3 : RUN echo hi
 ---> Running in 59daa5d1141a
Successfully built 5543454aa71b
"""


def steps(reader: StepReader, lines: Iterable[str]) -> list[Step]:
    return [*(step for line in lines for step in reader.read(line)), *reader.end()]


def test_buildkit_says_itself_how_long_each_step_took() -> None:
    found = steps(BuildKitReader(), BUILDKIT.splitlines())

    assert found == [
        Step("FROM docker.io/library/python:3.12-slim", 0.0, is_cached=True),
        Step("RUN uv sync --frozen", 12.5, is_cached=False),
    ]


def test_the_classic_builders_steps_last_until_the_next_begins() -> None:
    clock = iter(range(0, 100, 10))

    found = steps(ClassicReader(lambda: float(next(clock))), CLASSIC.splitlines())

    assert [(step.text, step.seconds, step.is_cached) for step in found] == [
        ("FROM python:3.12-slim", 10.0, False),
        ("COPY /opt/venv /opt/venv", 10.0, True),
        ("RUN echo hi", 10.0, False),
    ]
