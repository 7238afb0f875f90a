"""The server under test as its tests use it.

Every answer is checked against the published OpenAPI document on its way to the test, so that an
undocumented status or member fails whichever test meets it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import httpx2
import jsonschema
from fastapi import FastAPI

from gyoza.server.api.app import OPERATIONS
from gyoza.server.api.lifelines import Stopping
from gyoza.server.api.openapi import document
from gyoza.server.api.operations import Operation
from gyoza.server.storage.store import Store

API = "/api/v1"


class Api:
    """The server as a client sees it, and what a test may reach behind it."""

    def __init__(
        self, app: FastAPI, client: httpx2.AsyncClient, store: Store, stopping: Stopping
    ) -> None:
        self.app = app
        self.client = client
        self.store = store
        self.stopping = stopping
        self.described = document(app, OPERATIONS, "test")

    async def send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        answer = await self.client.request(method, path, **more)
        self._check(method, path.partition("?")[0], answer)
        return answer

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        return await self.send("GET", API + path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return await self.send("POST", API + path, json=body, **more)

    async def put(self, path: str, body: Any, **more: Any) -> httpx2.Response:
        return await self.send("PUT", API + path, json=body, **more)

    async def patch(self, path: str, body: Any) -> httpx2.Response:
        return await self.send("PATCH", API + path, json=body)

    async def delete(self, path: str) -> httpx2.Response:
        return await self.send("DELETE", API + path)

    async def new_run(self, **members: Any) -> dict[str, Any]:
        answer = await self.post("/runs", {"image": "example/image:1", **members})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def count_runs(self) -> int:
        return len((await self.get("/runs?page_size=200")).json()["items"])

    async def until_streams_are_open(self, count: int) -> None:
        while self.stopping.watching < count:  # noqa: ASYNC110 - nothing announces this
            await asyncio.sleep(0.001)

    def _check(self, method: str, path: str, answer: httpx2.Response) -> None:
        operation = operation_at(method, path)
        if operation is None or method == "HEAD":
            return
        told = self.described["paths"][operation.path][method.lower()]["responses"]
        assert str(answer.status_code) in told, f"{operation.id}: {answer.status_code} is not told"
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        content = told[str(answer.status_code)].get("content", {})
        if "json" in media_type:
            schema = {**content[media_type]["schema"], "components": self.described["components"]}
            jsonschema.Draft202012Validator(schema).validate(answer.json())


Running: TypeAlias = Callable[..., AbstractAsyncContextManager[Api]]


def operation_at(method: str, path: str) -> Operation | None:
    for operation in OPERATIONS:
        pattern = re.sub(r"{\w+}", "[^/]+", operation.path)
        if operation.method == method and re.fullmatch(pattern, path):
            return operation
    return None


def events_of(stream: str) -> list[tuple[str, str, Any]]:
    """Read server-sent events: type, id and data of each; comments and `retry` left out."""
    found = []
    for block in stream.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))
    return found
