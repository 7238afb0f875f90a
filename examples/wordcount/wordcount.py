"""Count the words of a text: an op in plain Python, on the standard library alone.

`count_words` is the function; everything below it is protocol v1, written out by hand to show that
an op needs no library of ours: read `in/input.json`, append to `out/events.jsonl`, write
`out/output.json` by rename.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
HISTOGRAM = "histogram.tsv"
LINES_PER_STEP = 50
BAD_INPUT = 65


@dataclass(frozen=True)
class WordCount:
    """How often each word of a text occurs.

    Attributes:
        counts: Occurrences by lower-case word.
    """

    counts: Counter[str]

    def top(self, limit: int) -> list[dict[str, Any]]:
        """The most frequent words; words as frequent as each other in alphabetical order.

        Args:
            limit: How many words at most.

        Returns:
            A list of `{"word", "count"}`.
        """
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return [{"word": word, "count": count} for word, count in ranked[:limit]]

    def histogram(self) -> str:
        """How many occurrences have each word length: a tab-separated table with a heading."""
        by_length: Counter[int] = Counter()
        for word, count in self.counts.items():
            by_length[len(word)] += count
        rows = [f"{length}\t{by_length[length]}\n" for length in sorted(by_length)]
        return "length\twords\n" + "".join(rows)


def count_words(
    text: str, min_length: int = 1, progress: Callable[[int], None] | None = None
) -> WordCount:
    """Count the words of a text, without regard to case.

    A word is a run of letters of any script, apostrophes inside it included.

    Args:
        text: The text.
        min_length: Words with fewer letters than this are not counted.
        progress: Is told the percentage done, 0 to 100, after every step; None: nobody asks.

    Returns:
        The counts.
    """
    lines = text.splitlines()
    counts: Counter[str] = Counter()
    for start in range(0, len(lines), LINES_PER_STEP):
        for line in lines[start : start + LINES_PER_STEP]:
            words = (word.lower() for word in WORD.findall(line))
            counts.update(word for word in words if len(word) >= min_length)
        if progress is not None:
            progress(min(100, 100 * (start + LINES_PER_STEP) // len(lines)))
    return WordCount(counts)


def write_atomically(path: Path, content: str) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(path)


def stop(signal_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave at once when asked to: nothing is half-written, since outputs appear by rename."""
    sys.exit(128 + signal_number)


def refuse(out: Path, message: str) -> NoReturn:
    """End with the exit code that means "these inputs will never work", and say why."""
    error = {"type": "BadInput", "message": message, "retryable": False}
    write_atomically(out / "error.json", json.dumps(error))
    print(message, file=sys.stderr)
    sys.exit(BAD_INPUT)


def main() -> None:
    """Run the op once, in the folder that the worker mounted."""
    signal.signal(signal.SIGTERM, stop)
    folder = Path(os.environ.get("GYOZA_DIR", "/gyoza"))
    inputs = json.loads((folder / "in" / "input.json").read_text(encoding="utf-8"))
    out = folder / "out"
    if inputs["top"] < 0 or inputs["min_length"] < 1:
        refuse(out, f"top must be 0 or more and min_length 1 or more, not {inputs}")

    with (out / "events.jsonl").open("a", encoding="utf-8", buffering=1) as events:

        def progress(percent: int) -> None:
            events.write(json.dumps({"type": "progress", "msg": percent}) + "\n")

        result = count_words(inputs["text"], inputs["min_length"], progress)

    files = out / "files"
    files.mkdir(exist_ok=True)
    write_atomically(files / HISTOGRAM, result.histogram())
    outputs = {
        "words": result.counts.total(),
        "distinct": len(result.counts),
        "top": result.top(inputs["top"]),
        "histogram": f"files/{HISTOGRAM}",
    }
    write_atomically(out / "output.json", json.dumps(outputs, ensure_ascii=False))
    print(f"counted {outputs['words']} words, {outputs['distinct']} distinct")


if __name__ == "__main__":
    main()
