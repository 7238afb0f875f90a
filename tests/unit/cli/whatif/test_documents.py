from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.whatif.documents import parse_box, read_case, read_fleet, read_load
from gyoza.server.scheduling.snapshot import Shape
from gyoza.server.whatif.fleet import Box

ROOT = Path(__file__).parents[4]

FLEET = """
workers:
  - {name: cpu-box, count: 3, cpu: 16, ram: 64GiB, tags: {zone: a}}
  - name: gpu-box
    cpu: 32
    ram: 128G
    gpus: [24GiB, 24GiB]
"""
LOAD = """
lasts: 8h
seed: 7
runs:
  - {op: train, per_hour: 6, takes: 40m, spread: 0.5, cpu: 4, ram: 16GiB, vram: 20GiB, owner: ann}
  - {op: tile, per_hour: 100, at_once: 20, takes: 90s, selectors: {zone: a}, priority: 9}
"""


def a_file(folder: Path, content: str, name: str = "file.yml") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def refusal(path: Path) -> CliError:
    with pytest.raises(CliError) as caught:
        read_case(path)
    assert caught.value.exit_code is ExitCode.INVALID
    return caught.value


def test_a_fleet_is_read_in_the_units_people_write(tmp_path: Path) -> None:
    fleet = read_fleet(a_file(tmp_path, FLEET, "now.yml"))

    assert fleet.name == "now"
    assert fleet.boxes == (
        Box("cpu-box", 16, 65_536, tags={"zone": "a"}, count=3),
        Box("gpu-box", 32, 122_071, (24_576, 24_576)),
    )


def test_a_described_load_is_drawn_by_its_seed(tmp_path: Path) -> None:
    path = a_file(tmp_path, LOAD)

    load, again, other = read_load(path).load, read_load(path).load, read_load(path, seed=8).load

    assert load is not None
    assert load == again
    assert load != other
    assert load.span_s == 8 * 3600
    assert {run.shape for run in load.runs if run.op == "train"} == {Shape(4, 16_384, 20_480)}


def test_what_a_class_does_not_say_is_what_the_server_would_take(tmp_path: Path) -> None:
    load = read_load(a_file(tmp_path, "runs: [{per_hour: 9, takes: 1m}]")).load

    assert load is not None
    run = load.runs[0]
    assert (run.shape, run.priority, run.owner) == (Shape(1, 512), 5, None)
    assert load.span_s == 24 * 3600


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("workers: [{cpu: 4, ram: 8GB, gpu: 1}]", "line 1: workers.0.gpu: unknown field"),
        ("workers: [{cpu: 4, rum: 8GB}]", "rum: unknown field; did you mean ram?"),
        ("workers:\n- cpu: 4\n  ram: much", "line 3: workers.0.ram: got 'much', expected a size"),
        ("workers: [{cpu: 4}]", "workers.0.ram: missing"),
        ("workers: [{cpu: 0, ram: 8GB}]", "got 0, expected a whole number of at least 1"),
        ("workers: [{cpu: 4, ram: 8GB, ram_mb: 9}]", "says the same as ram_mb; keep one"),
        ("worker: []", "worker: unknown field; did you mean workers?"),
        ("runs: [{takes: 1m}]", "runs.0.per_hour: missing"),
        ("runs: [{per_hour: 0, takes: 1m}]", "expected a number above 0"),
        ("runs: [{per_hour: 1, takes: soon}]", "expected a duration such as 90s, 10m or 1h30m"),
        ("runs: [{per_hour: 1, takes: 1m, priority: 101}]", "a whole number from 0 to 100"),
        ("runs: [{per_hour: 1e9, takes: 1m}]", "at most 5,000,000 are replayed"),
        (
            "runs: [{op: a, per_hour: 1, takes: 1m}, {op: a, per_hour: 1, takes: 1m}]",
            "two classes are called a; give each a `name`",
        ),
        ("lasts: 1h\nlasts: 2h", "line 2: lasts: given twice, first on line 1"),
        ("- 1", "got [1], expected an object"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_place(
    tmp_path: Path, content: str, said: str
) -> None:
    error = refusal(a_file(tmp_path, content))

    assert said in "\n".join(error.details)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    error = refusal(a_file(tmp_path, "workers: [{cpu: x, ram: y}]\nruns: [{takes: z}]"))

    assert len(error.details) == 4


def test_an_empty_load_is_refused(tmp_path: Path) -> None:
    for content in ("runs: []", "lasts: 1s\nruns: [{per_hour: 0.001, takes: 1m}]"):
        with pytest.raises(CliError, match="is empty: not one run"):
            read_load(a_file(tmp_path, content))


def test_a_fleet_in_place_of_a_load_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="has no `runs`"):
        read_load(a_file(tmp_path, FLEET))


def test_a_load_in_place_of_a_fleet_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="has no `workers`"):
        read_fleet(a_file(tmp_path, LOAD))


def test_a_recording_is_read_line_by_line_from_its_first_run_on(tmp_path: Path) -> None:
    lines = [
        '{"workers": [{"cpu": 4, "ram": "8GiB"}]}',
        '{"submitted_at": "2031-05-04T09:00:10Z", "duration_s": 5, "cpu": 2, "owner": "ann"}',
        "",
        '{"submitted_at": "2031-05-04T09:00:00Z", "duration_s": 0, "ram": "1GiB"}',
    ]

    case = read_load(a_file(tmp_path, "\n".join(lines), "week.jsonl"))

    assert case.load is not None
    assert case.fleet is not None
    assert [run.submitted_s for run in case.load.runs] == [0, 10]
    assert [run.shape for run in case.load.runs] == [Shape(1, 1024), Shape(2, 512)]
    assert case.fleet.boxes == (Box("worker", 4, 8192),)


def test_mistakes_of_a_recording_name_their_line(tmp_path: Path) -> None:
    lines = ['{"submitted_s": 1, "duration_s": 5}', '{"submitted_s": 1, "duration": 5}', "{", "{}"]

    error = refusal(a_file(tmp_path, "\n".join(lines), "week.jsonl"))

    assert [line.partition(":")[0] for line in error.details] == [
        *("line 2", "line 2", "line 3", "line 4")
    ]
    assert "did you mean duration_s?" in error.details[0]


def test_a_long_list_of_mistakes_is_cut(tmp_path: Path) -> None:
    error = refusal(a_file(tmp_path, "{}\n" * 30, "week.jsonl"))

    assert len(error.details) == 11
    assert error.details[-1] == "and 20 more"


@pytest.mark.parametrize(
    ("words", "box"),
    [
        (
            "gpu box: cpu=16 ram=64G gpu=24G x2",
            Box("gpu box", 16, 61_036, (22_889,), count=2),
        ),
        ("cpu=4 ram=8GiB", Box("more", 4, 8_192)),
        (
            "a: cpu=4 ram_mb=800 gpu=24GiBx2,16GiB tag.zone=a",
            Box("a", 4, 800, (24_576, 24_576, 16_384), {"zone": "a"}),
        ),
    ],
)
def test_workers_can_be_said_in_words(words: str, box: Box) -> None:
    assert parse_box(words) == box


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("cpus=4 ram=8GB", "cpus: unknown field; did you mean cpu?"),
        ("cpu=4 ram=8GB two", "got 'two', expected name=value, or how many there are"),
        ("cpu=4 ram=8GB gpu=24GBxx", "expected name=value, or how many there are"),
        ("cpu=4 ram=8GB gpu=big", "gpus.0: got 'big', expected a size"),
        ("", "cpu: missing"),
    ],
)
def test_words_that_are_no_worker_are_told_why(words: str, said: str) -> None:
    with pytest.raises(CliError, match="is no worker") as caught:
        parse_box(words)

    assert said in "\n".join(caught.value.details)


@pytest.mark.parametrize("path", sorted((ROOT / "bench" / "mixes").glob("*.json")), ids=str)
def test_the_mixes_of_the_repository_are_loads_with_their_fleets(path: Path) -> None:
    case = read_load(path)

    assert case.load is not None
    assert case.fleet is not None
    assert 1_000 < len(case.load.runs) <= 10_000
