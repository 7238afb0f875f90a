"""What `gyoza --help` costs, against an interpreter that does nothing.

One pair is `gyoza --help` by the installed script and `python -c pass` by the same interpreter, in
an order that alternates; the other verbs' pages are measured once each side by side, for scale.
The target is under three bare interpreter starts. Usage: just bench startup [pairs, default 60]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.statistics_of_pairs import describe, ratio_of_medians

WARM_UP = 5
TARGET = 3.0
BARE = [sys.executable, "-c", "pass"]
GYOZA = [str(Path(sys.executable).with_name("gyoza"))]


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    for words in (["--version"], ["run", "--help"]):
        pairs = measure([*GYOZA, *words], max(10, count // 4))
        print(describe(f"gyoza {' '.join(words)}", [first for first, _ in pairs]))
        print(f"  ratio to the bare interpreter: {ratio_of_medians(pairs)}")
    pairs = measure([*GYOZA, "--help"], count)
    print(describe("gyoza --help", [first for first, _ in pairs]))
    print(describe("python -c pass", [second for _, second in pairs]))
    print(f"modules imported for it: {modules_of_help()}")
    ratio = ratio_of_medians(pairs)
    verdict = "under" if ratio.value < TARGET else "NOT under"
    print(f"ratio gyoza --help / bare interpreter: {ratio}, {verdict} the target of {TARGET:g}")


def measure(command: list[str], count: int) -> list[tuple[float, float]]:
    """Time a command and the bare interpreter in turn; milliseconds."""
    for _ in range(WARM_UP):
        took_ms(command)
        took_ms(BARE)
    pairs: list[tuple[float, float]] = []
    for index in range(count):
        if index % 2:
            second, first = took_ms(BARE), took_ms(command)
        else:
            first, second = took_ms(command), took_ms(BARE)
        pairs.append((first, second))
    return pairs


def took_ms(command: list[str]) -> float:
    """Run a command to its end, its output thrown away."""
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begin) * 1000


def modules_of_help() -> int:
    """How many modules the page of help takes, beyond those of the bare interpreter."""
    call = "import gyoza.cli.app; gyoza.cli.app.main(['--help'])"
    program = f"import sys; before = len(sys.modules); {call}; print(len(sys.modules) - before)"
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(printed.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
