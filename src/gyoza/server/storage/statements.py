"""Statements that change many rows at once, compiled once per engine.

SQLAlchemy binds the parameters of every row through its own machinery, which for a batch of runs
costs more than SQLite does. Our columns hold integers, text and booleans, which every driver takes
as they are, so that compiled text and plain rows are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Update

Row = Mapping[str, Any]
_Prepared = tuple[str, Callable[[Row], Any]]


class ManyRows:
    """An INSERT or UPDATE for any number of rows.

    Args:
        statement: Its bound parameters are the keys of the rows; an INSERT's columns are.
    """

    def __init__(self, statement: Insert | Update) -> None:
        self._statement = statement
        self._prepared: dict[str, _Prepared] = {}

    def execute(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Carry it out for all rows; they have the same keys. No rows: nothing happens.

        Returns:
            How many rows of the table were changed or made.
        """
        if not rows:
            return 0
        dialect = connection.dialect
        prepared = self._prepared.get(dialect.name)
        if prepared is None:
            prepared = self._prepared[dialect.name] = self._prepare(dialect, rows[0])
        sql, arguments = prepared
        return connection.exec_driver_sql(sql, [arguments(row) for row in rows]).rowcount

    def _prepare(self, dialect: Dialect, row: Row) -> _Prepared:
        columns = list(row) if isinstance(self._statement, Insert) else None
        compiled = self._statement.compile(dialect=dialect, column_keys=columns)
        fixed = {name: value for name, value in compiled.params.items() if name not in row}
        names: list[str] | None = getattr(compiled, "positiontup", None)
        if names is None:
            return str(compiled), lambda given: {**fixed, **given}
        pick = itemgetter(*names)
        if fixed:
            return str(compiled), lambda given: pick({**fixed, **given})
        return str(compiled), pick
