"""How a run without a server looks: the view of followed runs, with its output beside it."""

from __future__ import annotations

import json
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.following_views import LinesView, LiveView, View
from gyoza.cli.output import Output, clean, counted, duration

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.models import OpRun
    from gyoza.testing.attempts import Order
    from gyoza.testing.results import RunResult
    from gyoza.wire.messages import ReportedEvent

_HERE: Final = "this machine"
_TAIL_LINES: Final = 20
_TIMEOUTS: Final = {"RUN_TIMEOUT", "TOTAL_TIMEOUT"}


class LocalView:
    """Feeds the view of a followed run from an attempt on this machine."""

    def __init__(self, order: Order, context: Context) -> None:
        from gyoza.models import OpRun

        self._output = context.output
        self._run: OpRun = OpRun.create(
            order.definition.image, id=order.run_id or None, now=context.now()
        )
        self._run.assign(_HERE, now=context.now())
        self._context = context
        self._view = _suitable(context)

    def __enter__(self) -> Self:
        self._view.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._view.__exit__(kind, error, trace)

    def phase(self, name: str) -> None:
        """See `Watcher.phase`."""
        # Report and phase come together: what started in this report is past its phase.
        if self._run.state.value == "ASSIGNED" or name == "STOPPING":
            self._run.phase = name
            self._view.update(self._run, "")

    def event(self, event: ReportedEvent) -> None:
        """See `Watcher.event`."""
        from gyoza.models import EventType

        now = self._context.now()
        if event.type == "STARTED":
            self._run.add_event(EventType.STARTED, str(event.msg), now=now)
            self._run.phase = None
        elif event.type == "PROGRESS":
            self._run.add_event(EventType.PROGRESS, int(event.msg), now=now)
            self._view.progress(int(event.msg))
        elif event.type == "ERROR":
            self._output.hint(f"error event: {event.msg}")
        self._view.update(self._run, "")

    def log(self, stream: str, text: str) -> None:
        """See `Watcher.log`."""
        self._view.log(text)
        # There is no `gyoza logs` for this run: what a lines view leaves out is shown here.
        if isinstance(self._view, LinesView) and not self._output.quiet:
            self._output.stderr.write(clean(text))
            self._output.stderr.flush()


def show_end(result: RunResult, order: Order, context: Context) -> ExitCode:
    """Show what came of a run and return what the command ends with."""
    output = context.output
    if output.as_json:
        output.json(result.to_dict())
    if result.outcome == "COMPLETED":
        output.hint(f"COMPLETED{_figures(result)}")
        _show_outputs(result, output)
    else:
        _show_failure(result, output)
    if result.files:
        output.hint(f"{counted(len(result.files), 'file')} in {order.folder}")
    return exit_code_of(result)


def exit_code_of(result: RunResult) -> ExitCode:
    """Return the code that `gyoza run` would end with on a server."""
    if result.outcome == "COMPLETED":
        return ExitCode.OK
    if result.outcome == "CANCELLED":
        is_ours = result.message.startswith("--timeout")
        return ExitCode.CLIENT_TIMEOUT if is_ours else ExitCode.RUN_CANCELLED
    return ExitCode.RUN_TIMED_OUT if result.reason in _TIMEOUTS else ExitCode.RUN_FAILED


def _show_outputs(result: RunResult, output: Output) -> None:
    outputs: dict[str, Any] = result.to_dict()["outputs"]
    if output.as_json:
        return
    if output.is_terminal:
        output.pairs((name, _shown(value)) for name, value in outputs.items())
    else:
        output.json(outputs)


def _show_failure(result: RunResult, output: Output) -> None:
    lines = result.logs.splitlines()[-_TAIL_LINES:]
    if output.is_terminal:
        for line in lines:
            output.error(f"  | {line}")
    output.error(f"error: {result.outcome} {result.reason or ''}: {result.message}".rstrip(": "))


def _figures(result: RunResult) -> str:
    spent, peak = result.duration_ms, result.peak_memory_mb
    took = "" if spent is None else f" in {duration(spent / 1000)}"
    return f"{took}, {peak:.0f} MB at most" if peak is not None else took


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _suitable(context: Context) -> View:
    streams, output = context.streams, context.output
    if streams.is_terminal and streams.stderr.isatty() and not output.quiet:
        return LiveView(output)
    return LinesView(output)
