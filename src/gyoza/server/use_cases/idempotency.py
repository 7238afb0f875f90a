"""Answering a repeated request with the first answer.

The key is looked up, the command carried out and the answer stored in one transaction. So a key
can never be "in flight" between two transactions: of two requests at once, the second waits for
the first's commit (SQLite), or fails on the unique key, is rolled back and run again (PostgreSQL),
and both times finds the stored answer. A refused command stores nothing and may be tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gyoza.server.storage.unit_of_work import UnitOfWork
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
    raise NotImplementedError


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
    raise NotImplementedError
