"""Every operation that takes a body, against every body that it must not take."""

from __future__ import annotations

import re

import pytest

from gyoza.server.api.app import OPERATIONS
from gyoza.server.api.operations import Operation
from tests.integration.api.driver import Api, Running

pytestmark = pytest.mark.anyio
JSON_OPERATIONS = [operation for operation in OPERATIONS if operation.body is not None]

HOSTILE = {
    "a NaN": b'{"x": NaN}',
    "an infinity": b'{"x": -Infinity}',
    "an overflowing number": b'{"x": 1e999}',
    "a duplicate key": b'{"x": 1, "x": 2}',
    "nesting beyond 64": b'{"x": ' + b"[" * 100 + b"]" * 100 + b"}",
    "nesting beyond the stack": b"[" * 100_000,
    "a NUL": b'{"x": "\\u0000"}',
    "a lone surrogate": b'{"x": "\\ud800"}',
    "a 30-digit integer": b'{"x": 123456789012345678901234567890}',
    "a 5,000-digit integer": b'{"x": ' + b"9" * 5_000 + b"}",
    "bytes that are not UTF-8": b'{"x": "\xff"}',
    "half a document": b'{"x": ',
    "two documents": b"{} {}",
    "white space": b" ",
    "an array": b"[]",
    "a string": b'"text"',
    "null": b"null",
}


def path_of(operation: Operation) -> str:
    return re.sub(r"{\w+}", "x", operation.path)


@pytest.mark.parametrize("operation", JSON_OPERATIONS, ids=lambda operation: operation.id)
async def test_a_hostile_body_is_refused_by_pointer_and_creates_nothing(
    api: Api, operation: Operation
) -> None:
    for name, body in HOSTILE.items():
        answer = await api.send(operation.method, path_of(operation), content=body)

        assert answer.status_code == 422, f"{name}: {answer.text}"
        assert answer.json()["code"] in {"INVALID_JSON", "INVALID_REQUEST"}, name
        assert all("pointer" in fault for fault in answer.json()["errors"]), name
        assert answer.json()["errors"], name

    assert await api.count_runs() == 0
    assert (await api.get("/definitions")).json()["items"] == []
    assert (await api.get("/workers")).json()["items"] == []


@pytest.mark.parametrize(
    "operation",
    [each for each in JSON_OPERATIONS if each.tag != "worker protocol"],
    ids=lambda operation: operation.id,
)
async def test_people_s_typos_are_refused_by_name(api: Api, operation: Operation) -> None:
    answer = await api.send(operation.method, path_of(operation), json={"priorty": 1})

    assert answer.status_code == 422
    assert "priorty" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/runs", {"image": 5}, "/image"),
        ("/runs", {"image": "i", "tags": {"team": 5}}, "/tags"),
        ("/runs", {"image": "i", "inputs": []}, "/inputs"),
        ("/runs:batch", {"runs": [{}, 5]}, "/runs"),
        ("/runs/x/events", {"type": "INFO", "msg": 1.5}, "/msg"),
    ],
)
async def test_a_value_of_another_type_is_refused_at_its_pointer(
    api: Api, path: str, body: object, pointer: str
) -> None:
    answer = await api.post(path, body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize("operation", JSON_OPERATIONS, ids=lambda operation: operation.id)
async def test_a_body_over_the_limit_is_refused_however_its_length_is_told(
    running: Running, operation: Operation
) -> None:
    async def unannounced():  # noqa: ANN202 - an asynchronous generator of bytes
        for _ in range(5):
            yield b" " * 300

    async with running(max_body_bytes=1000) as api:
        told = await api.send(operation.method, path_of(operation), content=b" " * 1001)
        untold = await api.send(operation.method, path_of(operation), content=unannounced())

    assert [told.status_code, untold.status_code] == [413, 413]
    assert told.json()["code"] == untold.json()["code"] == "BODY_TOO_LARGE"


async def test_a_compressed_body_is_refused(api: Api) -> None:
    headers = {"Content-Encoding": "gzip"}

    answer = await api.send("POST", "/api/v1/runs", content=b"\x1f\x8b", headers=headers)

    assert answer.json()["code"] == "INVALID_REQUEST"
    assert answer.status_code == 422
