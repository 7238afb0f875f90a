"""Following a run from the terminal: the live view, the end, and what Ctrl-C means.

The first Ctrl-C detaches, for the run belongs to the server and not to this process; a second one
within three seconds asks for the run's end.
"""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gyoza.cli.documents import exit_code_of, run_document, why
from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.following_views import LinesView, LiveView, View
from gyoza.cli.output import duration
from gyoza.cli.waiting_views import shown, why_it_waits
from gyoza.client.errors import GyozaError, RunError, WaitTimeout
from gyoza.models import OpRun
from gyoza.models.value_types import ARTIFACT_KEY

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.client import AsyncGyozaClient

_SECOND_PRESS_S: Final = 3.0
_LOOK_S: Final = 1.0
_LAST_LOGS_S: Final = 1.0
_PERSON: Final = "interrupted twice at the terminal"


def follow(run: OpRun, context: Context) -> ExitCode:
    """Follow a run to its end and show what came of it.

    Returns:
        The run's exit code; INTERRUPTED when somebody detached, CLIENT_TIMEOUT after `--timeout`.
    """
    return asyncio.run(_Following(run, context).main())


class _Following:
    def __init__(self, run: OpRun, context: Context) -> None:
        self._run = run
        self._context = context
        self._output = context.output
        self._presses = 0
        self._pressed = asyncio.Event()
        self._changed = asyncio.Event()
        self._view = self._suitable_view()

    async def main(self) -> ExitCode:
        async with self._context.async_client() as client:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGINT, self._press)
            try:
                return await self._follow(client)
            finally:
                loop.remove_signal_handler(signal.SIGINT)

    async def _follow(self, client: AsyncGyozaClient) -> ExitCode:
        timeout = self._context.options.timeout
        end = asyncio.create_task(client.wait_run(self._run.id, timeout=timeout))
        watching = [asyncio.create_task(each) for each in self._watching(client)]
        try:
            with self._view:
                await self._until(end)
                if end.done() and end.exception() is None:
                    await asyncio.wait(watching[:1], timeout=_LAST_LOGS_S)
            if not end.done():
                return await self._detach(client, end)
            return await self._show_end(client, end.result())
        except WaitTimeout as error:
            self._output.error(f"{error}\n{self._next_commands()}")
            return ExitCode.CLIENT_TIMEOUT
        finally:
            for task in (end, *watching):
                task.cancel()
            await asyncio.gather(end, *watching, return_exceptions=True)

    def _watching(self, client: AsyncGyozaClient) -> list[Any]:
        if isinstance(self._view, LiveView):
            return [self._logs(client), self._events(client), self._look(client)]
        return [self._events(client), self._look(client)]

    async def _until(self, end: asyncio.Task[OpRun]) -> None:
        """Return when the run is over or a key was pressed."""
        press = asyncio.create_task(self._pressed.wait())
        await asyncio.wait({end, press}, return_when=asyncio.FIRST_COMPLETED)
        press.cancel()

    async def _logs(self, client: AsyncGyozaClient) -> None:
        async for chunk in client.run_logs(self._run.id, follow=True):
            self._view.log(chunk.text)

    async def _events(self, client: AsyncGyozaClient) -> None:
        async for event in client.run_events(self._run.id, follow=True):
            if event.type == "PROGRESS":
                self._view.progress(int(event.msg))
            else:
                self._changed.set()

    async def _look(self, client: AsyncGyozaClient) -> None:
        """Look at the run when something happened, and every second for its phase."""
        while True:
            with suppress(GyozaError):
                each = shown(await client.get_run_document(self._run.id))
                self._view.update(each.run, why_it_waits(each, self._context.now()))
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the
            # event, as both do at the end of a run, and this would look on for ever.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()
            self._changed.clear()

    def _press(self) -> None:
        self._presses += 1
        self._pressed.set()

    async def _detach(self, client: AsyncGyozaClient, end: asyncio.Task[OpRun]) -> ExitCode:
        self._pressed.clear()
        self._output.error(f"\ndetached; run {self._run.id} goes on\n{self._next_commands()}")
        self._output.hint(f"  Ctrl-C again within {_SECOND_PRESS_S:g} s cancels it")
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECOND_PRESS_S):
                await self._pressed.wait()
            self._pressed.clear()
            await client.cancel_run(self._run.id, reason=_PERSON)
            self._output.error(f"run {self._run.id} was asked to stop")
            await self._until(end)
        return ExitCode.INTERRUPTED

    async def _show_end(self, client: AsyncGyozaClient, run: OpRun) -> ExitCode:
        try:
            outputs = await client.outputs_of(run)
        except RunError as error:
            if self._output.as_json:
                self._output.json(run_document(run))
            self._output.error(f"error: {error}\n  hint: gyoza logs {run.id}; gyoza retry {run.id}")
            return exit_code_of(run)
        self._output.hint(_summary(run))
        self._show_outputs(run, outputs)
        return exit_code_of(run)

    def _show_outputs(self, run: OpRun, outputs: dict[str, Any]) -> None:
        if self._output.as_json:
            self._output.json(run_document(run))
        elif self._output.is_terminal:
            self._output.pairs((name, _shown(value)) for name, value in outputs.items())
        else:
            self._output.json(outputs)

    def _next_commands(self) -> str:
        run_id = self._run.id
        verbs = (f"logs -f {run_id}", f"show {run_id}", f"cancel {run_id}")
        return "\n".join(f"  gyoza {words}" for words in verbs)

    def _suitable_view(self) -> View:
        streams = self._context.streams
        if streams.is_terminal and streams.stderr.isatty() and not self._output.quiet:
            return LiveView(self._output)
        return LinesView(self._output)


def _summary(run: OpRun) -> str:
    spent = run.execution_summary.duration_ms
    attempts = len(run.attempts)
    words = [
        f"{run.id} {run.state.value}",
        "" if spent is None else f"in {duration(spent / 1000)}",
        f"on {run.worker_id}" if run.worker_id else "",
        f"({attempts} attempts)" if attempts > 1 else "",
        why(run),
    ]
    return " ".join(word for word in words if word)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    artifact = value.get(ARTIFACT_KEY) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(artifact, dict):
        return "{name} ({size_bytes} bytes, sha256 {sha256})".format_map(artifact)  # pyright: ignore[reportUnknownArgumentType]
    return json.dumps(value, ensure_ascii=False, indent=2)
