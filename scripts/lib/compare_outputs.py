"""Compare a run's outputs with an example's expected ones.

Usage: `compare_outputs.py RUN.json EXPECTED_FOLDER`. The folder holds `output.json` as the op
writes it, and under `files/` each file that it names; the worker has replaced such a name by an
artifact reference, which is compared by checksum. `tolerances.json` beside it, if there is one,
names outputs that need not be the same: a number is how far each number of the output may be off,
null asks only that the output is there, a file that it has a content. Exit code 1 and one line per
difference, if any.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def as_collected(value: Any, folder: Path) -> Any:
    """The expected value as the worker hands it on: a file as its checksum.

    Args:
        value: An output as the op writes it.
        folder: The folder of expected results.
    """
    if isinstance(value, str) and value.startswith("files/") and (folder / value).is_file():
        return {"sha256": hashlib.sha256((folder / value).read_bytes()).hexdigest()}
    return value


def comparable(value: Any) -> Any:
    """An actual output reduced to what is compared: a file's checksum, else the value itself."""
    if isinstance(value, dict) and "$artifact" in value:
        return {"sha256": value["$artifact"]["sha256"]}
    return value


def is_near(expected: Any, actual: Any, tolerance: float | None) -> bool:
    """Whether an output is as expected, within a tolerance.

    Args:
        expected: As the op writes it.
        actual: As the worker hands it on.
        tolerance: How far numbers may be off; None takes any output of the same kind.
    """
    if isinstance(actual, dict) and "$artifact" in actual:
        return isinstance(expected, str) and actual["$artifact"]["size_bytes"] > 0
    if tolerance is None:
        return type(expected) is type(actual)
    if isinstance(expected, list) and isinstance(actual, list):
        pairs = zip(expected, actual, strict=False)
        return len(expected) == len(actual) and all(is_near(*pair, tolerance) for pair in pairs)
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return abs(expected - actual) <= tolerance
    return expected == actual


def differences(actual: dict[str, Any], folder: Path) -> list[str]:
    """Every output that is missing, unexpected or different, one line each."""
    written = read(folder / "output.json")
    tolerances = read(folder / "tolerances.json") if (folder / "tolerances.json").exists() else {}

    def is_as_expected(name: str) -> bool:
        if name not in written or name not in actual:
            return False
        if name in tolerances:
            return is_near(written[name], actual[name], tolerances[name])
        return as_collected(written[name], folder) == comparable(actual[name])

    return [
        f"{name}: expected {as_collected(written.get(name, 'nothing'), folder)}, "
        f"got {actual.get(name, 'nothing')}"
        for name in sorted(written.keys() | actual.keys())
        if not is_as_expected(name)
    ]


def read(path: Path) -> dict[str, Any]:
    """Read a JSON document."""
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Compare, print the differences, exit."""
    found = differences(read(Path(sys.argv[1]))["outputs"], Path(sys.argv[2]))
    for line in found:
        print(line, file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
