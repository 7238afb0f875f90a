"""Showing things: tables for people, plain lines for pipes, JSON for programs.

Data goes to standard output, everything else to standard error. What runs and users wrote is
cleaned of terminal escapes before a terminal sees it. Rich is loaded only when a table is drawn.
"""

from __future__ import annotations

import json
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TextIO

# CSI, OSC (title, clipboard, links) and other escape sequences: ECMA-48 section 5.
_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]", re.DOTALL
)
_KEPT: Final = "\n\t"
_STATE_MARKS: Final = {
    "PENDING": ("○", "yellow"),
    "ASSIGNED": ("◔", "cyan"),
    "RUNNING": ("◑", "blue"),
    "COMPLETED": ("●", "green"),
    "FAILED": ("✗", "red"),
    "CANCELLED": ("◌", "magenta"),
    "NEVER": ("⊘", "red"),
}
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400


def clean(text: str) -> str:
    """Return text without what could move a terminal's cursor or do worse."""
    plain = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in plain if c in _KEPT or unicodedata.category(c) not in {"Cc", "Cf"})


def duration(seconds: float) -> str:
    """Return a duration as people say it: 350 ms, 12 s, 3m 20s, 1h 12m, 2d 3h."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR}h"


def counted(count: int, noun: str) -> str:
    """Return how many there are of something: 1 file, 2 files."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago something was, in its largest unit: 40s, 3m, 5h, 12d."""
    seconds = int(max(0.0, (now - moment).total_seconds()))
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


@dataclass(slots=True)
class Output:
    """The two streams, and how to write to them.

    Attributes:
        stdout: For data.
        stderr: For hints, progress and errors.
        is_terminal: Whether `stdout` is a terminal.
        as_json: Whether data is JSON.
        quiet: Whether hints are left out.
        colour: Whether to colour.
    """

    stdout: TextIO
    stderr: TextIO
    is_terminal: bool = False
    as_json: bool = False
    quiet: bool = False
    colour: bool = False

    def data(self, text: str) -> None:
        """Write one line of data."""
        self.stdout.write(f"{clean(text) if self.is_terminal else text}\n")
        self.stdout.flush()

    def raw(self, text: str) -> None:
        """Write a piece of a run's output, cleaned for a terminal, unchanged for a pipe."""
        self.stdout.write(clean(text) if self.is_terminal else text)
        self.stdout.flush()

    def json(self, value: Any) -> None:
        """Write JSON: indented for a terminal, one line for a pipe."""
        self.data(json.dumps(value, ensure_ascii=False, indent=2 if self.is_terminal else None))

    def hint(self, text: str) -> None:
        """Write a line for people to standard error, unless quiet."""
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        """Write a line to standard error in any case."""
        self.stderr.write(f"{clean(text)}\n")
        self.stderr.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write a table: aligned for a terminal, tab-separated and whole for a pipe.

        A column whose name ends in `>` is aligned right; one in `!` is never folded.
        """
        if self.is_terminal:
            self._rich_table(columns, rows)
            return
        self.stdout.write("\t".join(name.rstrip(">!") for name in columns) + "\n")
        for row in rows:
            cells = (clean(cell).replace("\t", " ").replace("\n", " ") for cell in row)
            self.stdout.write("\t".join(cells) + "\n")
        self.stdout.flush()

    def pairs(self, rows: Iterable[tuple[str, str]]) -> None:
        """Write names and values, aligned."""
        kept = [(name, clean(value)) for name, value in rows if value]
        width = max((len(name) for name, _ in kept), default=0)
        for name, value in kept:
            continued = value.replace("\n", "\n" + " " * (width + 2))
            self.stdout.write(f"{name:<{width}}  {continued}\n")
        self.stdout.flush()

    def state(self, state: str, phase: str | None = None, *, never: bool = False) -> str:
        """Return a state as it is shown: a glyph, the word and what refines it.

        Args:
            state: The state.
            phase: What refines it; None when nothing does.
            never: Whether it cannot get out of the state by itself.
        """
        # CANCELLED is a reason, too.
        word = f"{state} ({phase.lower()})" if phase and phase != state else state
        if not self.is_terminal:
            return word
        return f"{_STATE_MARKS.get('NEVER' if never else state, ('?', ''))[0]} {word}"

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        from rich.console import Console

        return Console(file=self.stdout).width

    def paragraph(self, text: str, indent: int = 2) -> None:
        """Write a paragraph: folded for a terminal, one line for a pipe.

        Args:
            text: The paragraph.
            indent: Blanks before its first line; two more stand before the others.
        """
        if not self.is_terminal:
            self.data(f"{' ' * indent}{text}")
            return
        folded = textwrap.fill(
            clean(text),
            self.width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        self.data(folded)

    def _rich_table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in columns:
            right = name.endswith(">")
            table.add_column(
                name.rstrip(">!"),
                justify="right" if right else "left",
                overflow="fold",
                no_wrap=name.endswith("!"),
            )
        for row in rows:
            table.add_row(*(Text(clean(cell), style=_style(cell)) for cell in row))
        Console(file=self.stdout, no_color=not self.colour, highlight=False).print(table)


def _style(cell: str) -> str:
    mark = cell[:1]
    return next((style for glyph, style in _STATE_MARKS.values() if glyph == mark), "")
