"""An observer apart from gyoza: inspects every container of gyoza while it runs."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from tests.support.engine import API, SOCKET, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILTERS = quote(
    json.dumps({"type": ["container"], "event": ["start"], "label": ["org.gyoza.managed"]})
)


class Observer:
    """Follows the engine's start events and keeps one inspection per run, taken at once."""

    def __init__(self) -> None:
        self.inspections: dict[str, dict[str, Any]] = {}
        self._stream = socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._stream.connect(SOCKET)
        request = f"GET {API}/events?filters={_FILTERS} HTTP/1.0\r\nHost: engine\r\n\r\n"
        self._stream.sendall(request.encode())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._stream.close()

    def _follow(self) -> None:
        engine = Engine()
        for event in self._events():
            status, inspection = engine.call("GET", f"/containers/{event['id']}/json")
            if status == 200:
                self.inspections[event["Actor"]["Attributes"]["org.gyoza.run"]] = inspection
        engine.close()

    def _events(self) -> Iterator[dict[str, Any]]:
        with self._stream.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"{"):
                    yield json.loads(line)
