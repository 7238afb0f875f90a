"""The project files of the examples say what the parser takes, and agree with what lies beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gyoza.project import read_project

EXAMPLES = sorted(
    path.parent for path in (Path(__file__).parents[3] / "examples").glob("*/gyoza.yml")
)


# An entrypoint declares its outputs in code, whose packages are only in its image.
DECLARED = [path for path in EXAMPLES if read_project(path).outputs.specs]


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.name)
def example(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_there_are_examples() -> None:
    assert EXAMPLES


def test_the_image_carries_the_version_of_the_op(example: Path) -> None:
    project = read_project(example)

    assert project.image is not None
    assert project.image.endswith(f":{project.version}")


@pytest.mark.parametrize("example", DECLARED, ids=lambda path: path.name)
def test_the_expected_outputs_are_the_declared_ones(example: Path) -> None:
    project = read_project(example)
    expected = json.loads((example / "expected" / "output.json").read_text(encoding="utf-8"))

    assert expected.keys() == project.outputs.specs.keys()


def test_an_expected_file_lies_where_the_outputs_name_it(example: Path) -> None:
    project = read_project(example)
    expected = json.loads((example / "expected" / "output.json").read_text(encoding="utf-8"))

    named = [expected[name] for name, spec in project.outputs.specs.items() if spec.type == "file"]
    assert [name for name in named if not (example / "expected" / name).is_file()] == []
