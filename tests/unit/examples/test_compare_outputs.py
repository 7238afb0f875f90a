"""The comparison that decides whether `scripts/quickstart --once` succeeded."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
TABLE = "length\twords\n"


def compare(
    folder: Path,
    outputs: dict[str, Any],
    written: dict[str, Any] | None = None,
    tolerances: dict[str, Any] | None = None,
) -> subprocess.CompletedProcess[str]:
    expected = folder / "expected"
    (expected / "files").mkdir(parents=True)
    (expected / "files" / "table.tsv").write_text(TABLE, encoding="utf-8")
    written = written or {"words": 3, "table": "files/table.tsv"}
    (expected / "output.json").write_text(json.dumps(written), encoding="utf-8")
    if tolerances is not None:
        (expected / "tolerances.json").write_text(json.dumps(tolerances), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"outputs": outputs}), encoding="utf-8")
    return subprocess.run(
        [
            sys.executable,
            str(ROOT / "scripts" / "lib" / "compare_outputs.py"),
            str(folder / "run.json"),
            str(expected),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def artifact(content: str) -> dict[str, Any]:
    digest = hashlib.sha256(content.encode()).hexdigest()
    return {"$artifact": {"sha256": digest, "size_bytes": len(content), "name": "table.tsv"}}


def test_equal_values_and_a_file_of_the_same_checksum_are_accepted(tmp_path: Path) -> None:
    ended = compare(tmp_path, {"words": 3, "table": artifact(TABLE)})

    assert (ended.returncode, ended.stderr) == (0, "")


def test_each_difference_is_named(tmp_path: Path) -> None:
    ended = compare(tmp_path, {"words": 4, "table": artifact("other"), "more": 1})

    named = [line.split(":")[0] for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert named == ["more", "table", "words"]


def test_a_missing_output_is_a_difference(tmp_path: Path) -> None:
    ended = compare(tmp_path, {"table": artifact(TABLE)})

    assert ended.returncode == 1
    assert ended.stderr.startswith("words: expected 3, got nothing")


NEAR = {
    "words": 4,
    "bins": [1.4, 1.6],
    "list": [4, 5],
    "table": {"$artifact": {"sha256": "0" * 64, "size_bytes": 7}},
}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, []),
        ({"words": 5}, ["words"]),
        ({"bins": [1.6, 2.0]}, ["bins"]),
        ({"bins": [1.0]}, ["bins"]),
        ({"list": None}, ["list"]),
        ({"table": "files/table.tsv"}, []),
        ({"table": {"$artifact": {"sha256": "0" * 64, "size_bytes": 0}}}, ["table"]),
    ],
)
def test_numbers_may_be_off_as_far_as_is_said_and_no_further(
    tmp_path: Path, changed: dict[str, Any], named: list[str]
) -> None:
    expected = {"words": 3, "bins": [1.0, 2.0], "list": [1], "table": "files/table.tsv"}
    tolerances = {"words": 1, "bins": 0.5, "list": None, "table": None}

    ended = compare(tmp_path, {**NEAR, **changed}, expected, tolerances)

    assert [line.split(":")[0] for line in ended.stderr.splitlines()] == named
    assert ended.returncode == bool(named)
