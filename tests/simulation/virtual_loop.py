"""An event loop whose time is a number, and processes in it that can be killed and frozen.

Nothing waits for the machine: when nobody is ready the loop jumps to its next timer. A `Process` is
everything that was begun in its context; killing it drops its callbacks as SIGKILL drops threads,
without a `finally` of theirs being run, and freezing it keeps them until it is thawed. What is
done with processes is the nemesis's business.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
START = datetime(2031, 5, 4, 9, 8, 7, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000


class Deadlock(Exception):
    """Nobody is ready and no timer is set: the world would stand still for ever."""


class Process:
    """What can be killed and frozen as one.

    Attributes:
        name: For the journal.
        tasks: Unfinished ones; kept so that no garbage collection runs a dead task's `finally`.
    """

    def __init__(self, name: str, loop: VirtualLoop) -> None:
        self.name = name
        self.is_alive = True
        self.is_frozen = False
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.on_death: list[Callable[[], None]] = []
        self._loop = loop
        self._kept: list[_Callback] = []

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a task of this process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, self)
        return self._loop.create_task(work, context=context)

    def call(self, fn: Callable[[], T]) -> T:
        """Call a function as this process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, self)
        return context.run(fn)

    def kill(self) -> None:
        """SIGKILL: nothing of it runs from now on."""
        self.is_alive, self.is_frozen = False, False
        self._kept.clear()
        for tell in self.on_death:
            tell()
        self.on_death.clear()

    def freeze(self) -> None:
        """SIGSTOP: nothing of it runs until `thaw`."""
        self.is_frozen = True

    def thaw(self) -> None:
        """SIGCONT: what became due meanwhile runs now, in its order."""
        self.is_frozen = False
        kept, self._kept = self._kept, []
        for each in kept:
            self._loop.call_soon(each.run_unless_cancelled, context=each.context)

    def meet(self, callback: _Callback) -> None:
        """Run a callback of this process, keep it, or drop it."""
        if self.is_frozen:
            self._kept.append(callback)
        elif self.is_alive:
            callback.run()


class _Callback:
    """A callback of a process; its handle knows whether it was cancelled meanwhile."""

    __slots__ = ("_args", "_fn", "context", "handle")

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], context: contextvars.Context
    ) -> None:
        self._fn = fn
        self._args = args
        self.context = context
        self.handle: asyncio.Handle | None = None

    def run_unless_cancelled(self) -> None:
        """What is kept can still be cancelled, by its neighbours at the latest."""
        if self.handle is None or not self.handle.cancelled():
            self.run()

    def run(self) -> None:
        self._fn(*self._args)


class _Jumper:
    """Stands where a loop has its selector: instead of waiting, time goes on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nobody is ready and no timer is set")
        if timeout > 0:
            self._loop.jump()
        return []

    def close(self) -> None: ...


class VirtualLoop(asyncio.BaseEventLoop):
    """One thread, no sockets, time by jumps; work for executors is done on the spot."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _Jumper(self)
        self.all_tasks: dict[asyncio.Task[Any], None] = {}
        self.complaints: list[str] = []
        self.is_buried = False
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self._now

    def jump(self) -> None:
        """Let time pass until the next timer is due."""
        self._now = max(self._now, self._scheduled[0].when())  # pyright: ignore[reportAttributeAccessIssue]

    def bury(self) -> None:
        """Close for good: what is finalised from now on can begin nothing any more."""
        self.is_buried = True
        for task in self.all_tasks:
            private: Any = task
            private._log_destroy_pending = False  # noqa: SLF001 - we know, and mean it
        self.all_tasks.clear()
        self._ready.clear()  # pyright: ignore[reportAttributeAccessIssue]
        self._scheduled.clear()  # pyright: ignore[reportAttributeAccessIssue]
        self.close()

    def create_task(self, coro: Any, **more: Any) -> asyncio.Task[Any]:
        task = super().create_task(coro, **more)
        context = more.get("context")
        process = PROCESS.get() if context is None else context.get(PROCESS)
        for kept in (self.all_tasks, process.tasks if process else self.all_tasks):
            kept[task] = None
            task.add_done_callback(lambda done, kept=kept: kept.pop(done, None))
        return task

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.is_buried:
            return asyncio.Handle(callback, args, self)
        call, process = self._guarded(callback, args, context)
        if process is None:
            return super().call_soon(callback, *args, context=call.context)
        call.handle = super().call_soon(process.meet, call, context=call.context)
        return call.handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        call, process = self._guarded(callback, args, context)
        if process is None:
            return super().call_at(when, callback, *args, context=call.context)
        call.handle = handle = super().call_at(when, process.meet, call, context=call.context)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the future
            future.set_exception(error)
        return future

    def _guarded(
        self, callback: Any, args: tuple[Any, ...], context: Any
    ) -> tuple[_Callback, Process | None]:
        context = contextvars.copy_context() if context is None else context
        return _Callback(callback, args, context), context.get(PROCESS)

    def _note(self, _loop: Any, about: dict[str, Any]) -> None:
        self.complaints.append(f"{about.get('message')}: {about.get('exception')!r}")

    def _process_events(self, event_list: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...


class VirtualClock:
    """Both packages' `Clock` over a virtual loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return START + timedelta(microseconds=self.elapsed_us)

    def now_us(self) -> int:
        return START_US + self.elapsed_us

    @property
    def elapsed_us(self) -> int:
        return round(self._loop.time() * 1_000_000)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))
