"""Bodies: counted while they arrive, strict, and never read beyond the limit."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.types import Message

from gyoza.server.api import bodies
from gyoza.server.errors import BodyTooLarge, InvalidJson, InvalidRequest
from gyoza.wire.messages import CancelRun, PatchRun

pytestmark = pytest.mark.anyio


class Sender:
    """A client that sends parts, and counts how many were taken."""

    def __init__(self, *parts: bytes) -> None:
        self.taken = 0
        self._parts = parts

    async def receive(self) -> Message:
        part = self._parts[self.taken]
        self.taken += 1
        more = self.taken < len(self._parts)
        return {"type": "http.request", "body": part, "more_body": more}

    def request(self, **headers: str) -> Request:
        raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
        return Request({"type": "http", "method": "POST", "headers": raw}, self.receive)


async def test_a_body_in_parts_is_read_whole() -> None:
    request = Sender(b'{"prio', b'rity": 7}').request()

    assert await bodies.read_message(request, PatchRun, 100) == PatchRun(priority=7)


async def test_an_announced_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    sender = Sender(b"x" * 101)

    with pytest.raises(BodyTooLarge, match="at most 100 bytes"):
        await bodies.read_message(sender.request(content_length="101"), PatchRun, 100)

    assert sender.taken == 0


async def test_a_body_without_a_length_is_refused_at_the_first_byte_too_many() -> None:
    sender = Sender(b"x" * 60, b"x" * 60, b"x" * 60)

    with pytest.raises(BodyTooLarge):
        await bodies.read_message(sender.request(), PatchRun, 100)

    assert sender.taken == 2


async def test_a_lying_length_does_not_help() -> None:
    with pytest.raises(BodyTooLarge):
        await bodies.read_message(Sender(b"x" * 101).request(content_length="5"), PatchRun, 100)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
async def test_a_compressed_body_is_refused(encoding: str) -> None:
    sender = Sender(b"{}")

    with pytest.raises(InvalidRequest, match="uncompressed"):
        await bodies.read_message(sender.request(content_encoding=encoding), PatchRun, 100)


async def test_an_absent_body_is_taken_where_nothing_has_to_be_said() -> None:
    assert await bodies.read_message(Sender(b"").request(), CancelRun, 9, optional=True)


async def test_an_absent_body_is_no_json_elsewhere() -> None:
    with pytest.raises(InvalidJson):
        await bodies.read_message(Sender(b"").request(), CancelRun, 9)


async def test_a_refusal_of_the_parser_carries_a_pointer() -> None:
    text = b'{"outputs": {"a": ["\\u0000"]}}'

    with pytest.raises(InvalidJson) as refusal:
        await bodies.read_message(Sender(text).request(), PatchRun, 100)

    assert [fault.pointer for fault in refusal.value.faults] == ["/outputs/a/0"]


async def test_a_member_of_another_type_carries_a_pointer() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await bodies.read_message(Sender(b'{"priority": "7"}').request(), PatchRun, 100)

    assert [fault.pointer for fault in refusal.value.faults] == ["/priority"]


async def test_a_stream_gives_parts_as_they_come() -> None:
    arriving: AsyncIterator[bytes] = bodies.stream(Sender(b"ab", b"", b"c").request(), 3)

    assert [part async for part in arriving] == [b"ab", b"c"]
