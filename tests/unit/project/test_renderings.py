"""Each plan's two Dockerfiles, word for word: the golden files are what an engine gets.

After a change on purpose: `GYOZA_GOLDEN=write pytest tests/unit/project/test_renderings.py`, and
read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gyoza.project.dependencies import Dependencies, Source
from gyoza.project.image_plan import ImagePlan
from gyoza.project.renderings import for_buildkit, for_classic

GOLDEN = Path(__file__).parent / "golden"
REWRITE = os.environ.get("GYOZA_GOLDEN") == "write"  # noqa: TID251 - pytest has no settings module


def a_plan(
    *,
    system: tuple[str, ...] = (),
    dependencies: Dependencies | None = None,
    code: tuple[str, ...] = ("hello.py",),
    folders: frozenset[str] = frozenset(),
    labels: tuple[tuple[str, str], ...] = (("org.gyoza.op", "hello"),),
) -> ImagePlan:
    return ImagePlan(
        base="python:3.12-slim",
        system=system,
        dependencies=dependencies or Dependencies(),
        code=code,
        folders=folders,
        entrypoint="hello:greet",
        labels=labels,
    )


PLANS = {
    "plain": a_plan(),
    "system": a_plan(system=("libgomp1", "gdal-bin")),
    "lock": a_plan(
        system=("libgomp1",),
        dependencies=Dependencies(Source.LOCK, ("pyproject.toml", "uv.lock")),
        code=("models", "src", "hello.py"),
        folders=frozenset({"models", "src"}),
    ),
    "requirements": a_plan(
        dependencies=Dependencies(
            Source.REQUIREMENTS, ("requirements.txt", "limits.txt", "more/requirements.txt")
        )
    ),
    "pyproject": a_plan(dependencies=Dependencies(Source.PYPROJECT, ("pyproject.toml",))),
    "script": a_plan(dependencies=Dependencies(Source.SCRIPT, (".gyoza/requirements.txt",))),
    "script-lock": a_plan(
        dependencies=Dependencies(Source.SCRIPT_LOCK, (".gyoza/hello.py", ".gyoza/hello.py.lock"))
    ),
    "odd-names": a_plan(
        code=("a b.py", "c[1].txt", "grüße.py"),
        labels=(("org.gyoza.spec", '{"text":"\\"$HOME\\" \\\\n"}'),),
    ),
}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("render", [for_buildkit, for_classic])
def test_a_plan_is_rendered_word_for_word(name: str, render: Callable[[ImagePlan], str]) -> None:
    golden = GOLDEN / f"{name}.{render.__name__.removeprefix('for_')}"

    rendered = render(PLANS[name])

    if REWRITE:
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_what_changes_least_comes_first_and_code_last(plan: ImagePlan) -> None:
    text = for_buildkit(plan)

    places = [
        text.find(word) for word in ("apt-get install", "uv venv", "/opt/gyoza", "WORKDIR /op\n")
    ]
    present = [place for place in places if place >= 0]
    assert present == sorted(present)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
@pytest.mark.parametrize("render", [for_buildkit, for_classic])
def test_an_image_runs_as_nobody_in_particular(
    plan: ImagePlan, render: Callable[[ImagePlan], str]
) -> None:
    users = [line for line in render(plan).splitlines() if line.startswith("USER")]

    assert users[-1] == "USER 65532:65532"


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_the_classic_builder_is_asked_for_nothing_it_lacks(plan: ImagePlan) -> None:
    text = for_classic(plan)

    assert "--mount" not in text
    assert "# syntax" not in text
