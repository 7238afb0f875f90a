"""Statements that change many rows at once, compiled once per engine.

SQLAlchemy binds the parameters of every row through its own machinery, which for a batch of runs
costs more than SQLite does. Our columns hold integers, text and booleans, which every driver takes
as they are, so that compiled text and plain rows are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Dialect, Insert, Update, bindparam

Row = Mapping[str, Any]
_Prepared = tuple[str, Callable[[Row], Any]]
_PREFIX: Final = "given_"


def given(key: str) -> BindParameter[Any]:
    """The value that each row has under the key (SQLAlchemy keeps the columns' own names)."""
    return bindparam(_PREFIX + key)


class ManyRows:
    """An INSERT or UPDATE for any number of rows.

    Args:
        statement: An INSERT of rows whose keys are columns, or an UPDATE with `given(key)`.
    """

    def __init__(self, statement: Insert | Update) -> None:
        self._statement = statement
        self._prepared: dict[str, _Prepared] = {}

    def execute(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Carry it out for all rows, which have the same keys; more than are needed do not matter.

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
        names: list[str] | None = getattr(compiled, "positiontup", None)
        keys = {name: name.removeprefix(_PREFIX) for name in names or compiled.params}
        fixed = {
            keys[name]: value for name, value in compiled.params.items() if keys[name] not in row
        }
        if names is None:
            return str(compiled), lambda row: _named(keys, {**fixed, **row})
        pick = itemgetter(*(keys[name] for name in names))
        return str(compiled), (lambda row: pick({**fixed, **row})) if fixed else pick


def _named(keys: Mapping[str, str], row: Row) -> dict[str, Any]:
    return {name: row[key] for name, key in keys.items()}
