"""Structured logs: structlog over the standard library, so that every library's lines look alike.

JSON lines for machines, key-value lines on a terminal. What looks like a secret by its name is
never written, whoever logs it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.types import Processor

REDACTED: Final = "[redacted]"
_SECRET: Final = re.compile(
    r"(^|_|-)(key|token|secret|password|authorization|cookie)s?$", re.IGNORECASE
)
_CHATTY: Final = ("uvicorn", "sqlalchemy", "alembic", "asyncio")


def configure(level: str, stream: TextIO) -> None:
    """Send all logs of the process to a stream, JSON unless it is a terminal.

    Args:
        level: debug, info, warning or error; other people's libraries stay at warning.
        stream: Usually stderr, since stdout belongs to data.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(is_terminal=stream.isatty()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def redact(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values of members whose names say that they are secret."""
    for name in line:
        if _SECRET.search(name):
            line[name] = REDACTED
    return line


def _formatter(*, is_terminal: bool) -> logging.Formatter:
    tail: list[Processor]
    if is_terminal:
        # Plain traces: the pretty ones show local variables, keys among them.
        plain = structlog.dev.plain_traceback
        tail = [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    else:
        as_json = structlog.processors.JSONRenderer(ensure_ascii=False)
        tail = [structlog.processors.format_exc_info, as_json]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
    )


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        redact,
    ]
