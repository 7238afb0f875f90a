"""The published schema and the reader agree about what may stand in a gyoza.yml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import jsonschema
import pytest
import yaml

from gyoza.models import Constraints, Execution, RetryPolicy, Timeouts
from gyoza.project import ProjectError, read_project
from gyoza.project.file_schema import file_schema

ROOT: Final = Path(__file__).parents[3]
PUBLISHED: Final = ROOT / "docs" / "reference" / "gyoza.schema.json"

TAKEN: Final = [
    "",
    "version: 1.10",
    "image: words:1",
    "description: Counts.",
    "inputs: {a: string, b: {type: int, default: 1, required: true, schema: {minimum: 0}}}",
    "inputs: {a: {type: Tile, schema: null, description: ''}}",
    "outputs: {a: string, b: {type: file, description: A table.}}",
    "constraints: {cpu: 1, ram: 2GB, vram: 8 GiB}",
    "constraints: {cpu: null, ram: null, vram: null}",
    "constraints: {cpu: 1, ram_mb: 512, vram_mb: 0}",
    "constraints: {ram: 512, vram: 1.5gb}",
    "retry: {max_attempts: 3, backoff: 1.5s}",
    "retry: {backoff_ms: 0}",
    "events: {topic: '', attributes: {a: [1]}}",
    "execution: {command: [sh, -c, x], network: true, selectors: {zone: attic}}",
    "execution: {run_timeout: 10m, queue_timeout: 1h30m, pull_timeout: 90, total_timeout: 2d}",
    "execution: {run_timeout: null, pull_idle_timeout: 500ms}",
    "execution: {timeouts: {run_s: 1, queue_s: null}}",
    "execution: {run_timeout: 1m, timeouts: {queue_s: 5}}",
    "execution: {grace: 2m, disk: 10GB}",
    "execution: {grace_s: 0, disk_mb: 1, concurrency: null, warm: {}}",
    "entrypoint: a.b:c",
    'build: {base: python:3.12-slim, python: "3.12", system: [libgomp1, libgdal32:amd64=1.2]}',
]
REFUSED: Final = [
    "id: Not An Id",
    "version: ''",
    "version: null",
    "image: ''",
    "imag: x",
    "description: 1",
    "inputs: []",
    "inputs: {a: 1}",
    "inputs: {a: ''}",
    "inputs: {a: {required: true}}",
    "inputs: {a: {type: int, requird: false}}",
    "outputs: {a: {type: int, default: 1}}",
    "constraints: {cpu: 0}",
    "constraints: {cpu: 1.5}",
    "constraints: {cpu: true}",
    "constraints: {ram_mb: 5}",
    "constraints: {ram: 2 potatoes}",
    "constraints: {ram: 0}",
    "constraints: {ram: 0GB}",
    "constraints: {ram: true}",
    "constraints: {ram: 2GB, ram_mb: 2000}",
    "constraints: {vram: 8GB, vram_mb: 8000}",
    "retry: {max_attempts: 0}",
    "retry: {backoff: soon}",
    "retry: {backoff: 1s, backoff_ms: 1000}",
    "events: {attributes: []}",
    "execution: {run_timeout: 10 minutes}",
    "execution: {run_timeout: 1m 30}",
    "execution: {run_timeout: -1}",
    "execution: {run_timeout: 1m, timeouts: {run_s: 60}}",
    "execution: {timeouts: {run: 1m}}",
    "execution: {grace: 1s, grace_s: 1}",
    "execution: {grace_s: 121}",
    "execution: {grace: null}",
    "execution: {disk: 1GB, disk_mb: 1000}",
    "execution: {disk_mb: 0}",
    "execution: {selectors: {zone: 1}}",
    "execution: {command: sh}",
    "entrypoint: a",
    "build: {python: 3.12}",
    "build: {base: 'a b'}",
    "build: {system: libgomp1}",
    "build: {system: [a b]}",
]


def whole(text: str) -> str:
    given = {line.partition(":")[0] for line in text.splitlines()}
    rest = "".join(f"{name}: '1'\n" for name in ("id", "version") if name not in given)
    return f"{rest}{text}\n"


def reads(tmp_path: Path, text: str) -> bool:
    (tmp_path / "gyoza.yml").write_text(text, encoding="utf-8")
    try:
        read_project(tmp_path)
    except ProjectError:
        return False
    return True


def fits(text: str) -> bool:
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("text", TAKEN)
def test_what_the_reader_takes_an_editor_takes(tmp_path: Path, text: str) -> None:
    assert (reads(tmp_path, whole(text)), fits(whole(text))) == (True, True)


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_reader_refuses_an_editor_refuses(tmp_path: Path, text: str) -> None:
    assert (reads(tmp_path, whole(text)), fits(whole(text))) == (False, False)


@pytest.mark.parametrize("text", ["execution: {grace: 121s}", "constraints: {ram: 1kB}"])
def test_bounds_of_sizes_and_durations_only_the_reader_knows(tmp_path: Path, text: str) -> None:
    assert (reads(tmp_path, whole(text)), fits(whole(text))) == (False, True)


@pytest.mark.parametrize("missing", ["id: a", "version: '1'"])
def test_what_is_missing_both_miss(tmp_path: Path, missing: str) -> None:
    assert (reads(tmp_path, missing), fits(missing)) == (False, False)


@pytest.mark.parametrize(
    "file",
    sorted([*ROOT.glob("examples/*/gyoza.yml"), *ROOT.glob("src/gyoza/project/templates/*/*.yml")]),
    ids=lambda path: path.parent.name,
)
def test_every_project_that_is_shipped_fits(file: Path) -> None:
    assert fits(file.read_text(encoding="utf-8").replace("{{name}}", "shipped"))


def test_the_published_schema_is_the_readers() -> None:
    jsonschema.Draft202012Validator.check_schema(file_schema())

    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert published == file_schema(), "run `uv run just docs`"


def test_sizes_and_durations_reach_the_models_fields(tmp_path: Path) -> None:
    text = """\
constraints: {cpu: 2, ram: 2GiB, vram: 8GB}
retry: {backoff: 1.5s}
execution: {run_timeout: 10m, queue_timeout: null, grace: 1m, disk: 1TiB, timeouts: {pull_s: 9}}
"""
    (tmp_path / "gyoza.yml").write_text(whole(text))

    read = read_project(tmp_path)

    assert read.constraints == Constraints(2, 2048, 7630)
    assert read.retry == RetryPolicy(1, 1500)
    timeouts = Timeouts(queue_s=None, pull_s=9, run_s=600)
    assert read.execution == Execution(timeouts=timeouts, grace_s=60, disk_mb=1048576)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("constraints: {ram: 2GB, ram_mb: 2000}", "constraints.ram: says the same as ram_mb"),
        ("constraints: {ram: much}", "got 'much', expected a size such as 512MiB or 8GB or null"),
        ("constraints: {cpu: 0}", "got 0, expected a whole number of at least 1 or null"),
        ("execution: {grace: 5m}", "got '5m', expected a duration of at most 120s"),
        ("execution: {run_timeout: 1m, timeouts: {run_s: 1}}", "the same as timeouts.run_s"),
    ],
)
def test_a_refusal_says_what_was_expected_and_on_which_line(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "gyoza.yml").write_text(f"id: a\nversion: '1'\n{text}\n")

    with pytest.raises(ProjectError) as refusal:
        read_project(tmp_path)

    assert "gyoza.yml:3: " in str(refusal.value)
    assert words in str(refusal.value)
