"""How an attempt that failed is told of: exit code, `error.json`, and a traceback on stderr."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

from gyoza.op import protocol
from gyoza.op.cancellation import EXIT_CANCELLED, Cancelled
from gyoza.op.errors import BadInput, Problem, TryAgain

EXIT_FAILED: Final = 1
_MAX_MESSAGE: Final = 4000
_MAX_TRACEBACK: Final = 24_000
_MAX_PROBLEMS: Final = 50
_OURS: Final = str(Path(__file__).parent)


@dataclass(frozen=True)
class Failure:
    """An attempt's end other than a result.

    Attributes:
        exit_code: What the process ends with.
        document: What `error.json` says.
        traceback: For the log; "" where the message says all.
    """

    exit_code: int
    document: dict[str, Any] = field(default_factory=dict[str, Any])
    traceback: str = ""


def describe(error: BaseException) -> Failure:
    """Decide what an exception means for the attempt."""
    words = _traceback(error)
    details: dict[str, Any] = {"traceback": words} if words else {}
    problems = cast("list[Problem]", getattr(error, "problems", []))
    if problems:
        details["problems"] = [
            {"pointer": each.pointer, "message": each.message} for each in problems[:_MAX_PROBLEMS]
        ]
    document: dict[str, Any] = {
        "type": type(error).__name__,
        "message": _message(error),
        "retryable": _retryable(error),
        "details": details,
    }
    delay_s = getattr(error, "delay_s", None) if isinstance(error, TryAgain) else None
    if delay_s is not None:
        document["retry_after_ms"] = max(0, round(delay_s * 1000))
    return Failure(_exit_code(error), document, words)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, BadInput):
        return protocol.EXIT_BAD_INPUT
    if isinstance(error, TryAgain):
        return protocol.EXIT_TRY_AGAIN
    if isinstance(error, Cancelled):
        return EXIT_CANCELLED
    if isinstance(error, SystemExit):
        code = error.code
        return code if isinstance(code, int) else int(code is not None)
    return EXIT_FAILED


def _message(error: BaseException) -> str:
    text = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error)
    return text[:_MAX_MESSAGE]


def _retryable(error: BaseException) -> bool:
    own = getattr(error, "retryable", None)
    return own if isinstance(own, bool) else not isinstance(error, ImportError | SyntaxError)


def _traceback(error: BaseException) -> str:
    """The author's part of the traceback; none for what needs none."""
    if isinstance(error, SystemExit | Cancelled):
        return ""
    frames = error.__traceback__
    own = _own_frames(frames)
    if own is None and hasattr(error, "problems"):
        return ""
    lines = traceback.format_exception(type(error), error, own or frames)
    return "".join(lines)[-_MAX_TRACEBACK:]


def _own_frames(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and _is_machinery(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def _is_machinery(file: str) -> bool:
    return file.startswith((_OURS, "<frozen")) or Path(file).parent.name in ("asyncio", "importlib")
