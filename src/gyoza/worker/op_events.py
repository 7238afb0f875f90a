"""What an op's event lines mean, and how many of them are taken. Pure: lines in, events out.

An op tells of its progress, in words and figures; how it ends is told by its exit code alone, so
nothing here can end a run. Reading the file is done in `event_lines`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from gyoza.op import protocol
from gyoza.wire import strict_json
from gyoza.worker.nesting import MAX_VALUE_LEVELS, is_too_deep
from gyoza.worker.pacing import TokenBucket

EVENTS_PER_SECOND: Final = 100
EVENTS_AT_ONCE: Final = 200
_FULL_PROGRESS: Final = 100
_PROGRESS_BYTES: Final = protocol.PROGRESS.encode()


@dataclass(frozen=True, slots=True)
class OpEvent:
    """One event as it goes to the server."""

    type: Literal["PROGRESS", "INFO", "ERROR"]
    msg: str | int
    payload: dict[str, Any] = field(default_factory=dict[str, Any])


class OpEvents:
    """Takes an attempt's event lines: checks each, and counts them against the caps.

    Progress is never counted: only its latest value is sent on anyway.

    Args:
        now_s: Monotonic seconds at the start.
        taken: Events that were counted by an earlier process.
        dropped: Events that it dropped and no mark has told of.
        age_s: Seconds for which the op has run already; what came while nobody read is no flood.

    Attributes:
        taken: Events that were counted.
        dropped: Events dropped of which no mark has told yet.
    """

    def __init__(
        self, now_s: float, *, taken: int = 0, dropped: int = 0, age_s: float = 0.0
    ) -> None:
        saved = age_s * EVENTS_PER_SECOND - taken
        self._bucket = TokenBucket(EVENTS_PER_SECOND, EVENTS_AT_ONCE, now_s, saved=saved)
        self.taken = taken
        self.dropped = dropped

    def take(self, lines: Iterable[bytes], now_s: float) -> list[OpEvent]:
        """Return the events of these lines; a line that is none becomes an ERROR that says why.

        Of several figures of progress the last one is returned, after all other events.
        """
        found: list[OpEvent] = []
        progress: list[OpEvent] = []
        is_full = False
        for line in lines:
            # Once full, a flood is not worth reading: only progress would pass.
            if is_full and _PROGRESS_BYTES not in line.lower():
                self.dropped += 1
                continue
            event = parse(line)
            if event.type == "PROGRESS":
                progress = [event]
            elif self._has_room(now_s):
                found += [*self._mark(), event]
            else:
                self.dropped += 1
                is_full = True
        return found + progress

    def finish(self) -> list[OpEvent]:
        """Nothing follows: return the mark for events dropped last, if there were any."""
        return self._mark()

    def _has_room(self, now_s: float) -> bool:
        if self.taken >= protocol.MAX_EVENTS or not self._bucket.take(1, now_s):
            return False
        self.taken += 1
        return True

    def _mark(self) -> list[OpEvent]:
        if not self.dropped:
            return []
        dropped, self.dropped = self.dropped, 0
        limits = f"{EVENTS_PER_SECOND} a second and {protocol.MAX_EVENTS} in all are taken"
        return [OpEvent("INFO", f"{dropped} events dropped; {limits}", {"dropped": dropped})]


def parse(line: bytes) -> OpEvent:
    """Read one line; never raises."""
    try:
        value: Any = strict_json.loads(line, max_bytes=protocol.MAX_EVENT_LINE_BYTES)
    except strict_json.StrictJsonError as error:
        return _refused(f"not an event: {error}")
    if not isinstance(value, dict):
        return _refused('not an event: expected an object such as {"type": "info", "msg": "hi"}')
    if is_too_deep(value):
        return _refused(f"not an event: nested deeper than {MAX_VALUE_LEVELS} levels")
    return _event(cast("dict[str, Any]", value))


def _event(value: dict[str, Any]) -> OpEvent:
    kind = value.get("type")
    msg = value.get("msg", value.get("name", ""))
    match kind.lower() if isinstance(kind, str) else kind:
        case protocol.PROGRESS:
            return _progress(msg, _payload(value))
        case protocol.INFO:
            return OpEvent("INFO", _text(msg), _payload(value))
        case protocol.ERROR:
            return OpEvent("ERROR", _text(msg), _payload(value))
        case protocol.METRIC | protocol.OUTPUT as name:
            return OpEvent("INFO", _text(msg), {**_payload(value), protocol.KIND: name})
        case _:
            allowed = ", ".join(protocol.EVENT_TYPES)
            return _refused(f"an op cannot emit type {_shown(kind)}; expected one of {allowed}")


def _progress(msg: Any, payload: dict[str, Any]) -> OpEvent:
    is_number = isinstance(msg, int | float) and not isinstance(msg, bool)
    if not is_number or not 0 <= msg <= _FULL_PROGRESS:
        return _refused(f"progress is {_shown(msg)}; expected a number from 0 to {_FULL_PROGRESS}")
    return OpEvent("PROGRESS", int(msg), payload)


def _payload(value: dict[str, Any]) -> dict[str, Any]:
    # `{"type": "metric", "name": "loss", "value": 0.1}` is as good as the same inside `payload`.
    inner = value.get("payload")
    rest = {name: each for name, each in value.items() if name not in ("type", "msg", "payload")}
    if isinstance(inner, dict):
        return {**rest, **cast("dict[str, Any]", inner)}
    return rest if inner is None else {**rest, "payload": inner}


def _text(msg: Any) -> str | int:
    if isinstance(msg, str) or (isinstance(msg, int) and not isinstance(msg, bool)):
        return msg
    return strict_json.dumps_text(msg)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."  # noqa: PLR2004


def _refused(why: str) -> OpEvent:
    return OpEvent("ERROR", f"{protocol.EVENTS_FILE}: {why}")
