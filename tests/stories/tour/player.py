"""Plays a story with real processes: the commands as typed, and one that goes on beside them."""

from __future__ import annotations

import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.stories.stage import GYOZA
from tests.stories.story import Step, Story, matches

STEP_S: Final = 120.0
END_S: Final = 30.0


class Mismatch(AssertionError):
    """A command did not answer as the story says."""


class Player:
    """Plays a story in a folder.

    Args:
        folder: Where the commands are typed; holds all that they write.
        environment: Of the commands.
        show: Takes each line: what is typed, and what is answered.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], show: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._environment = {
            **environment,
            "XDG_STATE_HOME": str(folder / ".state"),
            "XDG_DATA_HOME": str(folder / ".data"),
        }
        self._show = show
        self._beside: Beside | None = None

    def play(self, story: Story) -> None:
        """Play every step.

        Raises:
            Mismatch: At the first answer that is another.
        """
        with self._ending():
            for step in story.steps:
                self._show(f"$ {step.typed}")
                if step.goes_on:
                    self._beside = Beside(self._start(step, subprocess.STDOUT), self._show)
                else:
                    self._answer(step)
                if step.aside:
                    assert self._beside is not None, f"line {step.line}: nothing goes on beside"
                    self._beside.expect(step)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
            if self._beside is not None:
                assert self._beside.end() == 0
        finally:
            if self._beside is not None:
                self._beside.kill()

    def _answer(self, step: Step) -> None:
        process = self._start(step, subprocess.PIPE)
        try:
            out, err = process.communicate(step.stdin or None, timeout=STEP_S)
        finally:
            process.kill()
        said = [*out.splitlines(), *(f"! {line}" for line in err.splitlines())]
        for line in said:
            self._show(line)
        # Hints for people may come and go with the machine: only those that the story names count.
        heard = said if any(line.startswith("! ") for line in step.answer) else out.splitlines()
        if process.returncode != step.code or not matches(step.answer, heard):
            raise Mismatch(_told(step, said, process.returncode))

    def _start(self, step: Step, stderr: int) -> subprocess.Popen[str]:
        program = [*GYOZA] if step.program == "gyoza" else [step.program]
        return subprocess.Popen(
            [*program, *step.words],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE if step.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


class Beside:
    """A command that goes on, and what it has said that nobody has waited for."""

    def __init__(self, process: subprocess.Popen[str], show: Callable[[str], None]) -> None:
        self._process = process
        self._show = show
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def expect(self, step: Step) -> None:
        """Wait until it has said what a step names.

        Raises:
            Mismatch: It says other things, or nothing for two minutes.
        """
        said: list[str] = []
        while not matches(step.aside, said):
            try:
                line = self._lines.get(timeout=STEP_S)
            except queue.Empty:
                line = None
            if line is None:
                raise Mismatch(_told(step, said, self._process.poll()))
            self._show(f"& {line}")
            said.append(line)

    def end(self) -> int:
        """Press Ctrl-C, and return its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(END_S)

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.wait()
        self._listening.join(END_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


def _told(step: Step, said: list[str], code: int | None) -> str:
    heard = "\n".join(said)
    wanted = "\n".join(step.aside or step.answer)
    return f"line {step.line}: {step.typed}\nexit code {code}, said:\n{heard}\nexpected:\n{wanted}"
