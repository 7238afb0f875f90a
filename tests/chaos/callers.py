"""People who use a server while it is being destroyed, and write down all they are told."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from tests.simulation.recording import Recorder

CALL_S = 12.0
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
SAY = (
    'printf \'{"run":"%s","attempt":%s}\' "$GYOZA_RUN_ID" "$GYOZA_ATTEMPT"'
    ' > "$GYOZA_DIR/out/output.json"'
)
ENDS_LIKE_KILLED = "killed"
OPS = {
    "quick": f"echo begun; {SAY}",
    "short": f"echo begun; sleep 2; {SAY}",
    "medium": f"echo begun; sleep 6; {SAY}",
    "long": f"echo begun; sleep 14; {SAY}",
    "failing": "echo begun; sleep 1; exit 3",
    "silent": "echo begun",
    ENDS_LIKE_KILLED: "exit 137",
}
WEIGHTS = {
    "quick": 5,
    "short": 6,
    "medium": 5,
    "long": 6,
    "failing": 2,
    "silent": 1,
    ENDS_LIKE_KILLED: 1,
}


class Callers:
    """Submits runs until told to stop, and follows each to its end in a thread of its own.

    Args:
        url: Where the server is, through the proxy.
        recorder: Where every request and its outcome is written.
        draw: What they do.
    """

    def __init__(self, url: str, recorder: Recorder, draw: random.Random) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._recorder, self._draw = recorder, draw
        self._stopping, self._giving_up = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._submitted: list[str] = []
        self._numbers = iter(range(1_000_000))

    def register_ops(self, image: str) -> None:
        """Every op, before anything breaks."""
        for name, script in OPS.items():
            document = {
                "id": name,
                "version": "1",
                "image": image,
                "output_specs": {"run": {"type": "string"}, "attempt": {"type": "integer"}},
                "execution": {"command": ["sh", "-c", script], "timeouts": {}},
            }
            status, answer = self._ask("PUT", "/definitions", document)
            assert status in {200, 201}, answer

    def submit_for_ever(self, pause_s: float) -> None:
        """Begin; a run every so often, each followed by a thread."""

        def go_on() -> None:
            while not self._stopping.wait(self._draw.uniform(0, 2 * pause_s)):
                self._spawn(self._live, next(self._numbers))

        self._spawn(go_on)

    def stop_submitting(self) -> None:
        """No new runs; those there are are followed on."""
        self._stopping.set()

    def join(self, within_s: float) -> None:
        """Wait for everyone, then let them give up."""
        end_s = time.monotonic() + within_s
        for thread in list(self._threads):
            thread.join(max(0.0, end_s - time.monotonic()))
        self._giving_up.set()
        for thread in list(self._threads):
            thread.join(30)

    def _spawn(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _live(self, number: int) -> None:
        draw = random.Random(f"{number}/{self._draw.random()}")
        run_id = self._submit(number, draw)
        if run_id is None:
            return
        if draw.random() < 0.3:
            if draw.random() < 0.5:
                self._until_running(run_id)
            self._giving_up.wait(draw.choice((0.5, 2, 4, 8)))
            self._until_told("cancel", run_id, f"/runs/{run_id}/cancel", {})
        self._watch(run_id, draw)

    def _submit(self, number: int, draw: random.Random) -> str | None:
        key = f"key-{number}"
        before = self._before(draw)
        document = {
            "op_definition": draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0],
            "priority": draw.choice((0, 5, 50)),
            "constraints": {"cpu": 1, "ram_mb": draw.choice((32, 64))},
            "retry_policy": {"max_attempts": draw.choice((1, 2)), "backoff_ms": 300},
            "tags": {"key": key, **before},
            **{way: [first] for way, first in before.items()},
        }
        answer = self._until_told("submit", key, "/runs", document, key=key)
        run_id = None if answer is None else answer.get("id")
        if run_id is not None:
            self._submitted.append(run_id)
        return run_id

    def _before(self, draw: random.Random) -> dict[str, str]:
        """Now and then a run to come after, by the way it has to end; the tags repeat it."""
        if not self._submitted or draw.random() < 0.75:
            return {}
        return {draw.choice(("after", "after_any")): draw.choice(self._submitted[-6:])}

    def _until_running(self, run_id: str) -> None:
        """Wait until the run is at work, or over before anybody saw it."""
        while not self._giving_up.wait(0.5):
            seen = self._request("read", run_id, "GET", f"/runs/{run_id}", None)
            if seen is not None and seen.get("state") not in {"PENDING", "ASSIGNED"}:
                return

    def _watch(self, run_id: str, draw: random.Random) -> None:
        retried = False
        while not self._giving_up.wait(draw.uniform(1.0, 3.0)):
            seen = self._request("read", run_id, "GET", f"/runs/{run_id}", None)
            if seen is None or seen.get("state") not in ENDED:
                continue
            if seen["state"] == "COMPLETED" or retried or draw.random() < 0.6:
                return
            retried = True
            self._until_told("retry", run_id, f"/runs/{run_id}/retry", {})

    def _until_told(
        self, op: str, about: str, path: str, document: Any, *, key: str | None = None
    ) -> dict[str, Any] | None:
        while not self._giving_up.is_set():
            answer = self._request(op, about, "POST", path, document, key=key)
            if answer is not None:
                return answer
            self._giving_up.wait(self._draw.uniform(0.5, 2.0))
        return None

    def _request(
        self, op: str, about: str, method: str, path: str, document: Any, *, key: str | None = None
    ) -> dict[str, Any] | None:
        sent = self._recorder.now_us()
        try:
            status, answer = self._ask(method, path, document, key=key)
        except (OSError, http.client.HTTPException, ValueError):
            status, answer = 0, None
        outcome = "ok" if 200 <= status < 300 else "refused" if 400 <= status < 500 else "unknown"
        if status in {408, 429}:
            outcome = "unknown"
        facts = _seen(answer) if outcome == "ok" and answer else {}
        self._recorder.note("client", op=op, about=about, sent=sent, outcome=outcome, **facts)
        return None if outcome == "unknown" else answer or {}

    def _ask(
        self, method: str, path: str, document: Any, *, key: str | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=CALL_S)
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, f"/api/v1{path}", body, headers)
            found = connection.getresponse()
            return found.status, json.loads(found.read())
        finally:
            connection.close()


def _seen(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer.get(name) for name in ("id", "state", "attempt", "outputs")}
