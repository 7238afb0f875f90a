"""What can be wrong with an op project, as one error with every problem and its line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a project file.

    Attributes:
        line: Counted from 1; 0 when the whole file is meant.
        path: The keys from the top down to the value, () for the whole file.
        text: What is wrong, and what was expected.
    """

    line: int
    path: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        where = ".".join(self.path)
        return f"{where}: {self.text}" if where else self.text


class ProjectError(Exception):
    """A project file that cannot be used.

    Attributes:
        file: Which file.
        problems: Everything wrong with it, by line.
    """

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        super().__init__(file, problems)
        self.file = file
        self.problems = sorted(problems, key=lambda problem: problem.line)

    def __str__(self) -> str:
        return "\n".join(
            f"{self.file}:{problem.line}: {problem}" if problem.line else f"{self.file}: {problem}"
            for problem in self.problems
        )
