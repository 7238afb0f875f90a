"""Logs: JSON for machines, nothing secret for anyone."""

from __future__ import annotations

import io
import json
import logging as stdlib
from collections.abc import Iterator

import pytest
import structlog

from gyoza.server import logging
from gyoza.server.logging import REDACTED


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put the process's own logging back."""
    root = stdlib.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_each_line_is_json_unless_a_person_looks() -> None:
    stream = io.StringIO()
    logging.configure("info", stream)

    structlog.stdlib.get_logger("gyoza.x").info("ready", url="http://localhost")

    line = json.loads(stream.getvalue())
    assert (line["event"], line["url"], line["level"]) == ("ready", "http://localhost", "info")


def test_other_libraries_lines_look_alike() -> None:
    stream = io.StringIO()
    logging.configure("info", stream)

    stdlib.getLogger("elsewhere").warning("it is %s", "so")

    assert json.loads(stream.getvalue())["event"] == "it is so"


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    logging.configure("warning", stream)

    structlog.stdlib.get_logger("gyoza.x").info("ready")

    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", ["api_key", "token", "X-API-Key", "password", "worker_keys"])
def test_what_looks_secret_by_its_name_is_not_written(name: str) -> None:
    stream = io.StringIO()
    logging.configure("info", stream)

    structlog.stdlib.get_logger("gyoza.x").info("event", **{name: "canary"})

    assert json.loads(stream.getvalue())[name] == REDACTED


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_trace_is_written_without_the_values_of_variables(stream: io.StringIO) -> None:
    logging.configure("info", stream)
    secret = "".join(["can", "ary"])

    try:
        json.loads(secret[:0])
    except ValueError:
        structlog.stdlib.get_logger("gyoza.x").exception("failed")

    assert "JSONDecodeError" in stream.getvalue()
    assert "canary" not in stream.getvalue()


def test_a_person_gets_no_json() -> None:
    stream = Terminal()
    logging.configure("info", stream)

    structlog.stdlib.get_logger("gyoza.x").info("ready", url="u")

    assert "ready" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
