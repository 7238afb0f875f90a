"""What is known of stored files; their bytes are in `artifact_files.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, exists, select, update

from gyoza.server.storage.dialects import upsert
from gyoza.server.storage.instants import from_us, to_us
from gyoza.server.storage.records import ArtifactRecord, RunArtifact
from gyoza.server.storage.schema import artifacts, run_artifacts, run_references
from gyoza.server.storage.transaction import Transaction
from gyoza.wire.messages import ArtifactRef

# SQLite takes 32,766 parameters at most; a few hundred at a time cost the same.
_AT_ONCE: Final = 500
_UNNAMED: Final = (
    ~exists().where(run_artifacts.c.sha256 == artifacts.c.sha256),
    ~exists().where(run_references.c.sha256 == artifacts.c.sha256),
)


class ArtifactRepository:
    """The artifacts of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection
        self._now_us = transaction.now_us

    def find(self, sha256: str) -> ArtifactRecord | None:
        """The artifact of this hash; None when nothing is stored under it."""
        row = self._connection.execute(
            select(artifacts).where(artifacts.c.sha256 == sha256)
        ).first()
        if row is None:
            return None
        return ArtifactRecord(
            row.sha256,
            row.size_bytes,
            row.media_type,
            from_us(row.created_us),
            from_us(row.used_us),
        )

    def sizes(self, hashes: Iterable[str]) -> dict[str, int]:
        """The size in bytes of each of these files that is stored."""
        found: dict[str, int] = {}
        for some in _portions(hashes):
            statement = select(artifacts.c.sha256, artifacts.c.size_bytes)
            rows = self._connection.execute(statement.where(artifacts.c.sha256.in_(some)))
            found.update({row.sha256: row.size_bytes for row in rows})
        return found

    def add(self, artifact: ArtifactRecord) -> bool:
        """Note a file whose bytes are already in place.

        Returns:
            False when it was known; what was noted first stays, and it counts as used now.
        """
        statement = upsert(self._connection, artifacts).values(
            sha256=artifact.sha256,
            size_bytes=artifact.size_bytes,
            media_type=artifact.media_type,
            created_us=to_us(artifact.created_at),
            used_us=to_us(artifact.used_at or artifact.created_at),
        )
        if self._connection.execute(statement.on_conflict_do_nothing()).rowcount == 1:
            return True
        self.touch(artifact.sha256)
        return False

    def touch(self, sha256: str) -> bool:
        """Note that somebody means to use the file; False when it is not stored (any more)."""
        statement = (
            update(artifacts).where(artifacts.c.sha256 == sha256).values(used_us=self._now_us)
        )
        return self._connection.execute(statement).rowcount == 1

    def refer(self, names: Iterable[tuple[str, str]]) -> None:
        """Note which runs name which files, as (run id, sha256); each of both is known."""
        rows = [{"run_id": run_id, "sha256": sha256} for run_id, sha256 in names]
        if rows:
            statement = upsert(self._connection, run_references)
            self._connection.execute(statement.on_conflict_do_nothing(), rows)

    def unnamed(self, before: datetime, limit: int) -> list[str]:
        """Files that no run names and nobody has used since; longest unused first."""
        statement = (
            select(artifacts.c.sha256)
            .where(artifacts.c.used_us < to_us(before), *_UNNAMED)
            .order_by(artifacts.c.used_us)
            .limit(limit)
        )
        return list(self._connection.execute(statement).scalars())

    def forget(self, sha256: str, before: datetime) -> bool:
        """Remove what is known of a file, unless it was named or used after all."""
        statement = delete(artifacts).where(
            artifacts.c.sha256 == sha256, artifacts.c.used_us < to_us(before), *_UNNAMED
        )
        return self._connection.execute(statement).rowcount == 1

    def link(self, run_id: str, attempt: int, refs: Sequence[ArtifactRef]) -> None:
        """Note that an attempt left these files, each of which is known; repeating is harmless."""
        if not refs:
            return
        rows = [
            {
                "run_id": run_id,
                "attempt": attempt,
                "name": ref.name,
                "sha256": ref.sha256,
                "size_bytes": ref.size_bytes,
                "media_type": ref.media_type,
            }
            for ref in refs
        ]
        statement = upsert(self._connection, run_artifacts)
        self._connection.execute(statement.on_conflict_do_nothing(), rows)

    def of_run(self, run_id: str) -> list[RunArtifact]:
        """The files that the run's attempts left, by attempt and name."""
        statement = (
            select(run_artifacts)
            .where(run_artifacts.c.run_id == run_id)
            .order_by(run_artifacts.c.attempt, run_artifacts.c.name)
        )
        return [
            RunArtifact(
                row.attempt,
                ArtifactRef(
                    sha256=row.sha256,
                    size_bytes=row.size_bytes,
                    media_type=row.media_type,
                    name=row.name,
                ),
            )
            for row in self._connection.execute(statement)
        ]


def _portions(hashes: Iterable[str]) -> Iterable[list[str]]:
    wanted = list(dict.fromkeys(hashes))
    return (wanted[at : at + _AT_ONCE] for at in range(0, len(wanted), _AT_ONCE))
