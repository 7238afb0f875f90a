"""What the edit loop says: a line for each save, its differences below; JSON for programs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gyoza.cli.output import Output, duration
from gyoza.project.changes import changes_in_words
from gyoza.project.compatibility import breaking_changes

if TYPE_CHECKING:
    from gyoza.cli.watching.updates import Deployed, Refused
    from gyoza.models import OpDefinition
    from gyoza.project.build_progress import Step

_STEP_WIDTH: Final = 64
_OF_EVERY_SAVE: Final = ("version", "image", "image_digest")


@dataclass(slots=True)
class Telling:
    """Tells people, or programs; several projects take turns.

    Attributes:
        output: Where to.
    """

    output: Output
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def building(self, tag: str) -> Building:
        """Return who is told of a build; it says nothing while nothing is built."""
        return Building(self, tag)

    def deployed(self, told: Deployed, seconds: float, *, is_save: bool) -> None:
        """Say which version is the current one, how long it took, and what is different.

        Args:
            told: What became of the save.
            seconds: Since the save, or since the start.
            is_save: Whether somebody saved.
        """
        op = told.definition
        changes = differences(told.before, op)
        if self.output.as_json:
            self._json(
                op=op.id,
                version=op.version,
                seconds=round(seconds, 3),
                is_save=is_save,
                was_built=told.was_built,
                changes=changes,
            )
            return
        since = "after the save" if is_save else "after the start"
        how = "image built" if told.was_built else "nothing to build"
        lines = [
            f"{op.id} {op.version} is deployed, {duration(seconds)} {since} ({how})",
            *(f"  {change}" for change in changes),
        ]
        self._lines(lines if is_save else [*lines, f"  run it: {how_to_run(op)}"])

    def refused(self, path: str, told: Refused) -> None:
        """Say why a save became no version, and which one stays."""
        if self.output.as_json:
            fault = told.fault
            self._json(path=path, error=fault.message, lines=fault.lines, kept=told.kept)
            return
        stays = "nothing is deployed yet" if told.kept is None else f"{told.kept} stays"
        lines = [told.fault.message, *(f"  | {line}" for line in told.fault.lines)]
        self._lines([f"error: {path}: {lines[0]}", *lines[1:], f"  {stays}"])

    def hint(self, text: str) -> None:
        """Say something to people."""
        with self._turn:
            self.output.hint(text)

    def _lines(self, lines: list[str]) -> None:
        with self._turn:
            for line in lines:
                self.output.data(line)

    def _json(self, **members: Any) -> None:
        with self._turn:
            self.output.json(members)


@dataclass(slots=True)
class Building:
    """Says how one build goes on.

    Attributes:
        telling: Where to.
        tag: What is built.
        has_begun: Whether a step was told of.
    """

    telling: Telling
    tag: str
    has_begun: bool = False

    def step(self, step: Step) -> None:
        """Take an instruction of the Dockerfile that was carried out."""
        if not self.has_begun:
            self.telling.hint(f"Building {self.tag}")
            self.has_begun = True
        text = step.text
        if len(text) > _STEP_WIDTH:
            text = f"{text[: _STEP_WIDTH - 1]}…"
        took = "cached" if step.is_cached else duration(step.seconds)
        self.telling.hint(f"  {text:<{_STEP_WIDTH}}  {took:>8}")

    def stage(self, name: str, seconds: float, detail: str) -> None:
        """Take a stage that is over: its steps have said what there is to say."""


def differences(before: OpDefinition | None, after: OpDefinition) -> list[str]:
    """Return what differs between two versions, apart from how their images are made. Pure.

    Args:
        before: None when the op is new: then all of it is, and nothing is told.
        after: The version now.
    """
    if before is None:
        return []
    changes = changes_in_words(before, after)
    breaking = breaking_changes(before, after)
    return [
        *(str(change) for change in changes if change.name not in _OF_EVERY_SAVE),
        *(f"! BREAKING {each.place}: {each.text}" for each in breaking),
    ]


def how_to_run(op: OpDefinition) -> str:
    """Return the command that runs an op, with what it needs."""
    needed = [name for name, spec in op.input_specs.specs.items() if spec.required]
    return " ".join([f"gyoza run {op.id}", *(f"-i {name}=..." for name in needed)])
