"""The wire between a worker, or the callers, and the server: watched, and cut when told.

Requests pass whole and are written down as the simulator writes them, with the moment and the words
of the server's answer. It is also where named points are seen: "the server has answered and nobody
knows yet" is a moment that only the wire can tell.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.simulation.recording import Record, Recorder

PATIENCE_S = 60.0
Seen = Callable[[str], None]


@dataclass(slots=True)
class Wire:
    """What is broken about it.

    Attributes:
        cut_to: Requests vanish.
        cut_from: Answers vanish.
        repeats: Share of requests that are sent twice.
    """

    cut_to: bool = False
    cut_from: bool = False
    repeats: float = 0.0


class Proxy:
    """Listens on a port of its own and passes everything on to the server.

    Args:
        name: Whose wire, for the records.
        target: The server's port.
        recorder: Where everything is written down.
        saw: Told of named points as they pass.
        draw: Which requests are repeated.
    """

    def __init__(
        self, name: str, target: int, recorder: Recorder, saw: Seen, draw: random.Random
    ) -> None:
        self.name, self.wire = name, Wire()
        self._target, self._recorder, self._saw, self._draw = target, recorder, saw, draw
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Listener(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def carry(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """Pass one request on; None when nothing comes back."""
        if self.wire.cut_to:
            return None
        answer = None
        for _ in range(2 if self._draw.random() < self.wire.repeats else 1):
            notes = _notes(self._recorder, method, path, body)
            answer = self._ask(method, path, headers, body)
            if answer is not None:
                _complete(notes, answer, self._recorder.now_us())
                self._saw(f"{self.name}: {_point(method, path, body)}")
        return None if self.wire.cut_from else answer

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body or None, headers)
            found = connection.getresponse()
            return Answer(found.status, found.read(), found.getheader("Content-Type") or "")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes
    content_type: str

    @property
    def document(self) -> Any:
        """The JSON in it; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever called was killed: that is what we are here for."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        kept = ("content-type", "idempotency-key", "accept")
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        answer = self.proxy.carry(self.command, self.path, headers, body)
        if answer is None:
            # As a cut wire does: nothing for a while, then the connection is gone.
            time.sleep(2.0)
            self.close_connection = True
            return
        with contextlib.suppress(OSError):
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _pass_on  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002


def _notes(  # noqa: PLR0911 - one way out per route
    recorder: Recorder, method: str, path: str, body: bytes
) -> list[Record]:
    """The records a request makes before its outcome is known."""
    parts = path.split("?", 1)[0].removeprefix("/api/v1/").split("/")
    document = json.loads(body) if body and method == "POST" else {}
    match parts:
        case ["workers"] if method == "POST":
            return [_net(recorder, "register", document["worker_id"], verdicts=[])]
        case ["workers", worker, "heartbeat"]:
            held = [[each["run_id"], each["fence"]] for each in document["held"]]
            return [_net(recorder, "heartbeat", worker, held=held)]
        case ["workers", worker, "claims"]:
            return [_net(recorder, "claim", worker, claim=document["claim_id"], held=[])]
        case ["workers", worker, "reports" | "releases" as what]:
            return [
                _net(recorder, what.rstrip("s"), worker, **_written(item), status="UNKNOWN")
                for item in document["items"]
            ]
        case ["runs", run, "retry" | "cancel" as op]:
            return [recorder.note("api", op=op, about=run, outcome="unknown")]
        case _:
            return []


def _net(recorder: Recorder, call: str, worker: str, **facts: Any) -> Record:
    return recorder.note("net", call=call, worker=worker, **facts)


def _written(item: dict[str, Any]) -> dict[str, Any]:
    result = item.get("result")
    digest = hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:16]
    return {"run": item["run_id"], "fence": item["fence"], "digest": digest if result else ""}


def _complete(notes: list[Record], answer: Answer, now_us: int) -> None:
    document = answer.document
    if answer.status >= 500 or not isinstance(document, dict):
        return
    for index, note in enumerate(notes):
        note["done"] = now_us
        match note.get("call", note.get("op")):
            case "register":
                verdicts = document.get("verdicts", [])
                note["verdicts"] = [[each["name"], each["verdict"]] for each in verdicts]
            case "claim":
                given = document.get("assignments", [])
                note["held"] = [[each["run_id"], each["fence"]] for each in given]
            case "report" | "release":
                items = document.get("items", [])
                note["status"] = items[index]["status"] if index < len(items) else "REFUSED"
            case "retry" | "cancel":
                note["outcome"] = "ok" if answer.status < 300 else "refused"
            case _:
                pass


def _point(method: str, path: str, body: bytes) -> str:
    """The name of the moment at which this request has been answered."""
    parts = path.split("?", 1)[0].removeprefix("/api/v1/").split("/")
    if method == "POST" and parts == ["runs"]:
        return "submitted"
    if parts[-1] == "claims":
        return "claimed"
    if parts[-1] == "reports":
        return "result reported" if b'"result":{' in body else "reported"
    return parts[-1]
