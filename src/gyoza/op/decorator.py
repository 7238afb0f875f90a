"""`@op`: marks a function or class as an op and notes what it needs.

The function stays what it is; only one that takes a `Context` gets it filled in when nobody passes
one. Specs are derived later, in `spec`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast, overload

from gyoza.op.current import current_context
from gyoza.op.quantities import megabytes, seconds

Target = TypeVar("Target", bound=Callable[..., Any])
_MARK: Final = "__gyoza_op__"


@dataclass(frozen=True)
class Needs:
    """What an op says of itself beside its types, in the words of an OpDefinition.

    Attributes:
        constraints: `cpu`, `ram_mb`, `vram_mb`.
        retry_policy: `max_attempts`.
        execution: `timeouts`, `grace_s`, `network`, `disk_mb`.
    """

    constraints: dict[str, Any] = field(default_factory=dict[str, Any])
    retry_policy: dict[str, Any] = field(default_factory=dict[str, Any])
    execution: dict[str, Any] = field(default_factory=dict[str, Any])


@overload
def op(target: Target, /) -> Target: ...


@overload
def op(
    *,
    cpu: int | None = None,
    ram: str | int | None = None,
    vram: str | int | None = None,
    timeout: str | float | None = None,
    retries: int | None = None,
    grace: str | float | None = None,
    network: bool | None = None,
    disk: str | int | None = None,
) -> Callable[[Target], Target]: ...


def op(  # noqa: PLR0913 - each is one thing an op may need
    target: Callable[..., Any] | None = None,
    /,
    *,
    cpu: int | None = None,
    ram: str | int | None = None,
    vram: str | int | None = None,
    timeout: str | float | None = None,
    retries: int | None = None,
    grace: str | float | None = None,
    network: bool | None = None,
    disk: str | int | None = None,
) -> Any:
    """Mark a typed function, or a class with `run()` and perhaps `setup()`, as an op.

    Whatever is left out is for `gyoza.yml` or the server's defaults to say.

    Args:
        target: The function or class, when used without parentheses.
        cpu: CPU cores.
        ram: Main memory, such as "2GiB"; a bare number is megabytes.
        vram: Memory of one GPU; without it the op sees no GPU.
        timeout: Longest time an attempt may run, such as "10m"; a bare number is seconds.
        retries: Attempts after the first that a failing run gets.
        grace: Time between being asked to stop and being killed, at most two minutes.
        network: Whether the op may reach the network.
        disk: Most it may write as outputs.

    Raises:
        ValueError: A size or duration cannot be read, or a number is out of its range.
    """
    needs = Needs(
        constraints=_given(
            cpu=_whole("cpu", cpu, 1), ram_mb=_read(megabytes, ram), vram_mb=_read(megabytes, vram)
        ),
        retry_policy=_given(
            max_attempts=None if retries is None else (_whole("retries", retries, 0) or 0) + 1
        ),
        execution=_given(
            timeouts=None if timeout is None else {"run_s": seconds(timeout)},
            grace_s=_read(seconds, grace),
            network=network,
            disk_mb=_read(megabytes, disk),
        ),
    )

    def mark(marked: Callable[..., Any]) -> Callable[..., Any]:
        return _marked(marked, needs)

    return mark if target is None else mark(target)


def needs_of(target: object) -> Needs | None:
    """What an op noted with `@op`; None for what is not marked."""
    return cast("Needs | None", vars(target).get(_MARK) if hasattr(target, "__dict__") else None)


def _marked(target: Callable[..., Any], needs: Needs) -> Callable[..., Any]:
    if not callable(target):
        raise TypeError(f"@op marks a function or a class, got {target!r}")
    if isinstance(target, type):
        run = vars(target).get("run")
        if callable(run):
            setattr(target, "run", _with_context(run))  # noqa: B010 - types hide class attributes
        found: Callable[..., Any] = target
    else:
        found = _with_context(target)
    setattr(found, _MARK, needs)
    return found


def _with_context(function: Callable[..., Any]) -> Callable[..., Any]:
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if _is_context(parameter.annotation)
    ]
    if not names:
        return function

    @functools.wraps(function)
    def filled(*args: Any, **kwargs: Any) -> Any:
        bound = inspect.signature(function).bind_partial(*args, **kwargs)
        missing = {name: current_context() for name in names if name not in bound.arguments}
        return function(*args, **kwargs, **missing)

    return filled


def _is_context(annotation: Any) -> bool:
    # Postponed hints are text until the module is complete; that is too late for a decorator.
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__qualname__", "")
    return text.rpartition(".")[2] == "Context"


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _read(read: Callable[[str | float], Any], value: str | float | None) -> Any:
    return None if value is None else read(value)


def _whole(name: str, value: int | None, least: int) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (is_whole and value >= least):
        raise ValueError(f"{name}={value!r}: expected a whole number from {least}")
    return value
