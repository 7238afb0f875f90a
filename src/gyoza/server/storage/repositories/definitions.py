"""Op definitions: immutable versions, and which of them is current or archived."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import bindparam, func, insert, or_, select, update

from gyoza.models import OpDefinition
from gyoza.server.storage.dialects import upsert
from gyoza.server.storage.instants import from_us, to_us
from gyoza.server.storage.records import OpLimits
from gyoza.server.storage.schema import op_definitions, ops
from gyoza.server.storage.transaction import Transaction
from gyoza.wire import strict_json

_COLUMNS: Final = (
    op_definitions.c.document,
    op_definitions.c.created_us,
    op_definitions.c.updated_us,
)
_FIND: Final = select(*_COLUMNS).where(
    op_definitions.c.op_id == bindparam("op"), op_definitions.c.version == bindparam("wanted")
)
_FIND_CURRENT: Final = (
    select(*_COLUMNS)
    .join_from(ops, op_definitions, ops.c.id == op_definitions.c.op_id)
    .where(ops.c.id == bindparam("op"), op_definitions.c.version == ops.c.current_version)
)
_LIST: Final = (
    select(*_COLUMNS)
    .join_from(ops, op_definitions, ops.c.id == op_definitions.c.op_id)
    .where(op_definitions.c.version == ops.c.current_version, ops.c.id > bindparam("after"))
    .order_by(ops.c.id)
    .limit(bindparam("count"))
)
_LIMITS: Final = select(ops.c.id, ops.c.paused, ops.c.max_parallel).where(
    or_(ops.c.paused, ops.c.max_parallel.is_not(None))
)


class DefinitionRepository:
    """The op definitions of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection
        self._now_us = transaction.now_us

    def find(self, op_id: str, version: str | None = None) -> OpDefinition | None:
        """The op's definition, archived or not.

        Args:
            op_id: Op id.
            version: Which version; None means the current one.
        """
        if version is None:
            rows = self._connection.execute(_FIND_CURRENT, {"op": op_id})
        else:
            rows = self._connection.execute(_FIND, {"op": op_id, "wanted": version})
        row = rows.one_or_none()
        return None if row is None else _definition(row)

    def add(self, definition: OpDefinition) -> None:
        """Store a new version, make it current and bring the op back if it was archived.

        A version that is already stored is an integrity error: look first, and `make_current`.
        """
        op_id, version = definition.id, definition.version
        op = upsert(self._connection, ops).values(
            id=op_id, current_version=version, created_us=self._now_us
        )
        changed = {"current_version": version, "archived_us": None}
        self._connection.execute(op.on_conflict_do_update(index_elements=["id"], set_=changed))
        document = definition.to_dict()
        del document["createdAt"], document["updatedAt"]
        row = {
            "op_id": op_id,
            "version": version,
            "number": self._versions(op_id) + 1,
            "document": strict_json.dumps_text(document),
            "created_us": to_us(definition.created_at),
            "updated_us": to_us(definition.updated_at),
        }
        self._connection.execute(insert(op_definitions), row)

    def make_current(self, op_id: str, version: str) -> None:
        """Make a stored version the current one and bring the op back if it was archived."""
        values = {"current_version": version, "archived_us": None}
        self._connection.execute(update(ops).where(ops.c.id == op_id).values(values))

    def exists(self, op_id: str) -> bool:
        """Whether any version of the op is stored, archived or not."""
        statement = select(ops.c.id).where(ops.c.id == op_id)
        return self._connection.execute(statement).first() is not None

    def is_archived(self, op_id: str) -> bool:
        """Whether the op takes no new runs; False for an op that does not exist."""
        statement = select(ops.c.archived_us).where(ops.c.id == op_id)
        return self._connection.execute(statement).scalar() is not None

    def archive(self, op_id: str) -> None:
        """Take the op out of the list; its versions and runs stay. Repeating changes nothing."""
        statement = update(ops).where(ops.c.id == op_id, ops.c.archived_us.is_(None))
        self._connection.execute(statement.values(archived_us=self._now_us))

    def limits(self) -> dict[str, OpLimits]:
        """What holds runs back, by op id; ops without any limit are absent."""
        return {row[0]: OpLimits(bool(row[1]), row[2]) for row in self._connection.execute(_LIMITS)}

    def set_limits(self, op_id: str, limits: OpLimits) -> None:
        """Set what holds an op's runs back, whatever its version."""
        values = {"paused": limits.paused, "max_parallel": limits.max_parallel}
        self._connection.execute(update(ops).where(ops.c.id == op_id).values(values))

    def list_current(
        self, *, include_archived: bool = False, after_id: str | None = None, limit: int = 100
    ) -> list[OpDefinition]:
        """The current version of each op, by id.

        Args:
            include_archived: Archived ops too.
            after_id: Op id that the page begins behind; None begins at the first.
            limit: How many at most.
        """
        statement = _LIST if include_archived else _LIST.where(ops.c.archived_us.is_(None))
        given = {"after": after_id or "", "count": limit}
        return [_definition(row) for row in self._connection.execute(statement, given)]

    def list_versions(self, op_id: str) -> list[OpDefinition]:
        """All versions of an op, the one registered last first; empty for an unknown op."""
        statement = (
            select(*_COLUMNS)
            .where(op_definitions.c.op_id == op_id)
            .order_by(op_definitions.c.number.desc())
        )
        return [_definition(row) for row in self._connection.execute(statement)]

    def _versions(self, op_id: str) -> int:
        statement = select(func.max(op_definitions.c.number)).where(op_definitions.c.op_id == op_id)
        return self._connection.execute(statement).scalar() or 0


def _definition(row: Any) -> OpDefinition:
    document, created_us, updated_us = row
    definition = OpDefinition.from_dict(strict_json.loads(document))
    definition.created_at = from_us(created_us)
    definition.updated_at = from_us(updated_us)
    return definition
