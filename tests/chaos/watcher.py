"""The engine's own account of what happened to containers, read from its events.

An engine that is killed forgets; what it did not tell is left out, and a container whose end was
not seen is over when it is removed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

from tests.simulation.recording import Recorder
from tests.support.engine import _UnixConnection

LABEL = "org.gyoza."
WHAT = {"create": "create", "start": "start", "die": "die", "destroy": "remove"}


class EngineWatcher:
    """Writes down what an engine does to gyoza's containers.

    Args:
        socket: Of the engine.
        recorder: Where it is written.
        saw: Told of every container event, as a named point.
    """

    def __init__(self, socket: str, recorder: Recorder, saw: Callable[[str], None]) -> None:
        self._socket, self._recorder, self._saw = socket, recorder, saw
        self._stopping = threading.Event()
        self._ooms: set[str] = set()
        self._seen: set[tuple[str, str, int]] = set()
        self._since = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._follow()

    def _follow(self) -> None:
        connection = _UnixConnection(self._socket)
        filters = "%7B%22label%22%3A%5B%22org.gyoza.managed%22%5D%7D"
        since = self._since // 1_000_000_000
        connection.request("GET", f"/v1.41/events?since={since}&filters={filters}")
        answer = connection.getresponse()
        while not self._stopping.is_set():
            line = answer.readline()
            if not line:
                return
            self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        key = (event.get("id", ""), event.get("Action", ""), event["timeNano"])
        if key in self._seen:
            return
        self._seen.add(key)
        self._since = max(self._since, event["timeNano"])
        what, attributes = WHAT.get(event["Action"]), event["Actor"]["Attributes"]
        if event["Action"] == "oom":
            self._ooms.add(event["Actor"]["ID"])
        if what is None:
            return
        facts: dict[str, Any] = {}
        if what == "die":
            is_oom = event["Actor"]["ID"] in self._ooms
            facts = {"exit_code": int(attributes["exitCode"]), "oom": is_oom, "cause": "self"}
        record = self._recorder.note(
            "container",
            what=what,
            host="engine",
            name=attributes["name"],
            run=attributes[f"{LABEL}run"],
            attempt=int(attributes[f"{LABEL}attempt"]),
            fence=int(attributes[f"{LABEL}fence"]),
            worker=attributes[f"{LABEL}worker"],
            **facts,
        )
        record["t"] = event["timeNano"] // 1000
        self._saw(f"container: {what}")
