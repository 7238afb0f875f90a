"""Compare a run's outputs with an example's expected ones.

Usage: `compare_outputs.py RUN.json EXPECTED_FOLDER`. The folder holds `output.json` as the op
writes it, and under `files/` each file that it names; the worker has replaced such a name by an
artifact reference, which is compared by checksum. Exit code 1 and one line per difference, if any.
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


def differences(actual: dict[str, Any], folder: Path) -> list[str]:
    """Every output that is missing, unexpected or different, one line each."""
    written = json.loads((folder / "output.json").read_text(encoding="utf-8"))
    expected = {name: as_collected(value, folder) for name, value in written.items()}
    return [
        f"{name}: expected {expected.get(name, 'nothing')}, got {actual.get(name, 'nothing')}"
        for name in sorted(expected.keys() | actual.keys())
        if name not in expected or name not in actual or expected[name] != comparable(actual[name])
    ]


def main() -> None:
    """Compare, print the differences, exit."""
    run = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = differences(run["outputs"], Path(sys.argv[2]))
    for line in found:
        print(line, file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
