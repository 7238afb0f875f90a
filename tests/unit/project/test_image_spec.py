from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gyoza.project import Project, ProjectError, read_project
from gyoza.project.image_plan import SPEC_LABEL
from gyoza.project.image_spec import completed

CODE = {
    "protocol": 1,
    "title": "Adds.",
    "input_specs": {"a": {"type": "integer", "schema": {"type": "integer"}}},
    "output_specs": {"result": {"type": "integer"}},
    "constraints": {"cpu": 2},
}


def labels(spec: Any) -> dict[str, str]:
    return {SPEC_LABEL: json.dumps(spec)}


def project(tmp_path: Path, more: str = "") -> Project:
    (tmp_path / "gyoza.yml").write_text(f"id: add\nversion: 1.0.0\nimage: add:1\n{more}")
    return read_project(tmp_path)


def test_what_the_file_leaves_out_comes_from_the_code(tmp_path: Path) -> None:
    whole = completed(project(tmp_path), labels(CODE))

    assert whole.inputs.specs["a"].schema == {"type": "integer"}
    assert list(whole.outputs.specs) == ["result"]
    assert whole.constraints.cpu == 2


def test_what_the_file_says_of_resources_wins_over_the_code(tmp_path: Path) -> None:
    whole = completed(project(tmp_path, "constraints: {cpu: 4}\n"), labels(CODE))

    assert whole.constraints.cpu == 4


def test_an_image_that_gyoza_did_not_build_adds_nothing(tmp_path: Path) -> None:
    read = project(tmp_path)

    assert completed(read, {"maintainer": "me"}) == read


def test_a_contradiction_between_file_and_code_names_both(tmp_path: Path) -> None:
    read = project(tmp_path, "inputs: {a: string, b: string}\n")

    with pytest.raises(ProjectError) as refusal:
        completed(read, labels(CODE))

    assert "inputs.a: gyoza.yml says string, the code in the image says integer" in str(
        refusal.value
    )
    assert "inputs.b: gyoza.yml says string, the code in the image says nothing of it" in str(
        refusal.value
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"input_specs": {"a": {"type": 1}}}'])
def test_a_label_that_cannot_be_read_says_to_build_again(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProjectError, match="build it again"):
        completed(project(tmp_path), {SPEC_LABEL: text})
