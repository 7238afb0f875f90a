"""A run in the caller's hands: look, wait, follow, act. In both colours, one line per method.

A handle keeps the run as last seen; only methods ask the server, never properties. A test compares
the two classes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from gyoza.client.files import AsyncFileRef, FileRef, with_file_refs
from gyoza.models import OpRun, OpRunState
from gyoza.wire.messages import ArtifactRef, Event, JsonObject, LogChunk

if TYPE_CHECKING:
    from gyoza.client.async_client import AsyncGyozaClient
    from gyoza.client.sync_client import GyozaClient


class _Seen:
    """The run as last seen."""

    def __init__(self, run: OpRun | str) -> None:
        self._id = run if isinstance(run, str) else run.id
        self._run = None if isinstance(run, str) else run

    @property
    def id(self) -> str:
        """Id of the run."""
        return self._id

    @property
    def last_seen(self) -> OpRun:
        """The run as it was when the server was last asked.

        Raises:
            LookupError: The server was not asked yet; call `refresh()`.
        """
        if self._run is None:
            raise LookupError(f"run {self._id} was not looked at yet; call refresh() first")
        return self._run

    @property
    def state(self) -> OpRunState:
        """Its state when last seen."""
        return self.last_seen.state

    @property
    def progress(self) -> int:
        """Its current attempt's percentage when last seen."""
        return self.last_seen.progress

    @property
    def is_over(self) -> bool:
        """Whether it was over when last seen."""
        return self.last_seen.is_terminal

    def _note(self, run: OpRun) -> OpRun:
        self._run = run
        self._id = run.id
        return run


class RunHandle(_Seen):
    """A run in the caller's hands."""

    def __init__(self, client: GyozaClient, run: OpRun | str) -> None:
        super().__init__(run)
        self._client = client

    def refresh(self) -> OpRun:
        """Look at the run again and return it."""
        return self._note(self._client.get_run(self.id))

    def wait(self, timeout: float | None = None) -> OpRun:
        """Return the run once it is over, whatever its end.

        Args:
            timeout: Seconds; None waits as long as it takes.

        Raises:
            WaitTimeout: It is not over yet; it goes on.
        """
        return self._note(self._client.wait_run(self.id, timeout=timeout))

    def result(self, timeout: float | None = None) -> JsonObject:
        """Return the run's outputs once it has completed; each file in them as a FileRef.

        `last_seen.outputs` has them as the plain JSON that they are.

        Args:
            timeout: Seconds; None waits as long as it takes.

        Raises:
            RunFailed: With reason, message and its last log lines.
            RunCancelled: Somebody cancelled it.
            WaitTimeout: It is not over yet; it goes on.
        """
        self.wait(timeout)
        outputs = self._client.outputs_of(self.last_seen)
        return with_file_refs(outputs, lambda reference: FileRef(self._client, reference))

    def events(self, *, follow: bool = True, after: int = 0) -> Iterator[Event]:
        """Iterate over the run's events in order.

        Args:
            follow: Whether to go on until the run is over.
            after: Only events numbered above.
        """
        return self._client.run_events(self.id, follow=follow, after=after)

    def logs(
        self, *, follow: bool = True, attempt: int | None = None, tail: int | None = None
    ) -> Iterator[LogChunk]:
        """Iterate over the output of one attempt, in order.

        Args:
            follow: Whether to go on until the run is over.
            attempt: Its number; None is the current one.
            tail: Begin with the last so many chunks; None begins at the beginning.
        """
        return self._client.run_logs(self.id, follow=follow, attempt=attempt, tail=tail)

    def artifacts(self) -> list[ArtifactRef]:
        """Return which files the run left."""
        return self._client.run_artifacts(self.id)

    def explain(self) -> JsonObject:
        """Return why the run is where it is."""
        return self._client.explain(self.id)

    def cancel(self, *, reason: str = "") -> OpRun:
        """Ask for the run to end.

        Args:
            reason: Shown to people.

        Raises:
            Conflict: It has completed or failed already.
        """
        return self._note(self._client.cancel_run(self.id, reason=reason))

    def retry(self) -> OpRun:
        """Give the run a new attempt, once it has failed or was cancelled.

        Raises:
            Conflict: It is not over, or it has completed.
        """
        return self._note(self._client.retry_run(self.id))


class AsyncRunHandle(_Seen):
    """A run in the caller's hands."""

    def __init__(self, client: AsyncGyozaClient, run: OpRun | str) -> None:
        super().__init__(run)
        self._client = client

    async def refresh(self) -> OpRun:
        """Look at the run again and return it."""
        return self._note(await self._client.get_run(self.id))

    async def wait(self, timeout: float | None = None) -> OpRun:
        """Return the run once it is over, whatever its end.

        Args:
            timeout: Seconds; None waits as long as it takes.

        Raises:
            WaitTimeout: It is not over yet; it goes on.
        """
        return self._note(await self._client.wait_run(self.id, timeout=timeout))

    async def result(self, timeout: float | None = None) -> JsonObject:
        """Return the run's outputs once it has completed; each file in them as a FileRef.

        `last_seen.outputs` has them as the plain JSON that they are.

        Args:
            timeout: Seconds; None waits as long as it takes.

        Raises:
            RunFailed: With reason, message and its last log lines.
            RunCancelled: Somebody cancelled it.
            WaitTimeout: It is not over yet; it goes on.
        """
        await self.wait(timeout)
        outputs = await self._client.outputs_of(self.last_seen)
        return with_file_refs(outputs, lambda reference: AsyncFileRef(self._client, reference))

    def events(self, *, follow: bool = True, after: int = 0) -> AsyncIterator[Event]:
        """Iterate over the run's events in order.

        Args:
            follow: Whether to go on until the run is over.
            after: Only events numbered above.
        """
        return self._client.run_events(self.id, follow=follow, after=after)

    def logs(
        self, *, follow: bool = True, attempt: int | None = None, tail: int | None = None
    ) -> AsyncIterator[LogChunk]:
        """Iterate over the output of one attempt, in order.

        Args:
            follow: Whether to go on until the run is over.
            attempt: Its number; None is the current one.
            tail: Begin with the last so many chunks; None begins at the beginning.
        """
        return self._client.run_logs(self.id, follow=follow, attempt=attempt, tail=tail)

    async def artifacts(self) -> list[ArtifactRef]:
        """Return which files the run left."""
        return await self._client.run_artifacts(self.id)

    async def explain(self) -> JsonObject:
        """Return why the run is where it is."""
        return await self._client.explain(self.id)

    async def cancel(self, *, reason: str = "") -> OpRun:
        """Ask for the run to end.

        Args:
            reason: Shown to people.

        Raises:
            Conflict: It has completed or failed already.
        """
        return self._note(await self._client.cancel_run(self.id, reason=reason))

    async def retry(self) -> OpRun:
        """Give the run a new attempt, once it has failed or was cancelled.

        Raises:
            Conflict: It is not over, or it has completed.
        """
        return self._note(await self._client.retry_run(self.id))
