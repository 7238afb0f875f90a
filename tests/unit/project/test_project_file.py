from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.models import Constraints, Execution, InputSpec, OutputSpec, RetryPolicy, Timeouts
from gyoza.project import Project, ProjectError, read_project
from gyoza.project.project_file import find_project_file

FULL = """\
id: wordcount
version: 1.10
image: words:1
description: Counts words.
inputs:
  text: string
  top: {type: integer, default: 10, description: How many.}
  scale:
    type: float
    required: false
    schema: {minimum: 0}
outputs:
  words: integer
  table: {type: file, description: A table.}
constraints: {cpu: 2, ram_mb: 256, vram_mb: 8000}
retry: {max_attempts: 3, backoff_ms: 500}
events: {topic: words, attributes: {team: geo}}
execution:
  command: [sh, -c, "echo hi"]
  timeouts: {queue_s: 10, pull_s: 20, pull_idle_s: 5, run_s: 30, total_s: 60}
  grace_s: 20
  network: true
  disk_mb: 100
  selectors: {zone: attic}
  concurrency: {key: db, limit: 1}
"""


def project(tmp_path: Path, text: str) -> Project:
    (tmp_path / "gyoza.yml").write_text(text, encoding="utf-8")
    return read_project(tmp_path)


def problems(tmp_path: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ProjectError) as caught:
        project(tmp_path, text)
    return [(p.line, ".".join(p.path), p.text) for p in caught.value.problems]


def test_every_key_reaches_the_definition(tmp_path: Path) -> None:
    op = project(tmp_path, FULL).definition(image_digest="sha256:1")

    assert (op.id, op.version, op.image, op.image_digest) == (
        "wordcount",
        "1.10",
        "words:1",
        "sha256:1",
    )
    assert op.input_specs.specs["text"] == InputSpec("string")
    assert op.input_specs.specs["top"] == InputSpec("integer", False, 10, None, "How many.")
    assert op.input_specs.specs["scale"].schema == {"minimum": 0}
    assert op.output_specs.specs["table"] == OutputSpec("file", None, "A table.")
    assert op.constraints == Constraints(2, 256, 8000)
    assert op.retry_policy == RetryPolicy(3, 500)
    assert op.event_delivery.to_dict() == {"topic": "words", "attributes": {"team": "geo"}}
    assert op.execution == Execution(
        command=("sh", "-c", "echo hi"),
        timeouts=Timeouts(10, 20, 5, 30, 60),
        grace_s=20,
        network=True,
        disk_mb=100,
        selectors={"zone": "attic"},
        concurrency={"key": "db", "limit": 1},
    )


def test_all_problems_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """\
id: Bad Id
inputs:
  n: {type: integer, requird: false}
constraint: {cpu: 1}
retry: {max_attempts: 0}
execution:
  timeouts: {run_s: -1}
"""

    found = problems(tmp_path, text)

    assert [(line, where) for line, where, _ in found] == [
        (1, "id"),
        (1, "version"),
        (3, "inputs.n.requird"),
        (4, "constraint"),
        (5, "retry.max_attempts"),
        (7, "execution.timeouts.run_s"),
    ]


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("constraint: {}", "constraints"),
        ("excution: {}", "execution"),
        ("constraints: {ram_m: 1}", "ram_mb"),
        ("execution: {run_timeuot: 1m}", "run_timeout"),
        ("execution: {timeouts: {runs: 1}}", "run_s"),
        ("inputs: {a: {typ: string}}", "type"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_valid_name(
    tmp_path: Path, written: str, near: str
) -> None:
    text = f"id: a\nversion: '1'\n{written}\n"

    assert any(f"did you mean {near}?" in why for _, _, why in problems(tmp_path, text))


def test_a_default_makes_an_input_optional_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    text = "id: a\nversion: '1'\ninputs: {x: {type: int, default: 1, required: true}}\n"

    assert project(tmp_path, text).inputs.specs["x"].required


def test_the_image_may_come_from_outside_but_must_come(tmp_path: Path) -> None:
    read = project(tmp_path, "id: a\nversion: '1'\n")

    assert read.definition(image="other:2").image == "other:2"
    with pytest.raises(ProjectError, match="pass --image"):
        read.definition()


def test_a_folder_without_a_project_file_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no gyoza.yml in this folder"):
        read_project(tmp_path)
    with pytest.raises(ProjectError, match="no such file or folder"):
        read_project(tmp_path / "absent")


def test_a_folder_of_one_file_projects_is_answered_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("x = 1\n")
    (tmp_path / "greet.py").write_text("# /// script\n# dependencies = []\n# ///\n")

    with pytest.raises(ProjectError) as refused:
        find_project_file(tmp_path)

    assert str(refused.value).endswith(f"the file's name: {tmp_path / 'greet.py'}")


def test_the_file_can_be_named_itself(tmp_path: Path) -> None:
    file = tmp_path / "other.yml"
    file.write_text("id: a\nversion: '1'\n", encoding="utf-8")

    assert read_project(file).id == "a"


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n", "3\n"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "gyoza.yml").write_bytes(b"id: \xff\xfe")

    with pytest.raises(ProjectError, match="not UTF-8"):
        read_project(tmp_path)


def test_a_project_may_say_what_its_image_runs_and_how_it_is_built(tmp_path: Path) -> None:
    (tmp_path / "gyoza.yml").write_text(
        "id: hello\nversion: 1.0.0\nentrypoint: hello:greet\n"
        'build: {python: "3.12", system: [libgomp1]}\n'
    )

    project = read_project(tmp_path)

    assert project.entrypoint == "hello:greet"
    assert project.build.system == ("libgomp1",)
