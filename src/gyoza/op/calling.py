"""Calls an op, whatever kind of function it is, and hands on what it yields on the way."""

from __future__ import annotations

import asyncio
import inspect
from collections import abc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

from gyoza.op.cancellation import Cancellation
from gyoza.op.context import Context
from gyoza.op.spec import OpSpec, context_names


def bound(spec: OpSpec, context: Context) -> Callable[..., Any]:
    """Return what is called for a run: the function, or `run` of an instance that is set up."""
    if not isinstance(spec.target, type):
        return spec.run
    instance: Any = spec.target()
    setup = getattr(instance, "setup", None)
    if setup is not None:
        made = setup(**dict.fromkeys(context_names(setup), context))
        if inspect.isawaitable(made):
            run_async(made, context.cancellation)
    return cast("Callable[..., Any]", instance.run)


def call(
    function: Callable[..., Any],
    positional: list[Any],
    named: dict[str, Any],
    *,
    streams: bool,
    on_part: Callable[[Any], None],
    cancellation: Cancellation,
) -> Any:
    """Call the function and return its result; for a generator, what it returns at its end.

    Args:
        function: Plain, async, or a generator of either kind.
        positional: Arguments by place.
        named: Arguments by name.
        streams: Whether the result is iterated; a plain list stays one value otherwise.
        on_part: Called with each value that is yielded.
        cancellation: Interrupts what is awaited.
    """
    result = function(*positional, **named)
    if inspect.isawaitable(result):
        result = run_async(result, cancellation)
    if not streams:
        return result
    if isinstance(result, abc.AsyncIterable):
        parts = cast("AsyncIterator[Any]", result)
        return run_async(_drain_async(parts, on_part), cancellation)
    return _drain(iter(cast("abc.Iterable[Any]", result)), on_part)


def run_async(awaitable: Awaitable[Any], cancellation: Cancellation) -> Any:
    """Run on a loop of its own; being told to stop cancels the task.

    Raises:
        Cancelled: The op was told to stop and its task ended because of it.
    """

    async def supervised() -> Any:
        task = asyncio.ensure_future(awaitable)
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            loop.call_soon_threadsafe(task.cancel)

        cancellation.interrupt_by(interrupt)
        return await task

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        if cancellation.is_requested:
            raise cancellation.error() from None
        raise
    finally:
        cancellation.interrupt_by(None)


def _drain(parts: Iterator[Any], on_part: Callable[[Any], None]) -> Any:
    while True:
        try:
            part = next(parts)
        except StopIteration as end:
            return end.value
        on_part(part)


async def _drain_async(parts: AsyncIterator[Any], on_part: Callable[[Any], None]) -> None:
    async for part in parts:
        on_part(part)
