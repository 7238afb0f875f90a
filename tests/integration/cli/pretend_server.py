"""A server of a few routes behind a mock transport: it answers from the run that a test sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from gyoza.models import OpDefinition, OpRun, OpRunState
from gyoza.wire.messages import ArtifactRef
from tests.support.run_documents import a_completed_run, a_run

DEFINITION = OpDefinition.create(
    "wordcount",
    "1.0.0",
    "words:1",
    {"text": {"type": "string"}, "tile": {"type": "file", "required": False}},
)
WAITING = {"verdict": "LATER", "rule": None, "summary": "waits for VRAM"}
WORKER = {
    "id": "wrk_1",
    "name": "atlas",
    "state": "READY",
    "version": "0.1.0",
    "runtime": "docker",
    "capacity": {"cpu": 8, "ram_mb": 16000, "gpus": [{"uuid": "GPU-1", "vram_mb": 24576}]},
    "reserved": {"cpu": 2, "ram_mb": 512},
    "tags": {"zone": "attic"},
    "runs": ["run_1"],
    "registered_at": "2031-05-04T09:08:07Z",
    "last_seen_at": "2031-05-04T09:08:07Z",
}


@dataclass
class PretendServer:
    """Answers as the server would.

    Attributes:
        run: What a run's document shows.
        logs: Its output.
        refuse: (status, code, detail) for every call that changes something.
        seen: Method and path of every request.
        bodies: JSON bodies, in order.
        ends: Whether the stream of events says end.
        has_runs: Whether lists show the run.
        waiting: Why the run waits, as its document tells.
        explanation: What is answered to who asks why.
        files: What the run left; the content of each is its name.
        worker: The only worker's view.
    """

    run: OpRun = field(default_factory=a_completed_run)
    logs: str = "one\ntwo\nthree\n"
    refuse: tuple[int, str, str] | None = None
    seen: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    ends: bool = True
    has_runs: bool = True
    waiting: dict[str, Any] = field(default_factory=lambda: dict[str, Any](WAITING))
    explanation: dict[str, Any] = field(default_factory=dict[str, Any])
    files: list[ArtifactRef] = field(default_factory=list[ArtifactRef])
    worker: dict[str, Any] = field(default_factory=lambda: dict[str, Any](WORKER))

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/api/v1")
        query = f"?{request.url.query.decode()}" if request.method == "PUT" else ""
        self.seen.append(f"{request.method} {path}{query}".rstrip("?"))
        if request.headers.get("content-type") == "application/json":
            self.bodies.append(json.loads(request.content))
        if request.method != "GET" and self.refuse is not None:
            return self._problem(*self.refuse)
        streams = "event-stream" in request.headers.get("accept", "")
        return self._of_stream(path) if streams else self._of_call(request.method, path)

    def _of_stream(self, path: str) -> httpx2.Response:
        end = "event: end\ndata: {}\n\n" if self.ends else ""
        text = self._log_frame() if path.endswith("/logs") else ""
        return httpx2.Response(200, content=(text + end).encode())

    def _of_call(self, method: str, path: str) -> httpx2.Response:
        routes: dict[str, Callable[[], Any]] = {
            "definitions": lambda: self._definitions(method, path),
            "workers": lambda: self._workers(path),
            "artifacts": lambda: {"sha256": path[11:], "size_bytes": 3, "media_type": "x"},
            "runs": lambda: self._runs(method, path),
        }
        if method == "HEAD":
            return httpx2.Response(404)
        if method == "DELETE":
            return httpx2.Response(204)
        if method == "GET" and path.startswith("/artifacts/"):
            (name,) = (file.name for file in self.files if file.sha256 == path[11:])
            return httpx2.Response(200, text=name)
        found = routes[path.split("/")[1]]()
        return httpx2.Response(200, json=found) if found is not None else self._no_op()

    def _definitions(self, method: str, path: str) -> Any:
        if method == "PUT":
            return DEFINITION.to_dict()
        if path == "/definitions":
            return {"items": [DEFINITION.to_dict()], "next_page_token": ""}
        return DEFINITION.to_dict() if path == "/definitions/wordcount" else None

    def _runs(self, method: str, path: str) -> Any:
        if path.endswith("/logs"):
            return {"items": [self._log_chunk()], "next_page_token": ""}
        if path.endswith("/artifacts"):
            items = [msgspec.to_builtins(file) for file in self.files]
            return {"items": items, "next_page_token": ""}
        if path.endswith("/explain"):
            return self.explanation
        if path == "/runs" and method == "GET":
            items = [self._run_document()] if self.has_runs else []
            return {"items": items, "next_page_token": ""}
        return self._run_document() if path != "/runs" else a_run().to_dict()

    def _run_document(self) -> dict[str, Any]:
        document = self.run.to_dict()
        waits = self.run.state is OpRunState.PENDING
        return {**document, "waiting": self.waiting} if waits else document

    def _workers(self, path: str) -> Any:
        if path != "/workers":
            return self.worker
        return {"items": [self.worker], "next_page_token": ""}

    def _log_chunk(self) -> dict[str, Any]:
        return {"number": 1, "attempt": 1, "t": "", "stream": "stdout", "text": self.logs}

    def _log_frame(self) -> str:
        return f"event: log\nid: 1.1\ndata: {json.dumps(self._log_chunk())}\n\n"

    def _no_op(self) -> httpx2.Response:
        return self._problem(404, "OP_NOT_FOUND", "no such op")

    def _problem(self, status: int, code: str, detail: str) -> httpx2.Response:
        document = {"type": "", "title": "T", "status": status, "detail": detail, "code": code}
        return httpx2.Response(status, json=document)
