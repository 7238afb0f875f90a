"""Output of attempts, bounded: the beginning and the end are kept, the middle is cut.

Pieces are numbered here, 1, 2, 3 ... per attempt. Once an attempt has more than the limit, the
oldest pieces behind the kept beginning go, and one system piece in their place says how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from gyoza.server.storage.instants import from_us, to_us
from gyoza.server.storage.records import LogPiece, StoredLog
from gyoza.server.storage.schema import logs, op_attempts
from gyoza.server.storage.statements import ManyRows
from gyoza.server.storage.transaction import Transaction

MAX_BYTES: Final = 10 * 1024 * 1024
HEAD_BYTES: Final = MAX_BYTES // 2
_CUT_STEP: Final = 256

_COLUMNS: Final = (logs.c.number, logs.c.attempt, logs.c.t_us, logs.c.stream, logs.c.text)
_OF_ATTEMPT: Final = (
    logs.c.run_id == bindparam("run"),
    logs.c.attempt == bindparam("of_attempt"),
)
_LEDGER: Final = select(
    op_attempts.c.log_last,
    op_attempts.c.log_bytes,
    op_attempts.c.log_head_last,
    op_attempts.c.log_cut_bytes,
).where(op_attempts.c.run_id == bindparam("run"), op_attempts.c.attempt == bindparam("of_attempt"))
_SAVE_LEDGER: Final = (
    update(op_attempts)
    .where(
        op_attempts.c.run_id == bindparam("run"), op_attempts.c.attempt == bindparam("of_attempt")
    )
    .values(
        log_last=bindparam("last"),
        log_bytes=bindparam("kept_bytes"),
        log_head_last=bindparam("head_last"),
        log_cut_bytes=bindparam("cut_bytes"),
    )
)
_INSERT: Final = ManyRows(insert(logs))
_AFTER: Final = (
    select(*_COLUMNS)
    .where(*_OF_ATTEMPT, logs.c.number > bindparam("after"))
    .order_by(logs.c.number)
    .limit(bindparam("count"))
)
_NEWEST: Final = (
    select(*_COLUMNS).where(*_OF_ATTEMPT).order_by(logs.c.number.desc()).limit(bindparam("count"))
)

_SIZES: Final = (
    select(logs.c.number, logs.c.size_bytes)
    .where(*_OF_ATTEMPT, logs.c.number >= bindparam("first"))
    .order_by(logs.c.number)
    .limit(_CUT_STEP)
)


@dataclass(slots=True)
class _Ledger:
    """What is known of an attempt's logs without reading them.

    Attributes:
        last: Number of the newest piece.
        kept_bytes: Stored bytes, the cut mark not counted.
        head_last: Last number of the kept beginning; None while all pieces belong to it.
        cut_bytes: Bytes that were dropped.
    """

    last: int
    kept_bytes: int
    head_last: int | None
    cut_bytes: int


class LogRepository:
    """The logs of one transaction.

    Args:
        transaction: Where it reads and writes.
        max_bytes: What is kept per attempt.
        head_bytes: How much of that is the beginning.
    """

    def __init__(
        self, transaction: Transaction, max_bytes: int = MAX_BYTES, head_bytes: int = HEAD_BYTES
    ) -> None:
        self._transaction = transaction
        self._connection = transaction.connection
        self._max_bytes = max_bytes
        self._head_bytes = head_bytes

    def append(self, run_id: str, attempt: int, pieces: Sequence[LogPiece]) -> None:
        """Store more output of an attempt that is stored, and wake `run:<id>`.

        Raises:
            LookupError: There is no such attempt.
        """
        if not pieces:
            return
        ledger = self._ledger(run_id, attempt)
        rows = [_enter(ledger, piece, self._head_bytes) for piece in pieces]
        for row in rows:
            row.update(run_id=run_id, attempt=attempt)
        _INSERT.execute(self._connection, rows)
        if ledger.kept_bytes > self._max_bytes:
            self._cut(run_id, attempt, ledger)
        given = {
            "run": run_id,
            "of_attempt": attempt,
            "last": ledger.last,
            "kept_bytes": ledger.kept_bytes,
            "head_last": ledger.head_last,
            "cut_bytes": ledger.cut_bytes,
        }
        self._connection.execute(_SAVE_LEDGER, given)
        self._transaction.wake(f"run:{run_id}")

    def page(self, run_id: str, attempt: int, after: int = 0, limit: int = 1000) -> list[StoredLog]:
        """Pieces numbered above `after`, oldest first."""
        given = {"run": run_id, "of_attempt": attempt, "after": after, "count": limit}
        return [_stored(row) for row in self._connection.execute(_AFTER, given)]

    def tail(self, run_id: str, attempt: int, count: int) -> list[StoredLog]:
        """The newest pieces, oldest of them first."""
        given = {"run": run_id, "of_attempt": attempt, "count": count}
        return [_stored(row) for row in self._connection.execute(_NEWEST, given)][::-1]

    def size(self, run_id: str, attempt: int) -> int:
        """Bytes of text that are kept of the attempt; 0 for an unknown one."""
        statement = select(op_attempts.c.log_bytes).where(
            op_attempts.c.run_id == run_id, op_attempts.c.attempt == attempt
        )
        return self._connection.execute(statement).scalar() or 0

    def _ledger(self, run_id: str, attempt: int) -> _Ledger:
        row = self._connection.execute(_LEDGER, {"run": run_id, "of_attempt": attempt}).first()
        if row is None:
            raise LookupError(f"run {run_id} has no attempt {attempt} to keep logs of")
        return _Ledger(*row)

    def _cut(self, run_id: str, attempt: int, ledger: _Ledger) -> None:
        """Drop the oldest pieces behind the beginning until the rest fits."""
        head_last = ledger.head_last or 0
        mark = head_last + 1
        first = mark + 1 if ledger.cut_bytes else mark
        given = {"run": run_id, "of_attempt": attempt}
        while ledger.kept_bytes > self._max_bytes:
            sizes = self._sizes_from(first, given)
            if not sizes:
                break
            for number, size in sizes:
                first = number + 1
                ledger.kept_bytes -= size
                ledger.cut_bytes += size
                if ledger.kept_bytes <= self._max_bytes:
                    break
        gone = delete(logs).where(*_OF_ATTEMPT, logs.c.number >= mark, logs.c.number < first)
        self._connection.execute(gone, given)
        self._mark(run_id, attempt, mark, ledger.cut_bytes)

    def _sizes_from(self, first: int, given: dict[str, Any]) -> list[tuple[int, int]]:
        rows = self._connection.execute(_SIZES, {**given, "first": first}).mappings()
        return [(row["number"], row["size_bytes"]) for row in rows]

    def _mark(self, run_id: str, attempt: int, number: int, cut_bytes: int) -> None:
        row = {
            "run_id": run_id,
            "attempt": attempt,
            "number": number,
            "t_us": self._transaction.now_us,
            "stream": "system",
            "text": f"[gyoza: {cut_bytes} bytes of output are not kept here]\n",
            "size_bytes": 0,
        }
        _INSERT.execute(self._connection, [row])


def _enter(ledger: _Ledger, piece: LogPiece, head_bytes: int) -> dict[str, Any]:
    size = len(piece.text.encode())
    ledger.last += 1
    ledger.kept_bytes += size
    if ledger.head_last is None and ledger.kept_bytes >= head_bytes:
        ledger.head_last = ledger.last
    return {
        "number": ledger.last,
        "t_us": to_us(piece.t),
        "stream": piece.stream,
        "text": piece.text,
        "size_bytes": size,
    }


def _stored(row: Any) -> StoredLog:
    number, attempt, t_us, stream, text = row
    return StoredLog(number, attempt, from_us(t_us), stream, text)
