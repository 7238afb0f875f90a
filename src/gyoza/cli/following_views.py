"""How a followed run looks: one block redrawn in place for people, a line per change elsewhere."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from gyoza.cli.output import Output, clean

if TYPE_CHECKING:
    from gyoza.models import OpRun

LOG_LINES: Final = 5
_REDRAWS_PER_S: Final = 10
_STEP: Final = 10
_FAILURE_CHARS: Final = 300


class View(Protocol):
    """Shows a run while it goes on; a context manager."""

    def update(self, run: OpRun, summary: str) -> None:
        """Take the run as it is now, and why it waits."""
        ...

    def progress(self, percent: int) -> None:
        """Take a progress event."""
        ...

    def log(self, text: str) -> None:
        """Take a piece of output."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def last_failure(run: OpRun) -> str:
    """Return why there is another attempt after the first, short; "" while it is the first."""
    if len(run.attempts) < 2:  # noqa: PLR2004  the current one, and one before it
        return ""
    before = run.attempts[-2]
    if before.reason == "PREEMPTED":
        return f"attempt {before.attempt} made way for a more urgent run; this one waits again"
    words = before.execution_summary.error_message or "no message"
    shown = words if len(words) <= _FAILURE_CHARS else f"{words[:_FAILURE_CHARS]}..."
    return f"attempt {before.attempt} failed: {before.reason or before.state.value}: {shown}"


class LinesView:
    """A line on standard error per change of state and per ten percent."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._said = ""
        self._failure = ""
        self._percent = 0

    def update(self, run: OpRun, summary: str) -> None:
        """Say the state when it changed, and why there is another attempt."""
        del summary
        failure = last_failure(run)
        if failure != self._failure:
            self._failure = failure
            self._output.hint(failure)
        line = f"{run.id} {run.state.value}" + (f" ({run.phase})" if run.phase else "")
        if line != self._said and not run.is_terminal:
            self._said = line
            self._output.hint(line)

    def progress(self, percent: int) -> None:
        """Say every ten percent."""
        if percent >= self._percent + _STEP:
            self._percent = percent
            self._output.hint(f"{percent}%")

    def log(self, text: str) -> None:
        """Output is for `gyoza logs`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing stays open."""


class LiveView:
    """State with phase and reason, a progress bar, the last lines of output; redrawn in place."""

    def __init__(self, output: Output) -> None:
        from rich.console import Console
        from rich.live import Live

        self._output = output
        self._head = ""
        self._summary = ""
        self._failure = ""
        self._percent = 0
        self._started = False
        self._lines: deque[str] = deque([""], maxlen=LOG_LINES + 1)
        console = Console(file=output.stderr, no_color=not output.colour, highlight=False)
        self._live = Live(
            console=console,
            transient=True,
            refresh_per_second=_REDRAWS_PER_S,
            get_renderable=self._block,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def update(self, run: OpRun, summary: str) -> None:
        """Take the run as it is now, and why it waits."""
        where = f" on {run.worker_id}" if run.worker_id else ""
        number = run.current_attempt.attempt
        attempt = f", attempt {number}" if number > 1 else ""
        state = self._output.state(run.state.value, run.phase)
        self._head = f"{run.id}  {state}{where}{attempt}"
        self._summary = summary
        self._failure = last_failure(run)
        self._percent = run.progress
        self._started = run.state.value == "RUNNING"

    def progress(self, percent: int) -> None:
        """Take a progress event."""
        self._percent = percent

    def log(self, text: str) -> None:
        """Take a piece of output; it may end in the middle of a line."""
        first, *more = clean(text).split("\n")
        self._lines[-1] += first
        self._lines.extend(more)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def _block(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        parts: list[Any] = [Text(clean(self._head))]
        if self._summary:
            parts.append(Text(f"  waits: {clean(self._summary)}", style="yellow"))
        if self._failure:
            parts.append(Text(f"  {clean(self._failure)}", style="yellow"))
        if self._started:
            parts.append(ProgressBar(total=100, completed=self._percent, width=40))
        lines = [line for line in self._lines if line][-LOG_LINES:]
        shown = (
            Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in lines
        )
        return Group(*parts, *shown)
