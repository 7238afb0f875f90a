"""The engine's own account of what happened to containers, read from its events.

An engine that is killed forgets what it had to tell, so after each break its containers are
compared with those that were last known to run.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Any

from tests.simulation.recording import Recorder
from tests.support.engine import Engine, _UnixConnection

LABEL = "org.gyoza."
_OK, _GONE = 200, 404
WHAT = {"create": "create", "start": "start", "die": "die", "destroy": "remove"}


class EngineWatcher:
    """Writes down what an engine does to gyoza's containers.

    Args:
        path: Of the engine's socket.
        recorder: Where it is written.
        saw: Told of every container event, as a named point.
    """

    def __init__(self, path: str, recorder: Recorder, saw: Callable[[str], None]) -> None:
        self._socket, self._recorder, self._saw = path, recorder, saw
        self._stopping = threading.Event()
        self._ooms: set[str] = set()
        self._seen: set[tuple[str, str, int]] = set()
        self._since = 0
        self._lost_at = 0
        self._running: dict[str, dict[str, Any]] = {}
        self._connection: _UnixConnection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)  # whoever reads from it wakes up
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._follow()
            self._lost_at = self._recorder.now_us()

    def _follow(self) -> None:
        self._catch_up()
        with closing(_UnixConnection(self._socket)) as connection:
            self._connection = connection
            self._read(connection)

    def _read(self, connection: _UnixConnection) -> None:
        filters = "%7B%22label%22%3A%5B%22org.gyoza.managed%22%5D%7D"
        since = self._since // 1_000_000_000
        connection.request("GET", f"/v1.41/events?since={since}&filters={filters}")
        answer = connection.getresponse()
        while not self._stopping.is_set():
            line = answer.readline()
            if not line:
                return
            self._take(json.loads(line))

    def _catch_up(self) -> None:
        """Note the ends that nobody told."""
        engine = Engine(self._socket)
        try:
            for container_id, facts in list(self._running.items()):
                status, found = engine.call("GET", f"/containers/{container_id}/json")
                if status == _GONE:
                    del self._running[container_id]
                    self._recorder.note("container", what="remove", **facts)["t"] = self._lost_at
                elif status == _OK and not found["State"]["Running"]:
                    self._note_end(container_id, facts, found["State"])
        finally:
            engine.close()

    def _note_end(self, container_id: str, facts: dict[str, Any], state: dict[str, Any]) -> None:
        del self._running[container_id]
        record = self._recorder.note(
            "container",
            what="die",
            exit_code=state["ExitCode"],
            oom=state["OOMKilled"],
            cause="self",
            **facts,
        )
        record["t"] = _microseconds(state["FinishedAt"])

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
        named = {
            "host": "engine",
            "name": attributes["name"],
            "run": attributes[f"{LABEL}run"],
            "attempt": int(attributes[f"{LABEL}attempt"]),
            "fence": int(attributes[f"{LABEL}fence"]),
            "worker": attributes[f"{LABEL}worker"],
        }
        if what == "start":
            self._running[event["Actor"]["ID"]] = named
        else:
            self._running.pop(event["Actor"]["ID"], None)
        record = self._recorder.note("container", what=what, **named, **facts)
        record["t"] = event["timeNano"] // 1000
        self._saw(f"container: {what}")


def _microseconds(text: str) -> int:
    """The engine's nine digits of a second are more than Python reads."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(f"{seconds}Z")
    return int(moment.timestamp()) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
