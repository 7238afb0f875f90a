from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gyoza.models import OutputSpecs
from gyoza.op.files import file_schema
from gyoza.worker.execution.input_files import safe_name
from gyoza.worker.execution.outputs import (
    OverDiskLimit,
    Unacceptable,
    file_path,
    read_document,
    read_error,
    shown_part,
)
from gyoza.worker.execution.stages.resolve_image import candidates

FILE = OutputSpecs.from_dict({"f": {"type": "file"}})
A_FILE = file_schema()


def left(out: Path, values: dict[str, Any], *files: str) -> None:
    (out / "files").mkdir()
    for name in files:
        (out / "files" / name).write_text(name)
    (out / "output.json").write_text(json.dumps(values))


@pytest.mark.parametrize("value", ["a.txt", "./a.txt", "/gyoza/out/files/a.txt"])
def test_a_file_output_may_be_named_from_inside_or_relative(value: str) -> None:
    assert file_path(value) == "a.txt"


@pytest.mark.parametrize("value", ["a.txt", "files/a.txt", "/gyoza/out/files/a.txt"])
def test_a_file_output_names_a_file_as_authors_see_it(tmp_path: Path, value: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("x")
    (tmp_path / "output.json").write_text(f'{{"f": "{value}"}}')

    document = read_document(tmp_path, FILE, disk_mb=10)

    assert document.file_outputs == {("f",): "a.txt"}


@pytest.mark.parametrize(
    "value",
    [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "/gyoza/out/output.json",
        "/gyoza/out/files/../output.json",
        "/gyoza/out/files//etc/passwd",
        "",
        ".",
        "a//b",
        7,
        None,
        {"$artifact": {"sha256": "0" * 64}},
    ],
)
def test_a_file_output_cannot_name_anything_else(value: Any) -> None:
    with pytest.raises(Unacceptable):
        file_path(value)


def test_files_are_found_wherever_the_schema_has_them_and_nowhere_else(tmp_path: Path) -> None:
    page = {"type": "object", "properties": {"scan": A_FILE, "note": {"type": "string"}}}
    specs = OutputSpecs.from_dict(
        {
            "pages": {"type": "array", "schema": {"type": "array", "items": page}},
            "mask": {"type": "any", "schema": {"anyOf": [A_FILE, {"type": "null"}]}},
            "none": {"type": "any", "schema": {"anyOf": [A_FILE, {"type": "null"}]}},
            "text": {"type": "string"},
        }
    )
    values = {
        "pages": [{"scan": "files/a", "note": "files/a"}, {"note": "b"}],
        "mask": "b",
        "none": None,
        "text": "files/a",
    }
    left(tmp_path, values, "a", "b")

    document = read_document(tmp_path, specs, disk_mb=10)

    assert document.file_outputs == {("pages", 0, "scan"): "a", ("mask",): "b"}
    assert document.values_with({"a": {"$artifact": 1}, "b": {"$artifact": 2}}) == {
        "pages": [{"scan": {"$artifact": 1}, "note": "files/a"}, {"note": "b"}],
        "mask": {"$artifact": 2},
        "none": None,
        "text": "files/a",
    }


def test_a_bad_file_inside_of_an_output_is_named_by_its_place(tmp_path: Path) -> None:
    specs = OutputSpecs.from_dict({"l": {"type": "array", "schema": {"items": A_FILE}}})
    left(tmp_path, {"l": ["a", "gone", {"$artifact": {}}]}, "a")

    with pytest.raises(Unacceptable) as refusal:
        read_document(tmp_path, specs, disk_mb=10)

    assert "/l/1: there is no file out/files/gone" in str(refusal.value)
    assert "/l/2: got " in str(refusal.value)


def test_a_file_nested_so_deep_that_no_reference_fits_is_refused(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"$defs": {"t": {"anyOf": [A_FILE, {"items": {"$ref": "#/$defs/t"}}]}}}
    specs = OutputSpecs.from_dict({"t": {"type": "any", "schema": {**tree, "$ref": "#/$defs/t"}}})
    value: Any = "a"
    for _ in range(54):
        value = [value]
    left(tmp_path, {"t": value}, "a")

    with pytest.raises(Unacceptable, match="deeper than 54 levels"):
        read_document(tmp_path, specs, disk_mb=10)


def test_every_bad_file_output_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "output.json").write_text('{"f": "nothing", "g": "../x"}')
    specs = OutputSpecs.from_dict({"f": {"type": "file"}, "g": {"type": "file"}})

    with pytest.raises(Unacceptable) as refusal:
        read_document(tmp_path, specs, disk_mb=10)

    assert "/f: there is no file out/files/nothing" in str(refusal.value)
    assert "/g: " in str(refusal.value)


def test_a_huge_output_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "output.json").write_bytes(b'"' + b"x" * 1024 * 1024 + b'"')

    with pytest.raises(Unacceptable, match="out/files/ and declare that output with type file"):
        read_document(tmp_path, OutputSpecs(), disk_mb=10)


def test_files_that_claim_more_than_the_limit_are_not_sent(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with (tmp_path / "files" / "sparse").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(OverDiskLimit):
        read_document(tmp_path, OutputSpecs(), disk_mb=10)


def test_a_folder_of_files_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "files").symlink_to("/etc")

    with pytest.raises(Unacceptable, match="out/files/"):
        read_document(tmp_path, FILE, disk_mb=10)


def test_an_error_document_is_read_as_far_as_it_makes_sense(tmp_path: Path) -> None:
    (tmp_path / "error.json").write_text(
        '{"type": "E", "message": 7, "retryable": "no", "retry_after_ms": 1e3, "details": [1]}'
    )

    error = read_error(tmp_path)

    assert error is not None
    assert (error.type, error.message, error.retryable) == ("E", "", None)
    assert (error.retry_after_ms, error.details) == (None, [1])


@pytest.mark.parametrize("content", ["{", "[]", "NaN"])
def test_an_unreadable_error_document_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "error.json").write_text(content)

    assert read_error(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("a b;c.txt", "a_b_c.txt"),
        ("..", "file"),
        ("", "file"),
        ("C:\\x\\y.csv", "y.csv"),
        ("-rf", "rf"),
        ("ü.png", "_.png"),
    ],
)
def test_a_file_inputs_name_is_made_harmless(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("image", "digest", "expected"),
    [
        ("r.io:5000/a/b:1", None, ["r.io:5000/a/b:1"]),
        ("r.io:5000/a/b:1", "sha256:aa", ["sha256:aa", "r.io:5000/a/b@sha256:aa"]),
        ("a", "a@sha256:aa", ["a@sha256:aa"]),
    ],
)
def test_an_image_is_looked_for_by_its_digest_first(
    image: str, digest: str | None, expected: list[str]
) -> None:
    assert candidates(image, digest) == expected


A_STREAM = {
    "result": {
        "type": "array",
        "schema": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"page": {"type": "string", "format": "gyoza-file"}},
            },
        },
    },
    "file": {"type": "file"},
    "words": {"type": "array"},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("result", {"page": "files/1.png"}),
        ("result", [{"page": "files/1.png"}]),
        ("file", "files/1.png"),
    ],
)
def test_a_partial_output_with_files_is_told_of_without_its_value(name: str, value: Any) -> None:
    payload = {"kind": "output", "name": name, "number": 1, "value": value}

    shown = shown_part(payload, OutputSpecs.from_dict(A_STREAM))

    assert "value" not in shown
    assert (shown["name"], shown["number"]) == (name, 1)
    assert "stored when the op has ended" in shown["left_out"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("result", {"n": 1}), ("words", "files/1.png"), ("undeclared", "files/1.png")],
)
def test_a_partial_output_without_files_is_told_as_it_is(name: str, value: Any) -> None:
    payload = {"kind": "output", "name": name, "value": value}

    assert shown_part(payload, OutputSpecs.from_dict(A_STREAM)) == payload
