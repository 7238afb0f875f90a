"""One watched project: a thread that makes a version of each save until it is told to stop."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gyoza.cli.failures import failure_of
from gyoza.cli.watching.retention import remove_old
from gyoza.cli.watching.saves import saves
from gyoza.cli.watching.updates import Deployed, Refused
from gyoza.project.development import Fault

if TYPE_CHECKING:
    from gyoza.cli.watching.updates import Updates


@dataclass(slots=True)
class Watch:
    """Watches one project.

    Args:
        updates: Makes the versions.

    Attributes:
        error: What ended it; None while it goes on, and after `stop`.
    """

    updates: Updates
    error: Exception | None = None
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def start(self) -> None:
        """Deploy the project as it is, then at each save."""
        # A build that is under way must not hold the command's end back.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end."""
        self._ending.set()

    def join(self, timeout_s: float) -> None:
        """Wait for its end, for so long at most."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        context, path = self.updates.context, self.updates.path
        try:
            for saved_at_s in saves(path, self._ending, lambda: context.now().timestamp()):
                self._react(saved_at_s)
        except Exception as error:  # noqa: BLE001  the thread of the command tells of it
            self.error = error

    def _react(self, saved_at_s: float | None) -> None:
        context = self.updates.context
        began_s = context.now().timestamp() if saved_at_s is None else saved_at_s
        told = self._update()
        if self._ending.is_set():
            return
        telling = self.updates.telling
        if isinstance(told, Refused):
            telling.refused(str(self.updates.path), told)
        elif told is not None:
            seconds = max(0.0, context.now().timestamp() - began_s)
            telling.deployed(told, seconds, is_save=saved_at_s is not None)
            self._remove_old(told)

    def _update(self) -> Deployed | Refused | None:
        try:
            return self.updates.update()
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            self.updates.forget()
            kept = self.updates.last
            lines = (*failure.details, *filter(None, [failure.hint]))
            return Refused(Fault(failure.message, lines), None if kept is None else kept.version)

    def _remove_old(self, told: Deployed) -> None:
        from gyoza.client.errors import GyozaError

        updates = self.updates
        op_id = told.definition.id
        try:
            remove_old(
                op_id, updates.sources, updates.snapshots(op_id), updates.client, updates.engine
            )
        except GyozaError:
            return  # at the next save
