"""Answering a repeated request with the first answer.

The key is looked up, the command carried out and the answer stored in one transaction. So a key
can never be "in flight" between two transactions: of two requests at once, the second waits for
the first's commit (SQLite), or fails on the unique key, is rolled back and run again (PostgreSQL),
and both times finds the stored answer. A refused command stores nothing and may be tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from gyoza.server.errors import IdempotencyMismatch
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.wire import strict_json
from gyoza.wire.messages import JsonObject


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What makes two requests the same.

    Attributes:
        scope: Operation and caller, such as `submitRun`; the same key in two scopes is two keys.
        key: The Idempotency-Key header.
        request_hash: `hash_of` the request's body and path.
    """

    scope: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored answer.

    Attributes:
        status: HTTP status, as the API gave it.
        body: JSON document.
    """

    status: int
    body: JsonObject


def hash_of(*parts: bytes) -> str:
    """Return the SHA-256 of a request's parts, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def once(
    uow: UnitOfWork, key: IdempotencyKey | None, command: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """Carry out a command unless its key has an answer already.

    Args:
        uow: The unit of work the command runs in too.
        key: None runs the command without remembering.
        command: Does the work in the same unit of work and gives the answer to remember.

    Returns:
        The answer, and whether it is a repeated one.

    Raises:
        IdempotencyMismatch: The key was used for another request.
    """
    if key is None:
        return command(), False
    known = uow.idempotency.find(key.scope, key.key)
    if known is None:
        answer = command()
        body = strict_json.dumps_text(answer.body)
        uow.idempotency.put(key.scope, key.key, key.request_hash, answer.status, body)
        return answer, False
    if known.request_hash != key.request_hash:
        raise IdempotencyMismatch(key.key)
    return Answer(known.status, strict_json.loads(known.body)), True
