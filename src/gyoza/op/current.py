"""`progress`, `log`, `metric` and `cancelled`: an op's words to the run that it works for.

Outside of a container there is no run: then progress is a line on stderr for whoever watches a
terminal, and everything else is silent.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gyoza.op import protocol
from gyoza.op.context import Context
from gyoza.op.emitter import Emitter

_FULL: Final = 100
_ROUNDING: Final = 1e-6
_LOGGING_OWN: Final = ("exc_info", "stack_info", "stacklevel", "extra")


@dataclass
class Current:
    """The run that this process works for.

    Attributes:
        context: What is known of it.
        emitter: Where its events go.
        is_real: Whether there is one at all.
    """

    context: Context = field(default_factory=Context)
    emitter: Emitter = field(default_factory=lambda: Emitter(None))
    is_real: bool = False


_current: list[Current] = [Current()]


@contextlib.contextmanager
def working_for(current: Current) -> Generator[Current, None, None]:
    """Make this the run that the process works for, for the length of the block."""
    _current.append(current)
    try:
        yield current
    finally:
        _current.remove(current)


def current_context() -> Context:
    """The context of the run that this process works for."""
    return _current[-1].context


def cancelled() -> bool:
    """Whether the op shall stop. An op that asks is not interrupted: it has to end by itself."""
    return current_context().cancelled()


def progress(
    done: float, message: str = "", *, total: float | None = None, **figures: float
) -> None:
    """Tell how far the work is.

    At most ten a second are written; the last always is.

    Args:
        done: The fraction done, from 0 to 1; with `total`, how many of them.
        message: What is going on, for people.
        total: How much there is to do in all.
        figures: Numbers worth drawing, by name.

    Raises:
        ValueError: Not a fraction, or no `total` above 0.
        Cancelled: The op shall stop.
    """
    current = _current[-1]
    current.context.cancellation.check()
    fraction = _fraction(done, total)
    payload: dict[str, Any] = {"message": message} if message else {}
    payload |= {name: _plain(value) for name, value in figures.items()}
    event = {"type": protocol.PROGRESS, "msg": math.floor(fraction * _FULL + _ROUNDING)}
    current.emitter.progress({**event, "payload": payload} if payload else event)
    if not current.is_real and sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(f"{event['msg']:3} % {message}\n")


def metric(name: str, value: float, **figures: float) -> None:
    """Record a number.

    Args:
        name: What it measures.
        value: The number; what JSON cannot hold, such as a NaN, is recorded as text.
        figures: What belongs to it, such as `step`.

    Raises:
        Cancelled: The op shall stop.
    """
    current = _current[-1]
    current.context.cancellation.check()
    payload = {key: _plain(each) for key, each in figures.items()}
    payload |= {"name": name, "value": _plain(value)}
    current.emitter.emit({"type": protocol.METRIC, "msg": name, "payload": payload})


def emit_output(number: int, value: Any) -> None:
    """Tell of a partial output; too large ones are told of without their value.

    Args:
        number: Counted from 1.
        value: As JSON.

    Raises:
        Cancelled: The op shall stop.
    """
    current = _current[-1]
    current.context.cancellation.check()
    payload = {"name": "result", "number": number, "value": value}
    current.emitter.emit({"type": protocol.OUTPUT, "msg": f"result {number}", "payload": payload})


if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:  # Python 3.10 cannot be given the type at run time
    _Adapter = logging.LoggerAdapter


class _Log(_Adapter):
    """Standard logging on stderr, with fields as keywords: `log.info("done", tiles=30)`.

    With `event=True` the words go into the run's timeline as well.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log as `Logger.log` does.

        Raises:
            Cancelled: The op shall stop.
        """
        current = _current[-1]
        current.context.cancellation.check()
        is_event = kwargs.pop("event", False)
        fields = {key: _plain(kwargs.pop(key)) for key in [*kwargs] if key not in _LOGGING_OWN}
        text = str(msg) % args if args else str(msg)
        if is_event:
            kind = protocol.ERROR if level >= logging.ERROR else protocol.INFO
            current.emitter.emit({"type": kind, "msg": text, "payload": fields})
        words = " ".join([text, *(f"{key}={value}" for key, value in fields.items())])
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, words, **kwargs)


log = _Log(logging.getLogger("op"), {})


def _fraction(done: float, total: float | None) -> float:
    if total is not None and not total > 0:
        raise ValueError(f"progress: total is {total!r}, expected a number above 0")
    fraction = float(done) if total is None else min(float(done) / float(total), 1.0)
    if not -_ROUNDING <= fraction <= 1 + _ROUNDING:
        hint = f"; of how many? progress({done!r}, total=...)" if fraction > 1 else ""
        raise ValueError(f"progress: got {done!r}, expected a fraction from 0 to 1{hint}")
    return min(max(fraction, 0.0), 1.0)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
