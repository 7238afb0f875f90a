"""A story: commands as typed, and what they print; files it needs stand below it.

    # words for the reader
    $ gyoza op list
    OP	VERSION...
    ! what went to standard error
    [5]                          the exit code, when it is not 0

    --- gyoza.yml
    id: ...

    $ gyoza dev hello &          goes on beside the commands that follow
    & what it says next; waited for

    $ sed -i s/a/b/ FILE         the one other command: an edit

`...` stands for anything within a line, and alone on a line for any lines. Trailing blanks and
blank lines around an answer count for nothing.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Step:
    """One command and its expected answer.

    Attributes:
        line: Where it stands, from 1.
        words: What follows `gyoza`.
        stdin: What is piped into it, from `$ echo TEXT | gyoza ...`.
        answer: Its lines.
        code: Its exit code.
        program: gyoza or sed.
        goes_on: Whether it stays beside the commands that follow.
        aside: Lines that the command beside says after this one.
    """

    line: int
    words: list[str]
    stdin: str = ""
    answer: list[str] = field(default_factory=list)
    code: int = 0
    program: str = "gyoza"
    goes_on: bool = False
    aside: list[str] = field(default_factory=list)

    @property
    def typed(self) -> str:
        """The command as it is typed."""
        return shlex.join([self.program, *self.words]) + (" &" if self.goes_on else "")


@dataclass
class Story:
    """A parsed story."""

    steps: list[Step]
    files: dict[str, str]


def read_story(path: Path) -> Story:
    """Read a story's commands and files."""
    text = path.read_text(encoding="utf-8")
    script, *files = re.split(r"^--- (?=\S+$)", text, flags=re.MULTILINE)
    steps: list[Step] = []
    for number, line in enumerate(script.splitlines(), 1):
        if line.startswith("$ "):
            steps.append(_step(number, line[2:]))
        elif re.fullmatch(r"\[\d+\]", line):
            steps[-1].code = int(line[1:-1])
        elif line.startswith("& "):
            steps[-1].aside.append(line[2:].rstrip())
        elif line and not line.startswith("#"):
            steps[-1].answer.append(line.rstrip())
    return Story(steps, dict(file.split("\n", 1) for file in files))


def matches(expected: list[str], said: list[str]) -> bool:
    """Whether an answer is what the story expects."""
    lines = [r"(?:.*\n)*?" if line == "..." else _pattern(line) + r"\n" for line in expected]
    text = "".join(f"{line.rstrip()}\n" for line in said if line.strip())
    return re.fullmatch("".join(lines), text) is not None


def _pattern(line: str) -> str:
    return r"[^\n]*".join(re.escape(part) for part in line.split("..."))


def _step(number: int, command: str) -> Step:
    words = shlex.split(command)
    stdin = ""
    if "|" in words:
        at = words.index("|")
        echo, *said = words[:at]
        assert echo == "echo", f"line {number}: only echo is piped"
        stdin, words = " ".join(said) + "\n", words[at + 1 :]
    assert words[0] in {"gyoza", "sed"}, f"line {number}: only gyoza and sed are run"
    goes_on = words[-1] == "&"
    arguments = words[1:-1] if goes_on else words[1:]
    return Step(number, arguments, stdin, program=words[0], goes_on=goes_on)
